"""POST /v1/sync: goals, of which a device has one, and what follows from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import time_machine

from goals.formulas import GRAMS, PERCENTS
from goals.models import ENERGY, SHAPE, Goal
from goals.serializers import BY_HAND, CALCULATED, METRICS
from sync.tests.replica import (
    Replica,
    calculated_goal,
    created,
    deleted,
    goal,
    live,
    pull,
    push,
    pushed,
    revision,
    rows_of,
    updated,
)
from tests.helpers.api import Api

pytestmark = pytest.mark.django_db(transaction=True)

CONFLICT = {"detail": "Something pushed has changed on the server: pull first"}
CHOSEN = {"protein_percent": 40, "carbs_percent": 30, "fat_percent": 30, "water_ml": 2500}
# What a phone may have written where the server works it out.
GUESSED: dict[str, Any] = {
    **dict.fromkeys((*ENERGY, *GRAMS, *SHAPE), 1),
    "bmi_category": "obese",
}


def current(phone: Api) -> dict[str, Any]:
    """Return the columns of the device's goal that are synced."""
    row: dict[str, Any] = phone.get("/v1/goals/current").json()
    return {name: value for name, value in row.items() if name not in ("created_at", "updated_at")}


def stored(phone: Api, record: dict[str, Any]) -> dict[str, Any]:
    """Push a new goal, and return what a pull then brings of it."""
    assert pushed(phone, created(goals=[record])) == {}
    return live(phone)["goals"][record["id"]]


# A new goal.


def test_a_goal_set_by_hand_is_stored_as_over_rest(phone: Api, other: Api) -> None:
    aim = goal()
    row = stored(phone, aim)
    assert row == current(phone)
    assert row == current_of_rest(other, "manual", BY_HAND) | {"id": aim["id"]}


def test_a_calculated_goal_is_worked_out_as_over_rest(phone: Api, other: Api) -> None:
    aim = calculated_goal()
    row = stored(phone, aim)
    assert row == current(phone)
    assert row == current_of_rest(other, "calculated", METRICS) | {"id": aim["id"]}


