"""GET /v1/stats/daily."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entries.models import FoodEntry
from products.nutrients import NAMES
from tests.helpers.api import Api, new_phone, offences
from tests.helpers.diary import ENTRIES, NOTHING, sums
from tests.helpers.values import NOT_DAYS

FIRST = date(2024, 2, 27)


def path(first: str, last: str) -> str:
    """Return the address of a range."""
    return f"/v1/stats/daily?from={first}&to={last}"


def test_it_works(phone: Api) -> None:
    phone.entry(date="2025-02-04", kcal=100, protein=10)
    phone.entry(date="2025-02-04", kcal=50, fat=1)
    phone.entry(date="2025-02-06", kcal=200.5)
    response = phone.get(path("2025-02-03", "2025-02-06"))
    assert response.status_code == 200
    assert response.json() == {
        "from": "2025-02-03",
        "to": "2025-02-06",
        "days": [
            {"date": "2025-02-03", "entries": 0, "totals": NOTHING},
            {
                "date": "2025-02-04",
                "entries": 2,
                "totals": NOTHING | {"kcal": 150, "protein": 10, "fat": 1},
            },
            {"date": "2025-02-05", "entries": 0, "totals": NOTHING},
            {"date": "2025-02-06", "entries": 1, "totals": NOTHING | {"kcal": 200.5}},
        ],
        "average": NOTHING | {"kcal": 175.25, "protein": 5, "fat": 0.5},
    }
    assert list(response.json()) == ["from", "to", "days", "average"]


def test_without_any_entry_all_is_zero(phone: Api) -> None:
    answer = phone.get(path("2025-02-05", "2025-02-06")).json()
    assert answer["average"] == NOTHING
    assert [day["totals"] for day in answer["days"]] == [NOTHING] * 2


def test_from_and_to_may_be_one_day(phone: Api) -> None:
    phone.entry(date="2025-02-04", kcal=1)
    phone.entry(date="2025-02-05", kcal=10)
    phone.entry(date="2025-02-06", kcal=100)
    answer = phone.get(path("2025-02-05", "2025-02-05")).json()
    assert [day["totals"]["kcal"] for day in answer["days"]] == [10]
    assert answer["average"]["kcal"] == 10


@pytest.mark.parametrize(
    ("kcal", "average"),
    [
        ([0.01, 0], 0.01),
        ([0.05, 0], 0.03),
        ([0.02, 0, 0], 0.01),
        ([0.01, 0, 0], 0),
        ([1, 1, 0], 0.67),
        ([10_000, 10_000, 9_999.99], 10_000),
        ([0, 0], 0),
    ],
)
def test_the_average_is_over_days_with_an_entry_and_rounded_half_up(
    phone: Api, kcal: list[float], average: float
) -> None:
    for n, value in enumerate(kcal):
        phone.entry(date=str(FIRST + 2 * timedelta(n)), kcal=value, fat=min(value, 1000))
    answer = phone.get(path("2024-01-01", "2024-12-31")).json()["average"]
    assert answer["kcal"] == average
    assert answer["fat"] == min(average, 1000)


def test_deleted_entries_and_another_device_do_not_count(phone: Api, other: Api) -> None:
    phone.entry(kcal=1)
    deleted = phone.entry(kcal=10, date="2025-02-06")
    phone.delete(f"/v1/food-entries/{deleted['id']}")
    other.entry(kcal=1000, date="2025-02-06")
    answer = phone.get(path("2025-02-05", "2025-02-06")).json()
    assert [day["entries"] for day in answer["days"]] == [1, 0]
    assert answer["average"]["kcal"] == 1


@pytest.mark.parametrize(
    ("first", "last", "count"),
    [
        ("2024-01-01", "2024-12-31", 366),
        ("2023-01-01", "2024-01-01", 366),
        ("2023-01-01", "2023-12-31", 365),
        ("2024-02-28", "2024-03-01", 3),
        ("2025-02-28", "2025-03-01", 2),
        ("2100-02-28", "2100-03-01", 2),
        ("2000-02-28", "2000-03-01", 3),
        ("0001-01-01", "0001-01-01", 1),
        ("0001-01-01", "0001-12-31", 365),
        ("9999-12-31", "9999-12-31", 1),
        ("9999-01-01", "9999-12-31", 365),
    ],
)
def test_every_day_of_the_range_is_answered_once_in_order(
    phone: Api, first: str, last: str, count: int
) -> None:
    answer = phone.get(path(first, last)).json()
    days = [day["date"] for day in answer["days"]]
    assert (days[0], days[-1], len(days)) == (first, last, count)
    assert days == sorted(set(days))


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2024-01-01", "2025-01-01"),
        ("2023-01-01", "2024-01-02"),
        ("0001-01-01", "9999-12-31"),
        ("9998-12-30", "9999-12-31"),
    ],
)
def test_more_than_366_days_are_refused(phone: Api, first: str, last: str) -> None:
    assert [loc for loc, _ in offences(phone.get(path(first, last)))] == [["query"]]


@pytest.mark.parametrize(
    ("first", "last"), [("2025-02-06", "2025-02-05"), ("9999-12-31", "0001-01-01")]
)
def test_from_after_to_is_refused(phone: Api, first: str, last: str) -> None:
    assert [loc for loc, _ in offences(phone.get(path(first, last)))] == [["query"]]


@pytest.mark.parametrize(
    ("query", "missing"),
    [("", ["from", "to"]), ("?from=2025-02-05", ["to"]), ("?to=2025-02-05", ["from"])],
)
def test_from_and_to_are_required(phone: Api, query: str, missing: list[str]) -> None:
    response = phone.get(f"/v1/stats/daily{query}")
    assert offences(response) == [(["query", name], "required") for name in missing]


def test_days_are_checked(phone: Api) -> None:
    for day in NOT_DAYS:
        assert offences(phone.get(path(day, "2025-02-05"))) == [(["query", "from"], "invalid")]
        assert offences(phone.get(path("2025-02-05", day))) == [(["query", "to"], "invalid")]


def test_unknown_parameters_are_ignored(phone: Api) -> None:
    response = phone.get(path("2025-02-05", "2025-02-05") + "&limit=0&colour=red")
    assert response.status_code == 200


def test_it_takes_two_queries_however_long_the_range(
    phone: Api, django_assert_num_queries: Any
) -> None:
    FoodEntry.objects.for_device(phone.device).bulk_create(
        FoodEntry(
            device=phone.device,
            date=date(2024, 1, 1) + timedelta(n),
            meal_type="lunch",
            name="Soup",
            kcal=n,
        )
        for n in range(366)
    )
    with django_assert_num_queries(2):
        phone.get(path("2024-01-01", "2024-01-01"))
    with django_assert_num_queries(2):
        answer = phone.get(path("2024-01-01", "2024-12-31")).json()
    assert [day["totals"]["kcal"] for day in answer["days"]] == list(range(366))


@given(entries=st.lists(st.tuples(st.integers(0, 5), ENTRIES), max_size=8))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_totals_and_average_are_exact(db: None, entries: list[tuple[int, dict[str, Any]]]) -> None:
    phone = new_phone()
    assert phone.device is not None
    FoodEntry.objects.for_device(phone.device).bulk_create(
        FoodEntry(device=phone.device, date=FIRST + timedelta(n), name="Soup", **entry)
        for n, entry in entries
    )
    answer = phone.get(path(str(FIRST), str(FIRST + timedelta(5)))).json()
    by_day = [[entry for day, entry in entries if day == n] for n in range(6)]
    assert answer["days"] == [
        {"date": str(FIRST + timedelta(n)), "entries": len(logged), "totals": sums(logged)}
        for n, logged in enumerate(by_day)
    ]
    count = sum(1 for logged in by_day if logged) or 1
    assert answer["average"] == {
        name: float(
            (sum((entry[name] or Decimal(0) for _, entry in entries), Decimal(0)) / count).quantize(
                Decimal("0.01"), ROUND_HALF_UP
            )
        )
        for name in NAMES
    }
