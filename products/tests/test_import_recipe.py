"""Recipes in `POST /v1/import`: a recipe comes in whole, or its product is a plain one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from tests.helpers.api import Api
from tests.helpers.transfer import export, load, start_over

RICE, DISH, OTHER = (str(uuid.UUID(int=number)) for number in (1, 2, 3))


def cook(phone: Api, kcal: int = 130) -> None:
    """Make a dish for two of 300 g of rice."""
    phone.product(id=RICE, name="Rice", kcal_100g=kcal)
    phone.product(id=DISH, name="Fried rice", kcal_100g=150)
    put(phone, DISH, RICE)


def put(phone: Api, dish: str, *foods: str) -> None:
    body = {"servings": 2, "items": [{"ingredient_id": food, "grams": 300} for food in foods]}
    response = phone.put(f"/v1/products/{dish}/recipe", body)
    assert response.status_code == 200, response.content


def dish(phone: Api) -> dict[str, Any]:
    found: dict[str, Any] = phone.get(f"/v1/products/{DISH}?include=portions,recipe").json()
    return found


def why(answer: dict[str, Any], table: str = "recipe_items") -> set[str]:
    return set(answer["rejected"].get(table, {}).values())


@pytest.fixture(autouse=True)
def _keeps_the_rules(db: None) -> Iterator[None]:
    yield
    call_command("check_integrity", stdout=StringIO())


def test_it_works(phone: Api, other: Api) -> None:
    cook(other)
    answer = load(phone, export(other))
    assert answer["imported"]["recipe_items"] == 1
    assert dish(phone) == dish(other)


def test_it_follows_its_ingredients_afterwards(phone: Api, other: Api) -> None:
    cook(other)
    load(phone, export(other))
    assert phone.patch(f"/v1/products/{RICE}", {"kcal_100g": 200}).status_code == 200
    assert dish(phone)["kcal_100g"] == 200


def test_its_values_stay_where_an_ingredient_is_another_here(phone: Api, other: Api) -> None:
    cook(other)
    phone.product(id=RICE, name="Rice", kcal_100g=140)
    assert why(load(phone, export(other))) == {"Its recipe would have other values here"}
    assert (dish(phone)["kcal_100g"], dish(phone)["recipe"]) == (130, None)


def test_half_of_it_does_not_come_in(phone: Api, other: Api) -> None:
    cook(other)
    other.product(id=OTHER, name="Oil", kcal_100g=884)
    put(other, DISH, RICE, OTHER)
    exported = export(other)
    del exported["rows"]["recipe_items"][0]
    assert why(load(phone, exported)) == {"Its recipe would have other values here"}
    assert dish(phone)["kcal_100g"] == 507


def test_an_ingredient_may_be_deleted(phone: Api) -> None:
    cook(phone)
    assert phone.delete(f"/v1/products/{RICE}").status_code == 204
    before, exported = dish(phone), export(phone)
    start_over(phone)
    assert why(load(phone, exported)) == set()
    assert [item["ingredient_id"] for item in dish(phone)["recipe"]] == [RICE]
    assert dish(phone)["kcal_100g"] == before["kcal_100g"]


def test_what_is_in_a_recipe_here_does_not_become_one(phone: Api, other: Api) -> None:
    cook(other)
    phone.product(id=DISH, name="Fried rice", kcal_100g=130)
    phone.product(id=OTHER, name="Buffet", kcal_100g=100)
    put(phone, OTHER, DISH)
    assert why(load(phone, export(other))) == {"A recipe can't be in a recipe"}
    assert dish(phone)["recipe"] is None


def test_a_deleted_ingredient_comes_back_with_the_values_that_a_recipe_here_has_it_with(
    phone: Api,
) -> None:
    cook(phone)
    exported = export(phone)
    assert phone.patch(f"/v1/products/{RICE}", {"kcal_100g": 200}).status_code == 200
    assert phone.delete(f"/v1/products/{RICE}").status_code == 204
    answer = load(phone, exported)
    assert why(answer, "products") == {"A recipe that is here has it with other values"}
    assert dish(phone)["kcal_100g"] == 200


def test_a_deleted_serving_comes_back_with_the_grams_of_the_recipe_here(phone: Api) -> None:
    cook(phone)
    exported, serving = export(phone), uuid.uuid5(uuid.UUID(DISH), "serving")
    assert phone.delete(f"/v1/portions/{serving}").status_code == 204
    body = {"servings": 3, "items": [{"ingredient_id": RICE, "grams": 300}]}
    assert load(phone, exported)["rejected"] == {}
    assert phone.delete(f"/v1/portions/{serving}").status_code == 204
    assert phone.put(f"/v1/products/{DISH}/recipe", body).status_code == 200
    assert phone.delete(f"/v1/portions/{serving}").status_code == 204
    assert why(load(phone, exported), "portions") == {
        "Its grams follow from the recipe that is here"
    }
