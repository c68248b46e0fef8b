"""GET /v1/stats/day/{date}."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from products.nutrients import NAMES, OPTIONAL
from tests.helpers.api import Api, new_phone
from tests.helpers.diary import ENTRIES, NOTHING, sums

PATH = "/v1/stats/day"


def unknown(entries: list[dict[str, Any]]) -> dict[str, int]:
    """Return of how many entries each nutrient is null."""
    counts = {name: sum(entry[name] is None for entry in entries) for name in OPTIONAL}
    return {name: count for name, count in counts.items() if count}


def sent(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry with numbers that JSON has."""
    return {
        name: float(value) if isinstance(value, Decimal) else value for name, value in entry.items()
    }


def test_it_works(phone: Api) -> None:
    phone.entry(meal_type="lunch", kcal=250.25, protein=1.5, carbs=20, fat=3)
    phone.entry(meal_type="lunch", kcal=100, protein=None, carbs=0.1)
    phone.entry(meal_type="breakfast", kcal=50, fat=2)
    response = phone.get(f"{PATH}/2025-02-05")
    assert response.status_code == 200
    lunch = NOTHING | {"kcal": 350.25, "protein": 1.5, "carbs": 20.1, "fat": 3}
    breakfast = NOTHING | {"kcal": 50, "fat": 2}
    assert response.json() == {
        "date": "2025-02-05",
        "entries": 3,
        "totals": NOTHING | {"kcal": 400.25, "protein": 1.5, "carbs": 20.1, "fat": 5},
        "unknown": dict.fromkeys(OPTIONAL, 3) | {"protein": 2, "carbs": 1, "fat": 1},
        "by_meal_type": {"breakfast": breakfast, "lunch": lunch},
    }
    assert list(response.json()) == ["date", "entries", "totals", "unknown", "by_meal_type"]
    assert list(response.json()["totals"]) == list(NAMES)


def test_unknown_counts_the_entries_whose_nutrient_is_null_where_there_are_any(
    phone: Api,
) -> None:
    known = dict.fromkeys(OPTIONAL, 1)
    for nutrients in (known, known | {"fiber": None}, known | {"fiber": None, "salt": None}):
        phone.entry(**nutrients)
    assert phone.get(f"{PATH}/2025-02-05").json()["unknown"] == {"fiber": 2, "salt": 1}


def test_a_day_of_which_all_is_known_has_nothing_unknown(phone: Api) -> None:
    phone.entry(**dict.fromkeys(OPTIONAL, 0))
    assert phone.get(f"{PATH}/2025-02-05").json()["unknown"] == {}


@pytest.mark.parametrize("day", ["2025-02-05", "0001-01-01", "9999-12-31", "2024-02-29"])
def test_a_day_without_entries_is_zero(phone: Api, day: str) -> None:
    assert phone.get(f"{PATH}/{day}").json() == {
        "date": day,
        "entries": 0,
        "totals": NOTHING,
        "unknown": {},
        "by_meal_type": {},
    }


@pytest.mark.parametrize("day", ["2000-01-01", "2100-12-31"])
def test_the_first_and_the_last_day_of_the_diary(phone: Api, day: str) -> None:
    phone.entry(date=day, kcal=1)
    assert phone.get(f"{PATH}/{day}").json()["totals"]["kcal"] == 1


def test_sums_are_exact(phone: Api) -> None:
    for kcal in (0.1, 0.2, 9999.99):
        phone.entry(kcal=kcal, fat=0.1)
    content = phone.get(f"{PATH}/2025-02-05").content
    assert b'"kcal":10000.29,' in content
    assert b'"fat":0.3,' in content


def test_deleted_entries_other_days_and_another_device_do_not_count(phone: Api, other: Api) -> None:
    phone.entry(kcal=1)
    deleted = phone.entry(kcal=10, meal_type="dinner")
    phone.delete(f"/v1/food-entries/{deleted['id']}")
    phone.entry(kcal=100, date="2025-02-04")
    phone.entry(kcal=1000, date="2025-02-06")
    other.entry(kcal=10_000)
    day = phone.get(f"{PATH}/2025-02-05").json()
    assert (day["entries"], day["totals"]["kcal"]) == (1, 1)
    assert list(day["by_meal_type"]) == ["lunch"]


def test_entries_count_as_they_were_logged(phone: Api) -> None:
    product = phone.product(kcal_100g=100)
    phone.entry(product_id=product["id"], grams=150)
    phone.patch(f"/v1/products/{product['id']}", {"kcal_100g": 900})
    phone.delete(f"/v1/products/{product['id']}")
    assert phone.get(f"{PATH}/2025-02-05").json()["totals"]["kcal"] == 150


def test_a_malformed_day_is_404(phone: Api) -> None:
    for day in (
        "today",
        "2025-2-5",
        "20250205",
        "2025-02-29",
        "2025-13-01",
        "0000-01-01",
        "10000-01-01",
        "2025-02-05T00:00:00Z",
        "2025-02-05%0A",
        "2025-W06-3",
        "%D9%A2025-02-05",
        "%00",
    ):
        response = phone.get(f"{PATH}/{day}")
        assert response.status_code == 404, day
        assert response.json() == {"detail": "Not found"}


def test_it_takes_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    for meal_type in ("breakfast", "lunch", "dinner", "snacks"):
        phone.entry(meal_type=meal_type)
    with django_assert_num_queries(2):
        phone.get(f"{PATH}/2025-02-05")


@given(entries=st.lists(ENTRIES, max_size=6))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_totals_are_the_exact_sums_of_the_entries(db: None, entries: list[dict[str, Any]]) -> None:
    phone = new_phone()
    for entry in entries:
        phone.entry(**sent(entry))
    meals = {entry["meal_type"] for entry in entries}
    assert phone.get(f"{PATH}/2025-02-05").json() == {
        "date": "2025-02-05",
        "entries": len(entries),
        "totals": sums(entries),
        "unknown": unknown(entries),
        "by_meal_type": {
            meal: sums([entry for entry in entries if entry["meal_type"] == meal]) for meal in meals
        },
    }


@pytest.mark.django_db(transaction=True)
def test_only_a_write_of_the_device_changes_the_etag(phone: Api, other: Api) -> None:
    before = phone.get(f"{PATH}/2025-02-05").headers["ETag"]
    other.entry()
    assert phone.get(f"{PATH}/2025-02-05").headers["ETag"] == before
    phone.entry()
    assert phone.get(f"{PATH}/2025-02-05").headers["ETag"] != before
