"""GET /v1/stats/streak."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine

from entries.models import FoodEntry
from tests.helpers.api import Api, offences
from tests.helpers.values import NOT_DAYS

PATH = "/v1/stats/streak"
TODAY = date(2024, 3, 2)


def log(phone: Api, *back: int) -> None:
    """Log an entry on each day so many days before TODAY."""
    for n in back:
        phone.entry(date=str(TODAY - timedelta(n)))


def streak(phone: Api, day: date = TODAY) -> tuple[int, int, int]:
    """Return the current and the longest run, and all days, as of a day."""
    answer = phone.get(f"{PATH}?date={day}").json()
    assert answer["date"] == str(day)
    return answer["current"], answer["longest"], answer["days_logged"]


def test_it_works(phone: Api) -> None:
    log(phone, 9, 8, 7, 6, 2, 1, 0)
    response = phone.get(f"{PATH}?date=2024-03-02")
    assert response.status_code == 200
    assert response.json() == {"date": "2024-03-02", "current": 3, "longest": 4, "days_logged": 7}
    assert list(response.json()) == ["date", "current", "longest", "days_logged"]


def test_without_an_entry_all_is_0(phone: Api, other: Api) -> None:
    log(other, 1, 0)
    assert streak(phone) == (0, 0, 0)


def test_a_day_not_yet_logged_breaks_nothing_until_it_is_over(phone: Api) -> None:
    log(phone, 3, 2, 1)
    assert streak(phone) == (3, 3, 3)
    assert streak(phone, TODAY + timedelta(1)) == (0, 3, 3)
    log(phone, 0)
    assert streak(phone) == (4, 4, 4)


def test_it_is_as_of_the_day(phone: Api) -> None:
    log(phone, 5, 4, 3, 1, 0)
    assert streak(phone, TODAY - timedelta(3)) == (3, 3, 3)
    assert streak(phone, TODAY - timedelta(4)) == (2, 2, 2)
    assert streak(phone, TODAY - timedelta(6)) == (0, 0, 0)


def test_several_entries_make_one_day(phone: Api) -> None:
    log(phone, 1, 0, 0, 0)
    assert streak(phone) == (2, 2, 2)


def test_it_counts_the_day_logged_and_not_when(phone: Api) -> None:
    log(phone, 2, 0)
    assert streak(phone) == (1, 1, 2)
    with time_machine.travel(datetime(2024, 6, 1, tzinfo=UTC), tick=False):
        log(phone, 1)
    assert streak(phone) == (3, 3, 3)


def test_a_deleted_entry_leaves_a_gap(phone: Api) -> None:
    log(phone, 2, 0)
    entry = phone.entry(date=str(TODAY - timedelta(1)))
    phone.delete(f"/v1/food-entries/{entry['id']}")
    assert streak(phone) == (1, 1, 2)


def test_it_runs_over_a_leap_day(phone: Api) -> None:
    for day in ("2024-02-28", "2024-03-01", "2024-03-02"):
        phone.entry(date=day)
    assert streak(phone) == (2, 2, 3)
    phone.entry(date="2024-02-29")
    assert streak(phone) == (4, 4, 4)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_any_day_of_the_calendar_will_do(phone: Api, day: str) -> None:
    log(phone, 0)
    assert streak(phone, date.fromisoformat(day))[0] == 0


def test_the_date_is_required_and_checked(phone: Api) -> None:
    assert offences(phone.get(PATH)) == [(["query", "date"], "required")]
    for day in NOT_DAYS:
        assert offences(phone.get(f"{PATH}?date={day}")) == [(["query", "date"], "invalid")]


def test_it_takes_two_queries_however_long_the_diary(
    phone: Api, django_assert_num_queries: Any
) -> None:
    FoodEntry.objects.for_device(phone.device).bulk_create(
        FoodEntry(
            device=phone.device, date=TODAY - timedelta(n), meal_type=meal, name="Soup", kcal=1
        )
        for n in range(1000)
        for meal in ("lunch", "dinner")
    )
    with django_assert_num_queries(2):
        assert streak(phone) == (1000, 1000, 1000)
