"""POST /v1/sync: what the server changed since the phone pulled is never written over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from devices import maintenance
from sync.tests.replica import (
    created,
    deleted,
    live,
    product,
    pull,
    push,
    pushed,
    revision,
    updated,
    water,
    weight,
)
from tests.helpers.api import Api

pytestmark = pytest.mark.django_db(transaction=True)
CONFLICT = {"detail": "Something pushed has changed on the server: pull first"}


def assert_conflict(phone: Api, after: int, changes: Any) -> None:
    """Push, with a record that is right, and find nothing applied."""
    before = live(phone)
    drunk = water()
    response = push(phone, after, created(water_entries=[drunk]) | changes)
    assert (response.status_code, response.json()) == (409, CONFLICT)
    assert live(phone) == before


def test_a_record_that_was_changed_since_is_409(phone: Api) -> None:
    kept = phone.product()
    after = revision(phone)
    phone.patch(f"/v1/products/{kept['id']}", {"kcal_100g": 1})
    assert_conflict(phone, after, updated(products=[kept | {"name": "Mine"}]))


def test_a_created_record_that_is_here_already_is_updated(phone: Api) -> None:
    """The answer to the push before was lost, and the phone went on writing."""
    after = revision(phone)
    rice, first = product(), weight()
    pushed(phone, created(products=[rice], body_weights=[first]), after)
    later = created(products=[rice | {"name": "Mine"}], body_weights=[first, weight(weight_kg=79)])
    assert pushed(phone, later, after) == {}
    rows = live(phone)
    assert rows["products"][rice["id"]]["name"] == "Mine"
    assert [row["weight_kg"] for row in rows["body_weights"].values()] == [79]


@pytest.mark.parametrize("kind", [updated, created])
def test_a_record_that_was_deleted_since_is_409(phone: Api, kind: Any) -> None:
    kept = phone.entry()
    after = revision(phone)
    phone.delete(f"/v1/food-entries/{kept['id']}")
    assert_conflict(phone, after, kind(food_entries=[kept | {"name": "Mine"}]))


def test_a_deletion_of_what_was_changed_since_is_409(phone: Api) -> None:
    kept = phone.entry()
    after = revision(phone)
    phone.patch(f"/v1/food-entries/{kept['id']}", {"kcal": 1})
    assert_conflict(phone, after, deleted(food_entries=[kept]))


def test_a_deletion_of_what_was_deleted_since_is_none(phone: Api) -> None:
    kept = phone.entry()
    after = revision(phone)
    phone.delete(f"/v1/food-entries/{kept['id']}")
    assert pushed(phone, deleted(food_entries=[kept]), after) == {}


def test_an_equal_record_is_none(phone: Api) -> None:
    kept = phone.product()
    after = revision(phone)
    phone.patch(f"/v1/products/{kept['id']}", {"name": "Same"})
    now = revision(phone)
    assert pushed(phone, updated(products=[kept | {"name": " Same"}]), after) == {}
    assert revision(phone) == now


def test_after_another_pull_it_goes_through(phone: Api) -> None:
    kept = phone.product()
    after = revision(phone)
    phone.patch(f"/v1/products/{kept['id']}", {"kcal_100g": 1})
    mine = updated(products=[{"id": kept["id"], "name": "Mine"}])
    assert_conflict(phone, after, mine)
    assert pushed(phone, mine, pull(phone, after)["timestamp"]) == {}
    (row,) = live(phone)["products"].values()
    assert (row["name"], row["kcal_100g"]) == ("Mine", 1)


def test_other_records_may_have_changed(phone: Api) -> None:
    kept, another = phone.product(), phone.product()
    after = revision(phone)
    phone.patch(f"/v1/products/{another['id']}", {"kcal_100g": 1})
    assert pushed(phone, updated(products=[kept | {"name": "Mine"}]), after) == {}


def test_a_weight_that_takes_a_day_since_taken_is_none(phone: Api) -> None:
    after = revision(phone)
    phone.weight()
    later = weight()
    assert pushed(phone, created(body_weights=[later]), after) == {}
    assert list(live(phone)["body_weights"]) == [later["id"]]


def test_a_default_that_was_moved_since_and_is_pushed_is_409(phone: Api) -> None:
    kept = phone.product()
    (first,) = live(phone)["portions"].values()
    after = revision(phone)
    phone.portion(kept, is_default=True)
    assert_conflict(phone, after, updated(portions=[first | {"name": "Mine"}]))


def test_a_revision_that_the_device_never_had_is_409(phone: Api) -> None:
    assert_conflict(phone, revision(phone) + 1, created(products=[product()]))
    assert_conflict(phone, 10**17, {})


def test_past_a_purge_it_is_409(phone: Api) -> None:
    kept = phone.entry()
    after = revision(phone)
    phone.delete(f"/v1/food-entries/{kept['id']}")
    for _ in maintenance.purge(timezone.now() + timedelta(seconds=1)):
        pass
    assert_conflict(phone, after, updated(food_entries=[kept | {"name": "Mine"}]))