def current_of_rest(phone: Api, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    assert phone.post(f"/v1/goals/{kind}", body).status_code == 201
    return current(phone)


def test_percents_and_water_of_a_calculated_goal_may_be_chosen(phone: Api, other: Api) -> None:
    aim = calculated_goal(**CHOSEN)
    expected = current_of_rest(other, "calculated", METRICS | CHOSEN)
    assert stored(phone, aim) == expected | {"id": aim["id"]}


def test_to_maintain_weight_target_and_pace_are_ignored(phone: Api) -> None:
    row = stored(phone, calculated_goal(weight_goal_type="maintain"))
    assert (row["target_weight_kg"], row["weight_change_pace"]) == (None, None)


@pytest.mark.parametrize("make", [goal, calculated_goal])
def test_what_the_server_works_out_is_ignored_and_comes_back(phone: Api, make: Any) -> None:
    replica, aim = Replica(phone), make(**GUESSED)
    replica.pull()
    assert pushed(phone, created(goals=[aim]), replica.after) == {}
    replica.pull()
    row = replica.rows["goals"][aim["id"]]
    assert row == current(phone)
    assert row == stored(phone, make()) | {"id": aim["id"]}


def test_the_kcal_of_a_new_calculated_goal_are_the_servers(phone: Api) -> None:
    row = stored(phone, calculated_goal(daily_calories_kcal=2222))
    preview = phone.post("/v1/goals/calculate", METRICS).json()
    assert row["daily_calories_kcal"] == preview["daily_calories_kcal"] != 2222


def test_metrics_of_a_goal_set_by_hand_are_ignored_and_come_back_as_null(phone: Api) -> None:
    row = stored(phone, goal(**METRICS | {"gender": "?", "height_cm": 1}))
    assert [row[name] for name in METRICS] == [None] * len(METRICS)


# Its place.


def test_a_goal_takes_the_place_of_the_one_before_and_the_phone_is_told(phone: Api) -> None:
    before, aim, after = phone.goal(), goal(), revision(phone)
    assert pushed(phone, created(goals=[aim]), after) == {}
    answer = pull(phone, after)
    assert answer["changes"]["goals"]["deleted"] == [before["id"]]
    assert list(rows_of(answer, "goals")) == [aim["id"]]
    assert phone.get(f"/v1/goals/{before['id']}").status_code == 404


def test_of_two_goals_of_one_push_the_last_is_kept_and_the_phone_told(phone: Api) -> None:
    first, last, replica = calculated_goal(), goal(), Replica(phone)
    replica.pull()
    for _ in range(2):
        assert pushed(phone, created(goals=[first, last]), replica.after) == {}
        answer = pull(phone, replica.after)
        assert answer["changes"]["goals"]["deleted"] == [first["id"]]
        assert list(rows_of(answer, "goals")) == [last["id"]]


def test_a_new_goal_counts_more_than_a_change_of_the_one_before(phone: Api) -> None:
    before, aim = phone.goal(), goal()
    record = live(phone)["goals"][before["id"]] | {"water_ml": 1}
    changes = {"goals": {"updated": [record], "created": [aim]}}
    assert pushed(phone, changes) == {}
    assert list(live(phone)["goals"]) == [aim["id"]]


def test_a_goal_is_deleted_and_another_created_in_one_push(phone: Api) -> None:
    before, aim = phone.goal(), goal()
    assert pushed(phone, {"goals": {"created": [aim], "deleted": [before["id"]]}}) == {}
    assert list(live(phone)["goals"]) == [aim["id"]]


def test_of_two_phones_that_each_set_a_goal_the_later_push_wins(phone: Api) -> None:
    one, two = Replica(phone), Replica(phone)
    one.pull()
    two.pull()
    first, second = goal(), calculated_goal()
    assert pushed(phone, created(goals=[first]), one.after) == {}
    one.pull()
    two.pull()
    assert pushed(phone, created(goals=[second]), two.after) == {}
    one.pull()
    assert list(one.rows["goals"]) == [second["id"]]


def test_a_goal_that_was_set_since_the_pull_is_no_conflict(phone: Api) -> None:
    phone.goal()
    after, aim = revision(phone), goal()
    phone.goal()
    assert pushed(phone, created(goals=[aim]), after) == {}
    assert list(live(phone)["goals"]) == [aim["id"]]


def test_a_rejected_goal_leaves_the_one_before(phone: Api) -> None:
    before, bad = phone.goal(), goal(fat_percent=31)
    assert list(pushed(phone, created(goals=[bad]))) == ["goals"]
    assert list(live(phone)["goals"]) == [before["id"]]


def test_anothers_goal_stays(phone: Api, other: Api) -> None:
    theirs = other.goal()
    stored(phone, goal(id=theirs["id"], water_ml=1))
    assert other.get("/v1/goals/current").json() == theirs


# A stored goal.


@pytest.mark.parametrize("make", [goal, calculated_goal])
def test_its_targets_are_the_phones_to_change_and_the_grams_follow(phone: Api, make: Any) -> None:
    row = stored(phone, make())
    targets = {"daily_calories_kcal": 3000, **CHOSEN}
    assert pushed(phone, updated(goals=[row | targets])) == {}
    grams = {"protein_grams": 300, "carbs_grams": 225, "fat_grams": 100}
    assert current(phone) == row | targets | grams
    assert live(phone)["goals"][row["id"]] == current(phone)


def test_targets_left_out_stay(phone: Api) -> None:
    row = stored(phone, calculated_goal())
    assert pushed(phone, updated(goals=[{"id": row["id"], "water_ml": 1}])) == {}
    assert current(phone) == row | {"water_ml": 1}


@pytest.mark.parametrize("make", [goal, calculated_goal])
def test_all_but_its_targets_stays_and_comes_back(phone: Api, make: Any) -> None:
    row = stored(phone, make())
    others = {
        **METRICS,
        **GUESSED,
        "goal_type": "manual" if make is calculated_goal else "calculated",
        "gender": "male",
        "height_cm": 1,
        "birth_date": None,
    }
    after = revision(phone)
    assert pushed(phone, updated(goals=[row | others]), after) == {}
    assert current(phone) == row
    assert rows_of(pull(phone, after), "goals") == {row["id"]: row}
    assert phone.get("/v1/goals/current").json()["updated_at"] is None


def test_what_was_calculated_stays_as_the_body_ages(phone: Api) -> None:
    row = stored(phone, calculated_goal(birth_date="1910-01-01"))
    with time_machine.travel(datetime.fromisoformat("2060-02-05T12:00:00+00:00"), tick=False):
        assert pushed(phone, updated(goals=[row | {"water_ml": 1}])) == {}
    assert current(phone) == row | {"water_ml": 1}


def test_calculated_targets_may_be_more_than_a_phone_may_choose(phone: Api) -> None:
    heavy = {"current_weight_kg": 500, "height_cm": 300, "activity_level": "very_active"}
    row = stored(phone, calculated_goal(**heavy, gender="male", weight_goal_type="maintain"))
    assert (row["daily_calories_kcal"], row["water_ml"]) > (10_000, 10_000)
    percents = {name: CHOSEN[name] for name in PERCENTS}
    assert pushed(phone, updated(goals=[row | percents])) == {}
    assert current(phone).items() >= percents.items()
    rejected = pushed(phone, updated(goals=[row | {"daily_calories_kcal": 10_001}]))
    assert list(rejected["goals"].values()) == [
        "daily_calories_kcal: Ensure this value is less than or equal to 10000."
    ]


def test_a_deleted_goal_leaves_none(phone: Api) -> None:
    row = stored(phone, goal())
    after = revision(phone)
    assert pushed(phone, deleted(goals=[row])) == {}
    assert phone.get("/v1/goals/current").json() is None
    assert pull(phone, after)["changes"]["goals"]["deleted"] == [row["id"]]


@pytest.mark.parametrize("kind", [created, updated])
def test_a_goal_that_was_deleted_before_does_not_come_back(phone: Api, kind: Any) -> None:
    gone, kept = stored(phone, goal()), stored(phone, goal())
    assert pushed(phone, kind(goals=[gone])) == {"goals": {gone["id"]: "This record was deleted"}}
    assert list(live(phone)["goals"]) == [kept["id"]]


# Conflicts, and what is repeated.


@pytest.mark.parametrize("kind", ["updated", "deleted"])
def test_a_change_or_deletion_of_what_was_changed_since_is_409(phone: Api, kind: str) -> None:
    row = stored(phone, goal())
    changes = updated(goals=[row | {"water_ml": 1}]) if kind == "updated" else deleted(goals=[row])
    after = revision(phone)
    phone.patch(f"/v1/goals/{row['id']}", {"water_ml": 2})
    response = push(phone, after, changes)
    assert (response.status_code, response.json()) == (409, CONFLICT)
    assert current(phone)["water_ml"] == 2


def test_a_change_of_a_goal_that_was_replaced_since_is_409(phone: Api) -> None:
    row = stored(phone, goal())
    after, newer = revision(phone), phone.goal()
    response = push(phone, after, updated(goals=[row | {"water_ml": 1}]))
    assert (response.status_code, response.json()) == (409, CONFLICT)
    assert current(phone)["id"] == newer["id"]


def test_equal_targets_are_no_conflict_whatever_follows_from_them(phone: Api) -> None:
    row = stored(phone, calculated_goal())
    after = revision(phone)
    phone.patch(f"/v1/goals/{row['id']}", {"water_ml": 2})
    now = revision(phone)
    assert pushed(phone, updated(goals=[row | GUESSED | {"water_ml": 2}]), after) == {}
    assert revision(phone) == now


@pytest.mark.parametrize(
    "aim", [goal(), calculated_goal(), calculated_goal(daily_calories_kcal=2222, **CHOSEN)]
)
def test_a_push_that_is_repeated_changes_nothing(phone: Api, aim: dict[str, Any]) -> None:
    after = revision(phone)
    first, now = stored(phone, aim), revision(phone)
    assert pushed(phone, created(goals=[aim]), after) == {}
    assert (live(phone)["goals"], revision(phone)) == ({aim["id"]: first}, now)


def test_percents_that_were_chosen_after_a_lost_answer_count(phone: Api, other: Api) -> None:
    after, aim = revision(phone), calculated_goal()
    stored(phone, aim)
    assert pushed(phone, created(goals=[aim | CHOSEN]), after) == {}
    expected = current_of_rest(other, "calculated", METRICS | CHOSEN)
    assert current(phone) == expected | {"id": aim["id"]}


def test_what_is_stored_breaks_no_rule(phone: Api) -> None:
    for record in (goal(), calculated_goal(), calculated_goal(**CHOSEN)):
        row = stored(phone, record)
        pushed(phone, updated(goals=[row | {"daily_calories_kcal": 1234}]))
    assert [name for name, rows in Goal.violations() if list(rows)] == []


def test_the_columns_are_those_of_rest(phone: Api) -> None:
    assert set(stored(phone, goal())) == set(CALCULATED) - {"created_at", "updated_at"}
