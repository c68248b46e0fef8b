"""`refused()`: which rows the database would not take, without trying."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from entries.models import FoodEntry
from products.models import Portion, Product
from tests.helpers.api import Api

SOUP: dict[str, Any] = {"date": "2025-02-05", "meal_type": "lunch", "name": "Soup", "kcal": 250}


def refused(phone: Api, row: Any) -> str | None:
    """Return what the database is said to refuse a row for, after it was seen to do so, or not."""
    rows = type(row).objects.for_device(phone.device)
    told = rows.refused([row], insert=True)
    if not told:
        rows.bulk_save([row], insert=True)
        return None
    ((key, constraint),) = told.items()
    assert key == row.pk
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        rows.bulk_save([row], insert=True)
    return str(constraint)


@pytest.fixture
def product(phone: Api) -> uuid.UUID:
    return uuid.UUID(phone.product()["id"])


def test_a_good_row_is_not_refused(phone: Api, product: uuid.UUID) -> None:
    assert refused(phone, FoodEntry(**SOUP)) is None
    assert refused(phone, Portion(product_id=product, name="cup", grams=1)) is None


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"kcal": -1}, "food_entries_kcal_in_range"),
        ({"name": " Soup"}, "food_entries_name_is_clean"),
        ({"quantity": 1}, "food_entries_amount_is_whole"),
        ({"meal_type": "brunch"}, "food_entries_meal_type"),
    ],
)
def test_a_check_that_is_broken_is_named(phone: Api, values: Any, constraint: str) -> None:
    assert refused(phone, FoodEntry(**SOUP | values)) == constraint


def test_a_row_that_is_not_there_is_named_by_the_key(
    phone: Api, other: Api, product: uuid.UUID
) -> None:
    theirs = uuid.UUID(other.product()["id"])
    for unknown in (uuid.uuid4(), theirs):
        row = Portion(product_id=unknown, name="cup", grams=1)
        assert refused(phone, row) is not None
    of_another = Portion.objects.for_device(phone.device).get()
    another = phone.product()["id"]
    entry = {"product_id": another, "portion_id": of_another.pk, "quantity": 1, "grams": 100}
    assert refused(phone, FoodEntry(**SOUP | entry)) is not None


def test_of_many_rows_those_are_named(phone: Api) -> None:
    rows = [Product(name=f"Food {n}", kcal_100g=n * 300) for n in range(6)]
    rows[0].fat_100g = rows[0].carbs_100g = Decimal(90)  # type: ignore[attr-defined]  # made from a list
    found = Product.objects.for_device(phone.device).refused(rows, insert=True)
    assert found == {
        rows[0].pk: "products_macros_fit_100g",
        rows[4].pk: "products_kcal_in_range",
        rows[5].pk: "products_kcal_in_range",
    }
