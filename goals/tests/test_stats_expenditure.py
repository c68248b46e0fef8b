"""GET /v1/stats/expenditure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from entries.models import FoodEntry
from goals.models import BodyWeight
from tests.helpers.api import Api, offences
from tests.helpers.values import NOT_DAYS

FIRST = date(2024, 2, 20)


def path(first: Any, last: Any) -> str:
    """Return the address of a range."""
    return f"/v1/stats/expenditure?from={first}&to={last}"


def eat(phone: Api, days: Any, kcal: Any = 2000) -> None:
    """Log one entry on each day from FIRST on."""
    FoodEntry.objects.for_device(phone.device).bulk_create(
        FoodEntry(
            device=phone.device,
            date=FIRST + timedelta(day),
            meal_type="lunch",
            name="Soup",
            kcal=kcal,
        )
        for day in days
    )


def weigh(phone: Api, weights: dict[int, Any]) -> None:
    """Note weights by their days from FIRST on."""
    BodyWeight.objects.for_device(phone.device).bulk_create(
        BodyWeight(device=phone.device, date=FIRST + timedelta(day), weight_kg=weight_kg)
        for day, weight_kg in weights.items()
    )


def found(phone: Api, first: int = 0, last: int = 27) -> dict[str, Any]:
    """Return the answer for a range of days from FIRST on."""
    response = phone.get(path(FIRST + timedelta(first), FIRST + timedelta(last)))
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def test_it_works(phone: Api) -> None:
    eat(phone, range(28))
    weigh(phone, {day: 80 - day / 14 for day in range(0, 28, 7)})
    assert found(phone) == {
        "from": "2024-02-20",
        "to": "2024-03-18",
        "logged_days": 28,
        "weighings": 4,
        "kcal_per_day": 2550,
    }
    assert list(found(phone)) == ["from", "to", "logged_days", "weighings", "kcal_per_day"]


def test_the_mean_is_over_the_days_logged(phone: Api) -> None:
    eat(phone, range(0, 28, 2), 1500)
    eat(phone, range(0, 28, 2), 500.5)
    weigh(phone, {0: 80, 27: 80})
    answer = found(phone)
    assert (answer["logged_days"], answer["kcal_per_day"]) == (14, 2001)


def test_weighings_need_not_stand_on_days_logged(phone: Api) -> None:
    eat(phone, range(14))
    weigh(phone, {14: 79, 28: 78})
    assert found(phone, 0, 28)["kcal_per_day"] == 2550


def test_the_slope_is_that_of_least_squares(phone: Api) -> None:
    eat(phone, range(28))
    weigh(phone, {0: 80, 7: 81, 14: 79, 21: 80, 27: 78})
    assert found(phone)["kcal_per_day"] == 2556


def test_weight_put_on_may_be_more_than_was_eaten(phone: Api) -> None:
    eat(phone, range(14), 100)
    weigh(phone, {0: 80, 14: 82})
    assert found(phone)["kcal_per_day"] == -1000


@pytest.mark.parametrize(("days", "kcal"), [(0, None), (13, None), (14, 2000)])
def test_with_fewer_than_14_days_logged_it_is_null(phone: Api, days: int, kcal: int | None) -> None:
    eat(phone, range(days))
    weigh(phone, {0: 80, 27: 80})
    answer = found(phone)
    assert (answer["logged_days"], answer["weighings"]) == (days, 2)
    assert answer["kcal_per_day"] == kcal


@pytest.mark.parametrize(
    ("weighed", "kcal"), [([], None), ([3], None), ([0, 6, 13], None), ([0, 14], 2000)]
)
def test_with_weighings_less_than_14_days_apart_it_is_null(
    phone: Api, weighed: list[int], kcal: int | None
) -> None:
    eat(phone, range(28))
    weigh(phone, dict.fromkeys(weighed, 80))
    answer = found(phone)
    assert (answer["logged_days"], answer["weighings"]) == (28, len(weighed))
    assert answer["kcal_per_day"] == kcal


def test_both_ends_are_included_and_nothing_else(phone: Api) -> None:
    eat(phone, range(-1, 16))
    weigh(phone, {-1: 500, 0: 80, 14: 80, 15: 500})
    answer = found(phone, 0, 14)
    assert (answer["logged_days"], answer["weighings"]) == (15, 2)
    assert answer["kcal_per_day"] == 2000


def test_deleted_rows_and_another_device_do_not_count(phone: Api, other: Api) -> None:
    eat(phone, range(28))
    weigh(phone, {0: 80, 27: 80})
    for each in (FoodEntry, BodyWeight):
        each.objects.for_device(phone.device).delete()
    eat(phone, range(13))
    eat(other, range(28), 500)
    weigh(other, {0: 80, 27: 60})
    answer = found(phone)
    assert (answer["logged_days"], answer["weighings"]) == (13, 0)


def test_a_range_may_be_as_long_as_one_likes(phone: Api) -> None:
    eat(phone, range(14))
    weigh(phone, {0: 80, 14: 80})
    answer = phone.get(path("0001-01-01", "9999-12-31")).json()
    assert answer["kcal_per_day"] == 2000


def test_from_and_to_are_required_and_checked(phone: Api) -> None:
    assert offences(phone.get("/v1/stats/expenditure?from=2025-02-05")) == [
        (["query", "to"], "required")
    ]
    assert [loc for loc, _ in offences(phone.get(path("2025-02-06", "2025-02-05")))] == [["query"]]
    for day in NOT_DAYS:
        assert offences(phone.get(path(FIRST, day))) == [(["query", "to"], "invalid")]


def test_it_takes_three_queries_however_long_the_range(
    phone: Api, django_assert_num_queries: Any
) -> None:
    eat(phone, range(400))
    weigh(phone, dict.fromkeys(range(400), 80))
    for last in (1, 399):
        with django_assert_num_queries(3):
            found(phone, 0, last)
