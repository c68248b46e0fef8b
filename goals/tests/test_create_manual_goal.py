"""POST /v1/goals/manual."""

from __future__ import annotations

from typing import Any

import pytest

from goals.models import Goal
from goals.serializers import BY_HAND, MANUAL, METRICS
from tests.helpers.api import Api, offences

PATH = "/v1/goals/manual"
ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
PERCENTS = ["protein_percent", "carbs_percent", "fat_percent"]


def test_it_works(phone: Api) -> None:
    response = phone.post(PATH, BY_HAND)
    assert response.status_code == 201
    written = {name: response.json()[name] for name in ("id", "created_at")}
    assert response.json() == MANUAL | written
    assert phone.get("/v1/goals/current").json() == response.json()


@pytest.mark.parametrize(
    ("targets", "grams"),
    [
        ({"daily_calories_kcal": 2001}, [150, 200, 66]),
        ({"daily_calories_kcal": 1}, [0, 0, 0]),
        ({"daily_calories_kcal": 10_000}, [750, 1000, 333]),
        ({"protein_percent": 0, "carbs_percent": 0, "fat_percent": 100}, [0, 0, 222]),
        ({"protein_percent": 100, "carbs_percent": 0, "fat_percent": 0}, [500, 0, 0]),
    ],
)
def test_grams_follow(phone: Api, targets: dict[str, int], grams: list[int]) -> None:
    goal = phone.goal(**targets)
    assert [goal[f"{macro}_grams"] for macro in ("protein", "carbs", "fat")] == grams


def test_it_takes_the_place_of_the_one_before(phone: Api) -> None:
    before = phone.post("/v1/goals/calculated", METRICS).json()
    goal = phone.goal()
    assert phone.get("/v1/goals/current").json() == goal
    assert phone.get(f"/v1/goals/{before['id']}").status_code == 404
    assert Goal.all_objects.across_devices().count() == 2


@pytest.mark.parametrize("field", PERCENTS)
@pytest.mark.parametrize("by", [-1, 1])
def test_percents_are_100_together(phone: Api, field: str, by: int) -> None:
    response = phone.post(PATH, BY_HAND | {field: BY_HAND[field] + by})
    assert offences(response) == [(["body"], "invalid")]


def test_metrics_and_what_follows_are_ignored(phone: Api) -> None:
    sent = METRICS | {"gender": "x", "goal_type": "calculated", "protein_grams": 1, "bmr_kcal": 1}
    goal = phone.goal(**sent)
    assert goal == MANUAL | {name: goal[name] for name in ("id", "created_at")}


def test_the_id_of_a_replaced_goal_is_409(phone: Api) -> None:
    phone.goal(id=ID)
    current = phone.goal()
    response = phone.post(PATH, BY_HAND | {"id": ID})
    assert (response.status_code, response.json()) == (409, {"detail": "ID already in use"})
    assert phone.get("/v1/goals/current").json() == current


def test_it_costs_the_same_whether_there_was_one_before(
    phone: Api, django_assert_max_num_queries: Any
) -> None:
    for _ in range(2):
        with django_assert_max_num_queries(7):
            phone.post(PATH, BY_HAND)
