"""What the database itself refuses of recipes, whoever writes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import IntegrityError

from tests.helpers.api import Api
from tests.helpers.sql import execute, insert


@pytest.fixture
def item(phone: Api) -> dict[str, Any]:
    """An item's values: rice, by its first portion, in a dish."""
    rice, dish = phone.product(name="Rice"), phone.product(name="Dish")
    [portion] = phone.get(f"/v1/products/{rice['id']}/portions").json()
    return {
        "product_id": dish["id"],
        "ingredient_id": rice["id"],
        "portion_id": portion["id"],
        "quantity": 1,
        "grams": 100,
        "position": 0,
    }


def test_it_works(phone: Api, item: dict[str, Any]) -> None:
    insert("recipe_items", phone, item)
    insert("recipe_items", phone, item | {"portion_id": None, "quantity": None})


def test_it_refuses_what_no_recipe_can_have(phone: Api, item: dict[str, Any]) -> None:
    for wrong in (
        {"grams": 0},
        {"grams": 10000.01},
        {"grams": None},
        {"quantity": 0},
        {"quantity": None},
        {"portion_id": None},
        {"position": -1},
        {"position": 10001},
        # A recipe in itself.
        {"product_id": item["ingredient_id"]},
        # A portion of another product.
        {"product_id": item["ingredient_id"], "ingredient_id": item["product_id"]},
        {"product_id": str(uuid.uuid4())},
        {"ingredient_id": str(uuid.uuid4())},
    ):
        with pytest.raises(IntegrityError):
            insert("recipe_items", phone, item | wrong)
    for wrong_column in ("servings = 0", "servings = 100.01", "cooked_grams = 100000.01"):
        with pytest.raises(IntegrityError):
            execute(f"UPDATE products SET {wrong_column}")


def test_it_refuses_products_of_another_device(
    phone: Api, other: Api, item: dict[str, Any]
) -> None:
    theirs = other.product()["id"]
    without_portion = item | {"portion_id": None, "quantity": None}
    for column in ("product_id", "ingredient_id"):
        with pytest.raises(IntegrityError):
            insert("recipe_items", phone, without_portion | {column: theirs})
