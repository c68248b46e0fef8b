"""PUT and PATCH /v1/products/{id}, which do the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from products.nutrients import COLUMNS_100G
from tests.helpers.api import Api, offences

FULL = {
    **dict.fromkeys(COLUMNS_100G, 1.5),
    "name": "Crème",
    "brand": "Farm",
    "unit": "ml",
    "kcal_100g": 300,
    "protein_100g": 20,
    "carbs_100g": 30.5,
    "fat_100g": 40,
    "barcode": "4006381333931",
}


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product whose every field is known."""
    return phone.product(**FULL)


@pytest.fixture
def update(phone: Api) -> Callable[..., Any]:
    """Send an update of a product."""

    def send(product: dict[str, Any], body: Any) -> Any:
        return phone.put(f"/v1/products/{product['id']}", body)

    return send


@pytest.mark.parametrize(
    "body",
    [
        {"protein_100g": None, "carbs_100g": 1},
        {"protein_100g": 50},
        {"unit": "g"},
        {"barcode": "1"},
    ],
)
@time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False)
def test_put_and_patch_do_the_same(phone: Api, body: Any) -> None:
    answers = [
        phone.request(method, f"/v1/products/{phone.product(**FULL)['id']}", body)
        for method in ("PUT", "PATCH")
    ]
    contents = [{**answer.json(), "id": None} for answer in answers]
    assert answers[0].status_code == answers[1].status_code
    assert contents[0] == contents[1]


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_null_and_an_empty_string_clear_the_barcode(
    phone: Api, product: dict[str, Any], update: Any, empty: str | None
) -> None:
    changed = update(product, {"barcode": empty}).json()
    assert changed == product | {"barcode": None, "updated_at": changed["updated_at"]}
    assert phone.get(f"/v1/products/{product['id']}").json() == changed


def test_barcode_is_checked(phone: Api, product: dict[str, Any], update: Any) -> None:
    for barcode in ("4006381333932", 4006381333931):
        response = update(product, {"barcode": barcode})
        assert offences(response) == [(["body", "barcode"], "invalid")]
    assert phone.get(f"/v1/products/{product['id']}").json() == product


def test_a_whole_record_sent_back_changes_nothing(product: dict[str, Any], update: Any) -> None:
    assert update(product, product).json() == product


def test_another_unit_is_409_and_changes_nothing(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    response = update(product, {"name": "Milk", "unit": "g"})
    assert response.status_code == 409
    assert response.json() == {"detail": "The unit of a product can't be changed"}
    assert phone.get(f"/v1/products/{product['id']}").json() == product


@pytest.mark.parametrize(
    "changes", [{"protein_100g": 34.51}, {"carbs_100g": 45.01}, {"fat_100g": 50, "carbs_100g": 36}]
)
def test_macros_are_summed_with_those_stored(
    phone: Api, product: dict[str, Any], update: Any, changes: dict[str, Any]
) -> None:
    assert [loc for loc, _ in offences(update(product, changes))] == [["body"]]
    assert phone.get(f"/v1/products/{product['id']}").json() == product


@pytest.mark.parametrize(
    "changes",
    [
        {"protein_100g": 34.5},
        {"protein_100g": 60, "fat_100g": 14.5},
        {"protein_100g": 74.5, "fat_100g": None},
    ],
)
def test_macros_may_be_105_with_those_stored(
    product: dict[str, Any], update: Any, changes: dict[str, Any]
) -> None:
    assert update(product, changes).status_code == 200


def test_entries_logged_from_it_stay_as_they_are(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    entry = phone.entry(product_id=product["id"], grams=150)
    update(product, {"name": "Milk", "kcal_100g": 1, "protein_100g": None})
    assert phone.get(f"/v1/food-entries/{entry['id']}").json() == entry


def test_portions_stay_as_they_are(phone: Api, product: dict[str, Any], update: Any) -> None:
    phone.portion(product)
    portions = phone.get(f"/v1/products/{product['id']}/portions").json()
    update(product, {"name": "Milk"})
    assert phone.get(f"/v1/products/{product['id']}/portions").json() == portions


def test_order_and_search_follow_the_new_name(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    between = phone.product(name="Éclair")
    update(product, {"name": "Źurek"})
    assert [row["id"] for row in phone.get("/v1/products").json()] == [between["id"], product["id"]]
    assert len(phone.get("/v1/products?search=zurek").json()) == 1
    assert phone.get("/v1/products?search=creme").json() == []


def test_the_barcode_search_follows_the_new_barcode(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    changed = update(product, {"barcode": "96385074"}).json()
    assert phone.get("/v1/products?barcode=00000096385074").json() == [changed]
    assert phone.get("/v1/products?barcode=4006381333931").json() == []
    update(product, {"barcode": None})
    assert phone.get("/v1/products?barcode=96385074").json() == []
