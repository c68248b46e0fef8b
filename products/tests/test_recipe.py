"""`GET`, `PUT` and `DELETE /v1/products/{id}/recipe`."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.helpers.api import Api, defaults


def path(product: dict[str, Any]) -> str:
    return f"/v1/products/{product['id']}"


def grams_of(food: dict[str, Any], grams: float, **values: Any) -> dict[str, Any]:
    return {"ingredient_id": food["id"], "grams": grams} | values


def read(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = phone.get(path(product)).json()
    return answer


def serving_of(phone: Api, product: dict[str, Any]) -> Any:
    key = uuid.uuid5(uuid.UUID(product["id"]), "serving")
    response = phone.get(f"/v1/portions/{key}")
    return response.json() if response.status_code == 200 else None


@pytest.fixture
def oil(phone: Api) -> dict[str, Any]:
    return phone.product(name="Oil", kcal_100g=884, fat_100g=100, protein_100g=0, salt_100g=0)


@pytest.fixture
def rice(phone: Api) -> dict[str, Any]:
    return phone.product(name="Rice", kcal_100g=130, fat_100g=0.3, protein_100g=2.7)


@pytest.fixture
def dish(phone: Api) -> dict[str, Any]:
    return phone.product(name="Fried rice", kcal_100g=150, fat_100g=4.25)


@pytest.fixture
def made(phone: Api, dish: dict[str, Any], rice: dict[str, Any], oil: dict[str, Any]) -> Any:
    """300 g of rice and 20 g of oil, for two."""
    body = {"servings": 2, "items": [grams_of(rice, 300), grams_of(oil, 20)]}
    response = phone.put(f"{path(dish)}/recipe", body)
    assert response.status_code == 200, response.content
    return response.json()


def test_it_works(phone: Api, dish: Any, rice: Any, oil: Any, made: Any) -> None:
    assert [item["ingredient_id"] for item in made["items"]] == [rice["id"], oil["id"]]
    assert made["items"][1] == {
        "id": made["items"][1]["id"],
        "ingredient_id": oil["id"],
        "portion_id": None,
        "quantity": None,
        "grams": 20,
        "position": 1,
    }
    assert phone.get(f"{path(dish)}/recipe").json() == made
    product = read(phone, dish)
    # (300 * 130 + 20 * 884) / 320 = 177.125; fat (300 * 0.3 + 20 * 100) / 320 = 6.53125.
    assert (product["kcal_100g"], product["fat_100g"], product["protein_100g"]) == (177, 6.53, 2.53)
    # Unknown of the rice.
    assert product["salt_100g"] is None
    assert (product["servings"], product["cooked_grams"]) == (2, None)
    assert product["updated_at"] is not None
    serving = serving_of(phone, dish)
    assert (serving["name"], serving["grams"]) == ("serving", 160)
    assert defaults(phone, dish) == [serving["id"]]
