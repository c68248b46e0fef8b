"""GET /v1/foods."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from catalog.models import POPULAR_SCANS, Food
from tests.helpers.api import Api, offences
from tests.helpers.catalog import new_food


def find(phone: Api, text: str, **query: Any) -> list[tuple[str, str]]:
    """Return what a search finds, in order: whether it is a product or a food, and its name."""
    rows = phone.get(f"/v1/foods?{urlencode({'search': text, **query})}").json()
    assert all((row["product"] is None) != (row["food"] is None) for row in rows)
    return [
        ("product", row["product"]["name"]) if row["product"] else ("food", row["food"]["name"])
        for row in rows
    ]


def test_rows_are_what_the_calls_of_each_kind_answer(phone: Api) -> None:
    product = phone.product(name="Apple")
    food = new_food("Apple juice")
    assert phone.get("/v1/foods?search=apple").json() == [
        {"product": phone.get(f"/v1/products/{product['id']}").json(), "food": None},
        {"product": None, "food": phone.get(f"/v1/catalog/foods/{food.pk}").json()},
    ]


def test_own_products_come_first_among_equals_and_better_matches_before_them(phone: Api) -> None:
    for name in ("Apple", "Apple pie", "Green apple"):
        new_food(name, is_generic=True)
        phone.product(name=name)
    assert find(phone, "apple") == [
        ("product", "Apple"),
        ("food", "Apple"),
        ("product", "Apple pie"),
        ("food", "Apple pie"),
        ("product", "Green apple"),
        ("food", "Green apple"),
    ]


def test_own_products_come_before_doubtful_foods(phone: Api) -> None:
    new_food("Apple", doubtful=True)
    phone.product(name="Green apple")
    assert find(phone, "apple") == [("product", "Green apple"), ("food", "Apple")]


def test_a_food_that_was_copied_is_there_only_as_its_product(phone: Api, other: Api) -> None:
    food = new_food("Apple")
    product = phone.post(f"/v1/catalog/foods/{food.pk}/copy").json()
    assert find(phone, "apple") == [("product", "Apple")]
    assert find(other, "apple") == [("food", "Apple")]
    phone.patch(f"/v1/products/{product['id']}", {"name": "My breakfast"})
    assert find(phone, "apple") == [("product", "My breakfast")]
    phone.delete(f"/v1/products/{product['id']}")
    assert find(phone, "apple") == [("food", "Apple")]


def test_products_of_others_are_not_there(phone: Api, other: Api) -> None:
    other.product(name="Apple")
    assert find(phone, "apple") == []


@pytest.mark.parametrize("text", ["96385074", " 9638-5074 "])
def test_the_digits_of_a_barcode_find_both(phone: Api, text: str) -> None:
    new_food("Soup of the catalog", barcode="96385074")
    phone.product(name="My soup", barcode="0000096385074")
    assert find(phone, text) == [("product", "My soup"), ("food", "Soup of the catalog")]


def test_the_language_and_the_limit_are_kept(phone: Api) -> None:
    for language in ("de", "en"):
        new_food("Banana", language=language, source_id=language, brand=language)
    rows = phone.get("/v1/foods?search=banana&language=en&limit=1").json()
    assert [row["food"]["brand"] for row in rows] == ["en"]


def test_the_limit_is_20_without_one(phone: Api) -> None:
    for number in range(15):
        new_food(f"Apple {number}")
        phone.product(name=f"Apple {number}")
    assert len(find(phone, "apple")) == 20
    assert len(find(phone, "apple", limit=50)) == 30


@pytest.mark.parametrize(
    ("query", "place", "code"),
    [
        ("", "search", "required"),
        ("search=", "search", "blank"),
        ("search=a&limit=51", "limit", "max_value"),
        ("search=a&limit=0", "limit", "min_value"),
        ("search=a&language=e", "language", "invalid"),
    ],
)
def test_wrong_parameters_are_422(phone: Api, query: str, place: str, code: str) -> None:
    assert offences(phone.get(f"/v1/foods?{query}")) == [(["query", place], code)]


def test_a_text_without_letters_and_digits_finds_nothing(phone: Api) -> None:
    phone.product()
    new_food()
    assert find(phone, "?!") == []


def test_the_etag_changes_with_the_catalog_and_with_the_device(phone: Api, other: Api) -> None:
    def etag() -> str:
        return str(phone.get("/v1/foods?search=a").headers["ETag"])

    first = etag()
    other.product()
    assert etag() == first
    phone.product()
    second = etag()
    food = new_food(popularity=POPULAR_SCANS)
    third = etag()
    Food.objects.filter(pk=food.pk).update(name="Other")
    assert len({first, second, third, etag()}) == 4
