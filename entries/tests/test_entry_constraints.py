"""What the database itself refuses of food entries, whoever writes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from products.nutrients import OPTIONAL
from tests.helpers.api import Api
from tests.helpers.sql import execute, insert
from tests.helpers.values import NO_NAMES

ENTRY = {
    "product_id": None,
    "portion_id": None,
    "date": "2025-02-05",
    "meal_type": "lunch",
    "name": "Soup",
    "name_folded": "soup",
    "unit": "g",
    "grams": None,
    "quantity": None,
    "kcal": 250,
    "eaten_at": None,
}


def take(owner: Api, **values: Any) -> uuid.UUID:
    """Insert an entry by straight SQL."""
    return insert("food_entries", owner, ENTRY | values)


def refuse(owner: Api, **values: Any) -> None:
    """Check that an entry is refused."""
    with pytest.raises(DatabaseError):
        take(owner, **values)


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product."""
    return phone.product()


@pytest.fixture
def portion(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    """A portion of the product."""
    return phone.portion(product)


def test_it_works(phone: Api) -> None:
    key = take(phone)
    assert phone.get(f"/v1/food-entries/{key}").status_code == 200


@pytest.mark.parametrize(
    "values",
    [
        {"name": "é" * 100},
        {"date": "2000-01-01"},
        {"date": "2100-12-31"},
        {"grams": "0.01"},
        {"grams": "10000"},
        {"kcal": 0},
        {"kcal": 100_000},
        {"unit": "ml"},
        *(dict.fromkeys(OPTIONAL, value) for value in (0, "0.01", 10_000)),
        {"eaten_at": "0001-01-01T00:00:00Z"},
    ],
)
def test_it_takes_what_is_just_within_the_rules(phone: Api, values: dict[str, Any]) -> None:
    take(phone, **values)


def test_it_refuses_a_name_that_is_none(phone: Api) -> None:
    take(phone)
    for name in NO_NAMES:
        refuse(phone, name=name)
        with pytest.raises(DatabaseError):
            execute("UPDATE food_entries SET name = %s", name)


@pytest.mark.parametrize("day", [None, "1999-12-31", "2101-01-01", "infinity", "0044-03-15 BC"])
def test_it_refuses_a_date_out_of_range(phone: Api, day: str | None) -> None:
    refuse(phone, date=day)


@pytest.mark.parametrize("meal_type", [None, "", "Lunch", "brunch", "lunch ", "breakfasts"])
def test_it_refuses_another_meal_type(phone: Api, meal_type: str | None) -> None:
    refuse(phone, meal_type=meal_type)


@pytest.mark.parametrize("grams", ["0", "0.004", "-1", "10000.01", "100000", "NaN", "Infinity"])
def test_it_refuses_grams_out_of_range(phone: Api, grams: str) -> None:
    refuse(phone, grams=grams)


@pytest.mark.parametrize("kcal", [None, "-0.01", "100000.01", "1000000", "NaN", "Infinity"])
def test_it_refuses_kcal_out_of_range(phone: Api, kcal: str | None) -> None:
    refuse(phone, kcal=kcal)


@pytest.mark.parametrize("nutrient", OPTIONAL)
def test_it_refuses_a_nutrient_out_of_range(phone: Api, nutrient: str) -> None:
    for value in ("-0.01", "10000.01", "100000", "NaN", "Infinity"):
        refuse(phone, **{nutrient: value})


@pytest.mark.parametrize("unit", [None, "", "G", "kg"])
def test_it_refuses_another_unit(phone: Api, unit: str | None) -> None:
    refuse(phone, unit=unit)


@pytest.mark.parametrize("quantity", ["0", "0.004", "-1", "10000.01", "100000", "NaN"])
def test_it_refuses_a_quantity_out_of_range(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], quantity: str
) -> None:
    whole = {"product_id": product["id"], "portion_id": portion["id"], "grams": 1}
    take(phone, **whole, quantity="0.01")
    take(phone, **whole, quantity="10000")
    refuse(phone, **whole, quantity=quantity)


@pytest.mark.parametrize(
    "names",
    [
        ["product_id"],
        ["product_id", "portion_id"],
        ["product_id", "portion_id", "grams"],
        ["product_id", "portion_id", "quantity"],
        ["product_id", "quantity", "grams"],
        ["portion_id"],
        ["portion_id", "grams", "quantity"],
        ["quantity"],
    ],
)
def test_it_refuses_half_an_amount(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], names: list[str]
) -> None:
    whole = {
        "product_id": product["id"],
        "portion_id": portion["id"],
        "grams": 150,
        "quantity": 1,
    }
    take(phone, **whole)
    take(phone, product_id=product["id"], grams=150)
    refuse(phone, **{name: whole[name] for name in names})


def test_it_refuses_a_product_or_portion_that_does_not_exist(
    phone: Api, product: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        take(phone, product_id=uuid.uuid4(), grams=1)
    with pytest.raises(IntegrityError):
        take(phone, product_id=product["id"], portion_id=uuid.uuid4(), grams=1, quantity=1)


def test_it_refuses_a_portion_of_another_product(phone: Api, portion: dict[str, Any]) -> None:
    another = phone.product()
    with pytest.raises(IntegrityError):
        take(phone, product_id=another["id"], portion_id=portion["id"], grams=1, quantity=1)


def test_it_refuses_another_devices_product_or_portion(
    phone: Api, other: Api, product: dict[str, Any], portion: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError):
        take(other, product_id=product["id"], grams=1)
    with pytest.raises(IntegrityError):
        take(other, product_id=product["id"], portion_id=portion["id"], grams=1, quantity=1)
    own = other.product()
    with pytest.raises(IntegrityError):
        take(other, product_id=own["id"], portion_id=portion["id"], grams=1, quantity=1)


def test_an_entry_never_moves_to_another_device(phone: Api, other: Api) -> None:
    take(phone)
    assert other.device is not None
    with pytest.raises(IntegrityError):
        execute("UPDATE food_entries SET device_id = %s", other.device.pk)


def test_it_refuses_to_remove_a_live_entry(phone: Api) -> None:
    take(phone)
    with pytest.raises(IntegrityError):
        execute("DELETE FROM food_entries")
    execute("UPDATE food_entries SET deleted_at = now()")
    assert execute("DELETE FROM food_entries") == 1


@pytest.mark.parametrize("table", ["products", "portions"])
def test_it_refuses_to_remove_what_an_entry_names(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], table: str
) -> None:
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"])
    phone.delete(f"/v1/products/{product['id']}")
    phone.delete(f"/v1/food-entries/{entry['id']}")
    row = {"products": product, "portions": portion}[table]
    with pytest.raises(IntegrityError):
        execute(f"DELETE FROM {table} WHERE id = %s", row["id"])
