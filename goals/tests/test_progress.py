"""GET /v1/goals/progress."""

from __future__ import annotations

from typing import Any

import pytest

from products.nutrients import OPTIONAL
from tests.helpers.api import Api, offences
from tests.helpers.diary import NOTHING
from tests.helpers.values import NOT_DAYS

PATH = "/v1/goals/progress"


def progress(phone: Api, day: str = "2025-02-05") -> dict[str, Any]:
    """Return the progress of a day."""
    response = phone.get(f"{PATH}?date={day}")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


def test_it_works(phone: Api) -> None:
    goal = phone.goal()
    phone.entry(kcal=800.25, protein=40.5, carbs=100)
    phone.entry(kcal=0.5, fat=70, meal_type="dinner")
    phone.water(ml=250)
    phone.water(ml=500)
    found = progress(phone)
    assert found == {
        "date": "2025-02-05",
        "goal": goal,
        "eaten": NOTHING | {"kcal": 800.75, "protein": 40.5, "carbs": 100, "fat": 70},
        "unknown": dict.fromkeys(OPTIONAL, 2) | {"protein": 1, "carbs": 1, "fat": 1},
        "left": {"kcal": 1199.25, "protein": 109.5, "carbs": 100, "fat": -4, "water_ml": 1250},
        "water_ml": 750,
    }
    assert list(found) == ["date", "goal", "eaten", "unknown", "left", "water_ml"]


def test_without_a_goal_nothing_is_left(phone: Api) -> None:
    phone.entry(kcal=1)
    phone.water(ml=1)
    found = progress(phone)
    assert (found["goal"], found["left"]) == (None, None)
    assert (found["eaten"]["kcal"], found["water_ml"]) == (1, 1)


def test_on_a_day_without_anything_all_is_left(phone: Api) -> None:
    phone.goal()
    for day in ("2025-02-05", "0001-01-01", "9999-12-31"):
        found = progress(phone, day)
        assert (found["eaten"], found["unknown"], found["water_ml"]) == (NOTHING, {}, 0)
        assert found["left"] == {
            "kcal": 2000,
            "protein": 150,
            "carbs": 200,
            "fat": 66,
            "water_ml": 2000,
        }


def test_what_is_left_may_be_negative(phone: Api) -> None:
    phone.goal(daily_calories_kcal=100, water_ml=0)
    phone.entry(kcal=10_000, protein=1000)
    phone.water(ml=10_000)
    left = progress(phone)["left"]
    assert (left["kcal"], left["water_ml"]) == (-9900, -10_000)
    assert left["protein"] < 0


def test_deleted_rows_other_days_and_another_device_do_not_count(phone: Api, other: Api) -> None:
    phone.delete(f"/v1/food-entries/{phone.entry()['id']}")
    phone.delete(f"/v1/water-entries/{phone.water()['id']}")
    phone.delete(f"/v1/goals/{phone.goal()['id']}")
    phone.entry(date="2025-02-04"), phone.water(date="2025-02-06")
    other.entry(), other.water(), other.goal()
    found = progress(phone)
    assert (found["goal"], found["eaten"], found["water_ml"]) == (None, NOTHING, 0)


def test_the_goal_is_the_current_one_whatever_the_day(phone: Api) -> None:
    goal = phone.goal()
    assert progress(phone, "2020-01-01")["goal"] == goal


def test_the_date_is_required_and_checked(phone: Api) -> None:
    assert offences(phone.get(PATH)) == [(["query", "date"], "required")]
    for day in NOT_DAYS:
        assert offences(phone.get(f"{PATH}?date={day}")) == [(["query", "date"], "invalid")]


def test_it_takes_four_queries(phone: Api, django_assert_num_queries: Any) -> None:
    phone.goal()
    for meal_type in ("breakfast", "lunch", "dinner"):
        phone.entry(meal_type=meal_type)
        phone.water()
    with django_assert_num_queries(4):
        progress(phone)


@pytest.mark.django_db(transaction=True)
def test_every_write_of_the_device_changes_the_etag(phone: Api) -> None:
    tags = [phone.get(f"{PATH}?date=2025-02-05").headers["ETag"]]
    for write in (phone.goal, phone.entry, phone.water):
        write()
        tags.append(phone.get(f"{PATH}?date=2025-02-05").headers["ETag"])
    assert len(set(tags)) == 4
