"""DELETE /v1/portions/{id}, and that a product has exactly one default portion in every history."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from products.models import Portion
from tests.helpers.api import Api, defaults
from tests.helpers.sql import forgo_indexes
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import IDS

STEPS = st.tuples(
    st.sampled_from(["create", "create default", "promote", "demote", "rename", "delete"]),
    st.integers(0, 4),
)


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product with the portion that comes with it."""
    return phone.product()


def portions_of(phone: Api, product: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the live portions of a product, the default first."""
    portions: list[dict[str, Any]] = phone.get(f"/v1/products/{product['id']}/portions").json()
    return portions


def test_the_oldest_other_becomes_the_default(phone: Api, product: dict[str, Any]) -> None:
    (default,) = portions_of(phone, product)
    for year, name in [(2032, "a"), (2031, "z"), (2033, "b")]:
        with time_machine.travel(datetime(year, 1, 1, tzinfo=UTC), tick=False):
            phone.portion(product, name=name)
    phone.delete(f"/v1/portions/{default['id']}")
    after = portions_of(phone, product)
    assert [(row["name"], row["is_default"]) for row in after] == [
        ("z", True),
        ("a", False),
        ("b", False),
    ]


def test_of_two_that_are_as_old_the_lesser_id_becomes_the_default(
    phone: Api, product: dict[str, Any]
) -> None:
    forgo_indexes()
    (default,) = portions_of(phone, product)
    with time_machine.travel(datetime(2031, 1, 1, tzinfo=UTC), tick=False):
        for chosen in (IDS[1], IDS[0], IDS[2]):
            phone.portion(product, id=chosen)
    phone.delete(f"/v1/portions/{default['id']}")
    assert defaults(phone, product) == [IDS[0]]


def test_a_deleted_portion_does_not_become_the_default(phone: Api, product: dict[str, Any]) -> None:
    (default,) = portions_of(phone, product)
    older, younger = phone.portion(product), phone.portion(product)
    phone.delete(f"/v1/portions/{older['id']}")
    phone.delete(f"/v1/portions/{default['id']}")
    assert defaults(phone, product) == [younger["id"]]


def test_deleting_another_leaves_the_default(phone: Api, product: dict[str, Any]) -> None:
    before = portions_of(phone, product)
    phone.delete(f"/v1/portions/{phone.portion(product)['id']}")
    assert portions_of(phone, product) == before


def test_the_last_portion_stays(phone: Api, product: dict[str, Any]) -> None:
    phone.portion(phone.product())
    (last,) = portions_of(phone, product)
    response = phone.delete(f"/v1/portions/{last['id']}")
    assert response.status_code == 409
    assert set(response.json()) == {"detail"}
    assert portions_of(phone, product) == [last]


def test_entries_logged_with_it_stay_as_they_are(phone: Api, product: dict[str, Any]) -> None:
    portion = phone.portion(product)
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=2)
    phone.delete(f"/v1/portions/{portion['id']}")
    assert phone.get(f"/v1/food-entries/{entry['id']}").json() == entry


def test_deleting_the_default_and_the_next_default_together_leaves_a_default(
    phone: Api, product: dict[str, Any]
) -> None:
    (default,) = portions_of(phone, product)
    successor, last = phone.portion(product), phone.portion(product)
    assert phone.device is not None
    rows = Portion.objects.for_device(phone.device).filter(pk__in=[default["id"], successor["id"]])
    rows.order_by("created_at").delete()
    assert defaults(phone, product) == [last["id"]]


@given(steps=st.lists(STEPS, min_size=1, max_size=8))
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_history_leaves_one_default(phone: Api, steps: list[tuple[str, int]]) -> None:
    product = phone.product()
    path = f"/v1/products/{product['id']}/portions"
    body = {"name": "1 slice", "grams": 30}
    portions = portions_of(phone, product)
    for step, which in steps:
        portion = portions[which % len(portions)]
        one = f"/v1/portions/{portion['id']}"
        match step:
            case "create":
                expected, response = 201, phone.post(path, body)
            case "create default":
                expected, response = 201, phone.post(path, body | {"is_default": True})
            case "promote":
                expected, response = 200, phone.patch(one, {"is_default": True})
            case "demote":
                expected = 409 if portion["is_default"] else 200
                response = phone.patch(one, {"is_default": False})
            case "rename":
                expected, response = 200, phone.put(one, portion | {"name": "1 loaf"})
            case _:
                expected = 409 if len(portions) == 1 else 204
                response = phone.delete(one)
        assert response.status_code == expected
        portions = portions_of(phone, product)
        assert [row["is_default"] for row in portions].count(True) == 1


@pytest.mark.django_db(transaction=True)
def test_the_last_two_deleted_at_once_leave_one(phone: Api) -> None:
    for _ in range(3):
        product = phone.product()
        phone.portion(product)
        answers = at_once(
            *(
                partial(as_thread(phone).delete, f"/v1/portions/{portion['id']}")
                for portion in portions_of(phone, product)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        (last,) = portions_of(phone, product)
        assert last["is_default"] is True


@pytest.mark.django_db(transaction=True)
def test_the_default_deleted_while_another_becomes_it_leaves_one(phone: Api) -> None:
    for _ in range(3):
        product = phone.product()
        portion = phone.portion(product)
        (default,) = defaults(phone, product)
        at_once(
            partial(as_thread(phone).delete, f"/v1/portions/{default}"),
            partial(as_thread(phone).put, f"/v1/portions/{portion['id']}", {"is_default": True}),
        )
        assert defaults(phone, product) == [portion["id"]]
