"""PUT and PATCH /v1/goals/{id}."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from devices.models import Device
from goals.serializers import BY_HAND, METRICS
from tests.helpers.api import Api, offences, request_body
from tests.helpers.values import NOT_NUMBERS

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


@pytest.mark.parametrize("field", BY_HAND)
def test_targets_are_checked(phone: Api, goal: dict[str, Any], update: Any, field: str) -> None:
    low = "0" if field == "daily_calories_kcal" else "-1"
    high = "101" if field.endswith("percent") else "10001"
    cases = [(low, "min_value"), (high, "max_value"), ("null", "null"), *NOT_NUMBERS]
    for sent, code in cases:
        response = update(goal, request_body({}, **{field: sent}))
        assert offences(response) == [(["body", field], code)], sent


@pytest.mark.parametrize(
    "body",
    [
        {},
        BY_HAND,
        {"daily_calories_kcal": 2000.0},
        {"protein_grams": 1, "goal_type": "calculated", "colour": "red"},
        {"gender": "nonsense", "target_weight_kg": -1, "bmr_kcal": None},
        {"id": "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f", "created_at": "x"},
    ],
)
def test_other_fields_and_the_same_values_change_nothing(
    phone: Api, goal: dict[str, Any], update: Any, body: dict[str, Any]
) -> None:
    response = update(goal, body)
    assert (response.status_code, response.json()) == (200, goal)
    assert phone.get("/v1/goals/current").json() == goal


def test_a_whole_record_can_be_sent_back(phone: Api, update: Any) -> None:
    goal = phone.post("/v1/goals/calculated", METRICS).json()
    assert update(goal, goal).json() == goal
    changed = update(goal, goal | {"water_ml": 1}).json()
    assert changed == goal | {"water_ml": 1, "updated_at": "2030-02-05T00:00:00Z"}


def test_the_body_is_checked_before_the_goal_is_looked_up(phone: Api) -> None:
    path = "/v1/goals/0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
    assert offences(phone.patch(path, {"water_ml": -1})) == [(["body", "water_ml"], "min_value")]


@pytest.mark.django_db(transaction=True)
def test_only_a_change_raises_the_revision(phone: Api) -> None:
    path = f"/v1/goals/{phone.goal()['id']}"
    before = Device.objects.get().revision
    phone.patch(path, BY_HAND)
    assert Device.objects.get().revision == before
    phone.patch(path, {"water_ml": 1})
    assert Device.objects.get().revision == before + 1
