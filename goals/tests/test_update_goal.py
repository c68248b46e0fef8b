"""PUT and PATCH /v1/goals/{id}."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from goals.serializers import METRICS
from tests.helpers.api import Api, offences

LATER = datetime(2030, 2, 5, tzinfo=UTC)


@pytest.fixture
def goal(phone: Api) -> dict[str, Any]:
    """A goal of 2000 kcal: 30, 40 and 30 %."""
    return phone.goal()


@pytest.fixture(params=["PUT", "PATCH"])
def update(request: pytest.FixtureRequest, phone: Api) -> Callable[..., Any]:
    """Update a goal at a later time, by either method."""

    def update(goal: dict[str, Any], body: Any) -> Any:
        with time_machine.travel(LATER, tick=False):
            return phone.request(request.param, f"/v1/goals/{goal['id']}", body)

    return update


def test_it_works(phone: Api, goal: dict[str, Any], update: Any) -> None:
    response = update(goal, {"daily_calories_kcal": 1800, "water_ml": 2500})
    assert response.status_code == 200
    assert response.json() == goal | {
        "daily_calories_kcal": 1800,
        "protein_grams": 135,
        "carbs_grams": 180,
        "fat_grams": 60,
        "water_ml": 2500,
        "updated_at": "2030-02-05T00:00:00Z",
    }
    assert phone.get("/v1/goals/current").json() == response.json()


def test_grams_follow_the_percents(goal: dict[str, Any], update: Any) -> None:
    changed = update(goal, {"protein_percent": 40, "carbs_percent": 30}).json()
    grams = [changed[f"{macro}_grams"] for macro in ("protein", "carbs", "fat")]
    assert grams == [200, 150, 66]


def test_a_calculated_goal_keeps_what_was_calculated(phone: Api, update: Any) -> None:
    goal = phone.post("/v1/goals/calculated", METRICS).json()
    changed = update(goal, {"daily_calories_kcal": 1600, "water_ml": 0}).json()
    differing = {name for name in goal if goal[name] != changed[name]}
    assert differing == {
        "daily_calories_kcal",
        "protein_grams",
        "carbs_grams",
        "fat_grams",
        "water_ml",
        "updated_at",
    }


@pytest.mark.parametrize(
    "body",
    [
        {"protein_percent": 31},
        {"protein_percent": 40, "carbs_percent": 40},
        {"protein_percent": 0, "carbs_percent": 0, "fat_percent": 0},
        {"protein_percent": 100, "carbs_percent": 100, "fat_percent": 100},
    ],
)
def test_percents_are_still_100_together(
    phone: Api, goal: dict[str, Any], update: Any, body: dict[str, int]
) -> None:
    assert offences(update(goal, body)) == [(["body"], "invalid")]
    assert phone.get("/v1/goals/current").json() == goal


@pytest.mark.parametrize(
    "body",
    [
        {"protein_grams": 1, "goal_type": "calculated"},
        {"gender": "nonsense", "target_weight_kg": -1, "bmr_kcal": None},
    ],
)
def test_metrics_and_what_follows_are_ignored(
    phone: Api, goal: dict[str, Any], update: Any, body: dict[str, Any]
) -> None:
    response = update(goal, body)
    assert (response.status_code, response.json()) == (200, goal)
    assert phone.get("/v1/goals/current").json() == goal
