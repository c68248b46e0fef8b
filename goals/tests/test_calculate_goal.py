"""POST /v1/goals/calculate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from goals.models import Goal
from goals.serializers import CALCULATION, METRICS
from goals.tests.maintain import MAINTAIN, NOW
from tests.helpers.api import Api, offences, request_body
from tests.helpers.values import HUGE, NOT_NUMBERS

PATH = "/v1/goals/calculate"
PATHS = [PATH, "/v1/goals/calculated"]
NAMES = ["gender", "activity_level", "weight_goal_type", "weight_change_pace"]
NAMES_REFUSED = [
    ('"Male"', "invalid_choice"),
    ('"other"', "invalid_choice"),
    ('"male\\u0000"', "invalid_choice"),
    ("1", "invalid_choice"),
    ("true", "invalid_choice"),
    ("null", "null"),
    ("[]", "invalid_choice"),
    ('["lose"]', "invalid_choice"),
    ("{}", "invalid_choice"),
]
DECIMALS_REFUSED = [
    ("0", "min_value"),
    ("-1", "min_value"),
    ("0.004", "min_value"),
    ("1e400", "max_value"),
    (HUGE, "max_value"),
    ("null", "null"),
    *NOT_NUMBERS,
]
# The nearest that are refused.
LIMITS = {
    "height_cm": ("49.99", "300.01"),
    "current_weight_kg": ("9.99", "500.01"),
    "target_weight_kg": ("0.004", "500.01"),
}
# As of NOW; None is accepted.
BIRTH_DATES = [
    ("2012-02-05", None),
    ("2012-02-06", "max_value"),
    ("2025-02-05", "max_value"),
    ("2025-02-06", "max_value"),
    ("9999-12-31", "max_value"),
    ("1904-02-06", None),
    ("1904-02-05", "min_value"),
    ("0001-01-01", "min_value"),
    ("1990-02-30", "invalid"),
    ("1990-5-17", "invalid"),
    ("", "invalid"),
    (19900517, "invalid"),
    (None, "null"),
]


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    """Keep to one day, which ages depend on."""
    with time_machine.travel(NOW, tick=False):
        yield


def test_it_works(phone: Api) -> None:
    response = phone.post(PATH, METRICS)
    assert response.status_code == 200
    assert response.json() == CALCULATION
    assert list(response.json()) == list(CALCULATION)


def test_nothing_is_stored(phone: Api) -> None:
    phone.post(PATH, METRICS)
    assert not Goal.all_objects.across_devices().exists()
    assert phone.get("/v1/goals/current").json() is None


def test_it_is_not_cached(phone: Api) -> None:
    response = phone.post(PATH, METRICS)
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"gender": "male", "current_weight_kg": 80, "height_cm": 180}, {"bmr_kcal": 1760}),
        ({"activity_level": "sedentary"}, {"tdee_kcal": 1732}),
        ({"activity_level": "very_active"}, {"tdee_kcal": 2743}),
        ({"weight_change_pace": "slow"}, {"daily_calories_kcal": 1735}),
        ({"weight_change_pace": "aggressive"}, {"daily_calories_kcal": 1235}),
        (
            {"weight_change_pace": "aggressive", "activity_level": "sedentary"},
            {"daily_calories_kcal": 1200, "protein_grams": 90, "carbs_grams": 105, "fat_grams": 46},
        ),
        (
            {"weight_goal_type": "gain", "target_weight_kg": 75},
            {
                "daily_calories_kcal": 2485,
                "protein_percent": 30,
                "carbs_percent": 45,
                "fat_percent": 25,
            },
        ),
        ({"current_weight_kg": 65.01}, {"water_ml": 2145, "current_bmi": 23}),
    ],
)
def test_it_follows_the_metrics(
    phone: Api, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    answer = phone.post(PATH, METRICS | changes).json()
    assert {name: answer[name] for name in expected} == expected


def test_age_is_as_of_today_in_utc(phone: Api) -> None:
    with time_machine.travel(datetime(2025, 5, 16, 23, 59, 59, tzinfo=UTC), tick=False):
        before = phone.post(PATH, METRICS).json()["bmr_kcal"]
    with time_machine.travel(datetime(2025, 5, 17, tzinfo=UTC), tick=False):
        assert phone.post(PATH, METRICS).json()["bmr_kcal"] == before - 5


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("birth_date", "code"), BIRTH_DATES)
def test_age_is_13_to_120(phone: Api, path: str, birth_date: Any, code: str | None) -> None:
    response = phone.post(path, METRICS | {"birth_date": birth_date})
    if code is None:
        assert response.status_code in (200, 201)
    else:
        assert offences(response) == [(["body", "birth_date"], code)]


def test_someone_born_on_a_leap_day_turns_13_on_the_first_of_march(phone: Api) -> None:
    metrics = METRICS | {"birth_date": "2012-02-29"}
    with time_machine.travel(datetime(2025, 2, 28, tzinfo=UTC), tick=False):
        assert phone.post(PATH, metrics).status_code == 422
    with time_machine.travel(datetime(2025, 3, 1, tzinfo=UTC), tick=False):
        assert phone.post(PATH, metrics).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("height_cm", "50"),
        ("height_cm", "49.995"),
        ("height_cm", "300"),
        ("height_cm", "300.004"),
        ("height_cm", "168.50"),
        ("height_cm", "1.68e2"),
        ("current_weight_kg", "10"),
        ("current_weight_kg", "9.995"),
        ("current_weight_kg", "500"),
        ("current_weight_kg", "81.6466266"),
        ("target_weight_kg", "0.01"),
        ("target_weight_kg", "0.005"),
        ("target_weight_kg", "72.49"),
    ],
)
def test_a_number_may_be_at_its_limits(phone: Api, path: str, field: str, sent: str) -> None:
    metrics = MAINTAIN if field == "current_weight_kg" else METRICS
    response = phone.post(path, request_body(metrics, **{field: sent}))
    assert response.status_code in (200, 201), response.content


@pytest.mark.parametrize("field", ["height_cm", "current_weight_kg", "target_weight_kg"])
def test_numbers_are_checked(phone: Api, field: str) -> None:
    low, high = LIMITS[field]
    beyond = [(low, "min_value"), (high, "max_value"), (f"{high[:-1]}05", "max_value")]
    for sent, code in [*DECIMALS_REFUSED, *beyond]:
        response = phone.post(PATH, request_body(METRICS, **{field: sent}))
        assert offences(response) == [(["body", field], code)], sent


@pytest.mark.parametrize("field", NAMES)
def test_names_are_checked(phone: Api, field: str) -> None:
    # A pace may be null, but not of a weight that is to change.
    empty = "null" if field == "weight_change_pace" else "invalid_choice"
    for sent, code in [*NAMES_REFUSED, ('""', empty)]:
        response = phone.post(PATH, request_body(METRICS, **{field: sent}))
        assert offences(response) == [(["body", field], code)], sent


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", METRICS)
def test_to_lose_weight_every_field_is_required(phone: Api, path: str, field: str) -> None:
    metrics = {name: value for name, value in METRICS.items() if name != field}
    assert offences(phone.post(path, metrics)) == [(["body", field], "required")]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("field", ["target_weight_kg", "weight_change_pace"])
def test_to_lose_weight_target_and_pace_cannot_be_null(phone: Api, path: str, field: str) -> None:
    assert offences(phone.post(path, METRICS | {field: None})) == [(["body", field], "null")]


def test_every_offending_field_is_listed(phone: Api) -> None:
    assert len(offences(phone.post(PATH, {}))) == 6
    metrics = {"weight_goal_type": "gain", "gender": "x", "height_cm": 0, "birth_date": "x"}
    assert offences(phone.post(PATH, metrics)) == [
        (["body", "gender"], "invalid_choice"),
        (["body", "birth_date"], "invalid"),
        (["body", "height_cm"], "min_value"),
        (["body", "current_weight_kg"], "required"),
        (["body", "activity_level"], "required"),
        (["body", "target_weight_kg"], "required"),
        (["body", "weight_change_pace"], "required"),
    ]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("type", "target", "sentence", "code"),
    [
        ("lose", 72.5, "To lose weight, target_weight_kg must be below", "max_value"),
        ("lose", 72.51, "To lose weight, target_weight_kg must be below", "max_value"),
        ("gain", 72.5, "To gain weight, target_weight_kg must be above", "min_value"),
        ("gain", 65, "To gain weight, target_weight_kg must be above", "min_value"),
    ],
)
def test_a_target_on_the_wrong_side_is_refused(
    phone: Api, path: str, type: str, target: float, sentence: str, code: str
) -> None:
    metrics = METRICS | {"weight_goal_type": type, "target_weight_kg": target}
    response = phone.post(path, metrics)
    assert offences(response) == [(["body"], code)]
    assert response.json()["errors"][0]["msg"].startswith(sentence)


@pytest.mark.parametrize(
    "ignored",
    [
        {},
        {"target_weight_kg": None, "weight_change_pace": None},
        {"target_weight_kg": 50, "weight_change_pace": "slow"},
        {"target_weight_kg": "nonsense", "weight_change_pace": 7},
        {"target_weight_kg": "", "weight_change_pace": ""},
    ],
)
def test_to_maintain_weight_target_and_pace_are_ignored(
    phone: Api, ignored: dict[str, Any]
) -> None:
    response = phone.post(PATH, MAINTAIN | ignored)
    assert response.status_code == 200
    answer = response.json()
    assert answer["daily_calories_kcal"] == answer["tdee_kcal"] == 1985
    assert [answer[f"{macro}_percent"] for macro in ("protein", "carbs", "fat")] == [25, 45, 30]


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_would_burn_nothing_is_refused(phone: Api, path: str) -> None:
    metrics = MAINTAIN | {"birth_date": "1904-02-06", "height_cm": 50, "current_weight_kg": 10}
    response = phone.post(path, metrics)
    assert offences(response) == [(["body"], "min_value")]
    assert "height, weight and age" in response.json()["errors"][0]["msg"]


@pytest.mark.parametrize("path", PATHS)
def test_the_largest_body_is_calculated_too(phone: Api, path: str) -> None:
    largest = {
        "gender": "male",
        "birth_date": "2012-02-05",
        "height_cm": 300,
        "current_weight_kg": 499.99,
        "activity_level": "very_active",
        "weight_goal_type": "gain",
        "target_weight_kg": 500,
        "weight_change_pace": "aggressive",
    }
    answer = phone.post(path, largest).json()
    assert (answer["daily_calories_kcal"], answer["water_ml"]) == (13_696, 16_499)
    fattest = phone.post(path, largest | MAINTAIN | {"height_cm": 50, "current_weight_kg": 500})
    assert fattest.json()["current_bmi"] == 2000


def test_unknown_fields_are_ignored(phone: Api) -> None:
    sent = METRICS | {"bmr_kcal": 1, "protein_percent": 99, "water_ml": -1, "colour": "red"}
    assert phone.post(PATH, sent).json() == CALCULATION


def test_it_takes_one_query(phone: Api, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        phone.post(PATH, METRICS)
