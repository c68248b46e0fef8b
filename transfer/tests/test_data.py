"""DELETE /v1/data."""

from __future__ import annotations

from typing import Any

import pytest

from products.models import Product
from tests.helpers.api import Api, offences
from tests.helpers.phones import another_phone, status
from tests.helpers.sql import next_transaction
from tests.helpers.transfer import rows, start_over


def fill(phone: Api) -> dict[str, Any]:
    product = phone.product()
    phone.entry(product_id=product["id"], grams=10)
    phone.goal()
    phone.weight()
    phone.water()
    return product


def test_it_works(phone: Api, other: Api) -> None:
    fill(phone)
    fill(other)
    mine, theirs = rows(phone), rows(other)
    next_transaction()
    before = phone.get("/v1/sync").json()["timestamp"]
    start_over(phone)
    assert not any(rows(phone).values())
    assert rows(other) == theirs
    changes = phone.get(f"/v1/sync?last_pulled_at={before}").json()["changes"]
    for table, listed in mine.items():
        assert set(changes[table]["deleted"]) == {row["id"] for row in listed}


def test_phones_and_their_tokens_stay(phone: Api) -> None:
    second = another_phone(phone)
    start_over(phone)
    assert (status(phone), status(second)) == (200, 200)


def test_again_it_changes_nothing(phone: Api) -> None:
    fill(phone)
    start_over(phone)
    next_transaction()
    before = phone.get("/v1/sync").json()["timestamp"]
    start_over(phone)
    assert phone.get("/v1/sync").json()["timestamp"] == before


def test_a_restored_product_has_its_portions(phone: Api) -> None:
    fill(phone)
    start_over(phone)
    Product.all_objects.for_device(phone.device).get().restore()
    assert [row["name"] for row in rows(phone)["portions"]] == ["100g"]


@pytest.mark.parametrize("confirm", [None, "", "yes", "Delete everything", True])
def test_without_the_words_nothing_is_deleted(phone: Api, confirm: Any) -> None:
    fill(phone)
    before = rows(phone)
    response = phone.request("DELETE", "/v1/data", {"confirm": confirm})
    ((loc, _),) = offences(response)
    assert loc == ["body", "confirm"]
    assert phone.request("DELETE", "/v1/data", {}).status_code == 422
    assert rows(phone) == before
