"""POST /v1/goals/calculated."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from goals.models import Goal
from goals.serializers import CALCULATED, CALCULATION, METRICS
from goals.tests.maintain import MAINTAIN, NOW
from tests.helpers.api import Api, offences
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/goals/calculated"
ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
PERCENTS = {"protein_percent": 40, "carbs_percent": 30, "fat_percent": 30}


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """Keep to one day, which ages depend on."""
    with time_machine.travel(NOW, tick=False):
        yield


def goals(phone: Api) -> list[Goal]:
    """Return the live goals of a device."""
    assert phone.device is not None
    return list(Goal.objects.for_device(phone.device))


def test_it_works(phone: Api) -> None:
    response = phone.post(PATH, METRICS)
    assert response.status_code == 201
    assert response.json() == CALCULATED | {
        "id": response.json()["id"],
        "created_at": "2025-02-05T12:00:00Z",
    }
    assert set(response.json()) == set(CALCULATED)


def test_it_is_what_the_preview_said(phone: Api) -> None:
    preview = phone.post("/v1/goals/calculate", METRICS).json()
    goal = phone.post(PATH, METRICS).json()
    assert {name: goal[name] for name in preview} == preview


def test_it_is_the_current_goal(phone: Api) -> None:
    goal = phone.post(PATH, METRICS).json()
    assert phone.get("/v1/goals/current").json() == goal
    assert phone.get(f"/v1/goals/{goal['id']}").json() == goal


def test_it_takes_the_place_of_the_one_before(phone: Api, other: Api) -> None:
    theirs = other.goal()
    before, goal = phone.goal(), phone.post(PATH, METRICS).json()
    assert phone.get(f"/v1/goals/{before['id']}").status_code == 404
    assert [str(row.pk) for row in goals(phone)] == [goal["id"]]
    assert Goal._base_manager.get(pk=before["id"]).deleted_at == NOW
    assert other.get("/v1/goals/current").json() == theirs


def test_a_refused_one_leaves_the_one_before(phone: Api) -> None:
    before = phone.goal()
    for refused in (METRICS | {"target_weight_kg": 80}, METRICS | {"id": "x"}, {}):
        assert phone.post(PATH, refused).status_code == 422
    assert phone.get("/v1/goals/current").json() == before


def test_percents_and_water_may_be_chosen(phone: Api) -> None:
    goal = phone.post(PATH, METRICS | PERCENTS | {"water_ml": 2500}).json()
    assert {name: goal[name] for name in PERCENTS} == PERCENTS
    assert goal["water_ml"] == 2500
    assert [goal[f"{macro}_grams"] for macro in ("protein", "carbs", "fat")] == [148, 111, 49]
    kept = {name for name in CALCULATION if goal[name] == CALCULATION[name]}
    assert kept >= {"bmr_kcal", "tdee_kcal", "daily_calories_kcal", "current_bmi"}


def test_null_means_not_chosen(phone: Api) -> None:
    goal = phone.post(PATH, METRICS | dict.fromkeys(PERCENTS) | {"water_ml": None}).json()
    assert goal["water_ml"] == CALCULATION["water_ml"]
    assert goal["protein_percent"] == CALCULATION["protein_percent"]


@pytest.mark.parametrize(
    "chosen",
    [
        {"protein_percent": 0, "carbs_percent": 0, "fat_percent": 100},
        {"protein_percent": 100, "carbs_percent": 0, "fat_percent": 0},
        {"protein_percent": 33, "carbs_percent": 33, "fat_percent": 34},
    ],
)
def test_percents_may_be_0_to_100(phone: Api, chosen: dict[str, int]) -> None:
    goal = phone.post(PATH, METRICS | chosen).json()
    assert {name: goal[name] for name in chosen} == chosen


@pytest.mark.parametrize("names", [["protein_percent"], ["carbs_percent", "fat_percent"]])
@pytest.mark.parametrize("others", ["left out", "null"])
def test_percents_are_all_or_none(phone: Api, names: list[str], others: str) -> None:
    chosen: dict[str, Any] = dict.fromkeys(names, 50)
    if others == "null":
        chosen = dict.fromkeys(PERCENTS) | chosen
    response = phone.post(PATH, METRICS | chosen)
    assert offences(response) == [(["body"], "required")]


@pytest.mark.parametrize("protein", [39, 41, 0, 100])
def test_percents_are_100_together(phone: Api, protein: int) -> None:
    response = phone.post(PATH, METRICS | PERCENTS | {"protein_percent": protein})
    assert offences(response) == [(["body"], "invalid")]
    assert "must be 100 together" in response.json()["errors"][0]["msg"]


def test_every_broken_rule_is_listed(phone: Api) -> None:
    chosen = PERCENTS | {"protein_percent": 41, "target_weight_kg": 80}
    assert offences(phone.post(PATH, METRICS | chosen)) == [
        (["body"], "invalid"),
        (["body"], "max_value"),
    ]


@pytest.mark.parametrize("pace", ["slow", "", "  ", None])
def test_to_maintain_weight_neither_target_nor_pace_is_kept(phone: Api, pace: str | None) -> None:
    sent = {"target_weight_kg": 50, "weight_change_pace": pace}
    goal = phone.post(PATH, MAINTAIN | sent).json()
    assert (goal["target_weight_kg"], goal["weight_change_pace"]) == (None, None)
    assert phone.get("/v1/goals/current").json() == goal


def test_what_is_calculated_is_ignored_where_it_is_sent(phone: Api, other: Api) -> None:
    assert other.device is not None
    sent = {
        "goal_type": "manual",
        "bmr_kcal": 1,
        "daily_calories_kcal": 1,
        "protein_grams": 1,
        "bmi_category": "normal",
        "created_at": "2020-01-01T00:00:00Z",
        "device_id": str(other.device.pk),
        "colour": "red",
    }
    goal = phone.post(PATH, METRICS | sent).json()
    assert goal["goal_type"] == "calculated"
    assert {name: goal[name] for name in CALCULATION} == CALCULATION
    assert other.get("/v1/goals/current").json() is None


@pytest.mark.parametrize("path", [PATH, "/v1/goals/manual"])
def test_a_repeated_request_answers_200_and_changes_nothing(phone: Api, path: str) -> None:
    goal = phone.post(PATH, METRICS | {"id": ID}).json()
    assert goal["id"] == ID
    body = METRICS | PERCENTS | {"id": ID, "daily_calories_kcal": 1500, "water_ml": 1}
    with time_machine.travel(NOW + timedelta(1), tick=False):
        again = phone.post(path, body)
    assert (again.status_code, again.json()) == (200, goal)
    assert phone.get("/v1/goals/current").json() == goal


def test_the_id_of_a_replaced_one_is_409(phone: Api) -> None:
    phone.goal(id=ID)
    current = phone.goal()
    response = phone.post(PATH, METRICS | {"id": ID})
    assert response.status_code == 409
    assert response.json() == {"detail": "ID already in use"}
    assert phone.get("/v1/goals/current").json() == current


def test_the_body_is_checked_before_the_id_is_looked_up(phone: Api, other: Api) -> None:
    other.goal(id=ID)
    response = phone.post(PATH, METRICS | {"id": ID, "target_weight_kg": 80})
    assert offences(response) == [(["body"], "max_value")]


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_left(phone: Api) -> None:
    bodies = [METRICS | {"id": str(uuid.uuid4())} for _ in range(4)]
    answers = at_once(*(partial(as_thread(phone).post, PATH, body) for body in bodies))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len(goals(phone)) == 1


def test_a_goal_of_long_ago_can_be_repeated_when_its_age_has_passed(phone: Api) -> None:
    created = phone.post(PATH, METRICS | {"id": ID, "birth_date": "1904-02-06"})
    assert created.status_code == 201
    with time_machine.travel(datetime(2025, 2, 6, tzinfo=UTC), tick=False):
        assert phone.patch(f"/v1/goals/{ID}", {"water_ml": 1}).status_code == 200
