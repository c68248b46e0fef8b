"""POST /v1/catalog/foods/{id}/copy."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from catalog.models import Food
from sync.tests import replica
from tests.helpers.api import Api, defaults, offences
from tests.helpers.catalog import new_food
from tests.helpers.threads import as_thread, at_once


def copy(phone: Api, food: Food, body: Any = None) -> Any:
    return phone.post(f"/v1/catalog/foods/{food.pk}/copy", body)


def portions(phone: Api, product: dict[str, Any]) -> list[tuple[str, float, bool]]:
    rows = phone.get(f"/v1/products/{product['id']}/portions").json()
    return [(row["name"], row["grams"], row["is_default"]) for row in rows]


def test_it_is_a_product_with_the_foods_values(phone: Api) -> None:
    food = new_food(
        "Cola",
        brand="Fizz",
        unit="ml",
        kcal_100g=42,
        carbs_100g="10.6",
        salt_100g="0",
        barcode="96385074",
    )
    response = copy(phone, food)
    assert response.status_code == 201
    product = response.json()
    assert product == phone.get(f"/v1/products/{product['id']}").json()
    assert product["catalog_id"] == str(food.pk)
    kept = ("name", "brand", "unit", "kcal_100g", "carbs_100g", "fat_100g", "salt_100g", "barcode")
    assert [product[name] for name in kept] == [
        *("Cola", "Fizz", "ml", 42, 10.6, None, 0, "96385074")
    ]
    assert portions(phone, product) == [("100ml", 100, True)]


def test_the_sources_serving_is_the_default_portion(phone: Api) -> None:
    food = new_food(portions=[{"name": "1 cup", "grams": 140.5}, {"name": "1 slice", "grams": 30}])
    product = copy(phone, food).json()
    assert portions(phone, product) == [
        ("1 cup", 140.5, True),
        ("1 slice", 30, False),
        ("100g", 100, False),
    ]
    rows = phone.get(f"/v1/products/{product['id']}/portions").json()
    assert {row["updated_at"] for row in rows} == {None}


def test_once_more_it_is_the_same_product(phone: Api) -> None:
    food = new_food()
    first = copy(phone, food)
    again = copy(phone, food)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert len(phone.get("/v1/products").json()) == 1


def test_once_more_under_another_id_it_is_the_first_product(phone: Api) -> None:
    food = new_food()
    first = copy(phone, food).json()
    again = copy(phone, food, {"id": str(uuid.uuid4())})
    assert (again.status_code, again.json()) == (200, first)


def test_a_product_that_was_sent_with_the_catalog_id_is_the_copy(phone: Api) -> None:
    food = new_food()
    product = phone.product(catalog_id=str(food.pk))
    assert product["catalog_id"] == str(food.pk)
    again = copy(phone, food)
    assert (again.status_code, again.json()) == (200, product)


def test_a_phone_that_was_offline_copies_by_an_ordinary_push(phone: Api) -> None:
    food = new_food()
    product = replica.product(name=food.name, kcal_100g=165, catalog_id=str(food.pk))
    pushed = phone.post("/v1/sync?last_pulled_at=1", {"products": {"created": [product]}})
    assert pushed.json()["rejected"] == {}
    again = copy(phone, food)
    assert (again.status_code, again.json()["id"]) == (200, product["id"])


def test_a_deleted_copy_is_made_anew(phone: Api) -> None:
    food = new_food()
    first = copy(phone, food).json()
    phone.delete(f"/v1/products/{first['id']}")
    second = copy(phone, food)
    assert second.status_code == 201
    assert second.json()["id"] != first["id"]


def test_the_client_may_choose_the_id(phone: Api) -> None:
    chosen = str(uuid.uuid4())
    response = copy(phone, new_food(), {"id": chosen})
    assert (response.status_code, response.json()["id"]) == (201, chosen)


def test_an_id_of_a_live_product_is_that_product(phone: Api) -> None:
    product = phone.product(name="Mine")
    response = copy(phone, new_food(), {"id": product["id"]})
    assert (response.status_code, response.json()["name"]) == (200, "Mine")


def test_a_deleted_id_is_409(phone: Api) -> None:
    product = phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    response = copy(phone, new_food(), {"id": product["id"]})
    assert (response.status_code, response.json()) == (409, {"detail": "ID already in use"})


def test_each_device_has_its_own_copy(phone: Api, other: Api) -> None:
    food = new_food()
    assert copy(phone, food).json()["id"] != copy(other, food).json()["id"]


def test_at_the_quota_it_is_409_and_an_earlier_copy_is_still_answered(
    phone: Api, settings: Any
) -> None:
    food = new_food()
    copy(phone, food)
    settings.MAX_PRODUCTS_PER_DEVICE = 1
    assert copy(phone, food).status_code == 200
    response = copy(phone, new_food("Rice"))
    assert response.status_code == 409
    assert response.json() == {"detail": "A device has at most 1 products"}


def test_a_withdrawn_food_can_be_copied(phone: Api) -> None:
    assert copy(phone, new_food(withdrawn_at=timezone.now())).status_code == 201


@pytest.mark.parametrize("id", ["2c94a01b-4fe7-5e45-8f16-9e931a58bc51", "x"])
def test_an_unknown_food_is_404(phone: Api, id: str) -> None:
    response = phone.post(f"/v1/catalog/foods/{id}/copy")
    assert (response.status_code, response.json()) == (404, {"detail": "Food not found"})


def test_a_hidden_food_is_404(phone: Api) -> None:
    assert copy(phone, new_food(is_hidden=True)).status_code == 404


def test_a_malformed_id_is_422(phone: Api) -> None:
    assert offences(copy(phone, new_food(), {"id": "x"})) == [(["body", "id"], "invalid")]


@pytest.mark.django_db(transaction=True)
def test_of_many_copies_at_once_one_is_made(phone: Api) -> None:
    food = new_food(portions=[{"name": "1 cup", "grams": 140}])
    answers = at_once(*(partial(copy, as_thread(phone), food) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    (product,) = phone.get("/v1/products").json()
    assert len(defaults(phone, product)) == 1
