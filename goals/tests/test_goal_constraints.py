"""What the database itself refuses of goals, body weights and water, whoever writes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from goals.serializers import CALCULATED, MANUAL
from tests.helpers.api import Api
from tests.helpers.sql import execute, insert

MANUAL_ROW = {name: value for name, value in MANUAL.items() if not name.endswith(("id", "_at"))}
CALCULATED_ROW = {name: CALCULATED[name] for name in MANUAL_ROW}
CALCULATED_ONLY = [name for name, value in MANUAL_ROW.items() if value is None]
ROWS = {
    "goals": MANUAL_ROW,
    "calculated": CALCULATED_ROW,
    "body_weights": {"date": "2025-02-05", "weight_kg": 80},
    "water_entries": {"date": "2025-02-05", "ml": 250},
}


def take(owner: Api, kind: str, **values: Any) -> Any:
    """Insert a row by straight SQL."""
    table = "goals" if kind == "calculated" else kind
    return insert(table, owner, ROWS[kind] | values)


def refuse(owner: Api, kind: str, **values: Any) -> None:
    """Check that a row is refused."""
    with pytest.raises(DatabaseError):
        take(owner, kind, **values)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("goals", "goals"),
        ("calculated", "goals"),
        ("body_weights", "body-weights"),
        ("water_entries", "water-entries"),
    ],
)
def test_it_works(phone: Api, kind: str, path: str) -> None:
    key = take(phone, kind)
    assert phone.get(f"/v1/{path}/{key}").status_code == 200


@pytest.mark.parametrize("kind", ["goals", "calculated"])
def test_it_refuses_a_second_live_goal(phone: Api, other: Api, kind: str) -> None:
    take(phone, "goals")
    take(other, "goals")
    refuse(phone, kind)
    execute("UPDATE goals SET deleted_at = now()")
    take(phone, kind)


def test_it_refuses_a_second_weight_of_a_day(phone: Api, other: Api) -> None:
    take(phone, "body_weights")
    take(other, "body_weights")
    take(phone, "body_weights", date="2025-02-06")
    refuse(phone, "body_weights", weight_kg=1)
    with pytest.raises(IntegrityError):
        execute("UPDATE body_weights SET date = '2025-02-05'")
    execute("UPDATE body_weights SET deleted_at = now()")
    take(phone, "body_weights")


@pytest.mark.parametrize("column", [*MANUAL_ROW])
def test_a_goal_is_of_one_type_in_whole(phone: Api, column: str) -> None:
    if column in CALCULATED_ONLY:
        refuse(phone, "goals", **{column: CALCULATED_ROW[column]})
    refuse(phone, "calculated", **{column: None})


@pytest.mark.parametrize(
    "column",
    [
        "goal_type",
        "gender",
        "activity_level",
        "weight_goal_type",
        "weight_change_pace",
        "bmi_category",
    ],
)
@pytest.mark.parametrize("value", ["", "Lose", "other", "male "])
def test_it_refuses_other_names(phone: Api, column: str, value: str) -> None:
    refuse(phone, "calculated", **{column: value})


@pytest.mark.parametrize(
    ("type", "target", "pace", "accepted"),
    [
        ("lose", 72.49, "slow", True),
        ("lose", 72.5, "slow", False),
        ("lose", None, "slow", False),
        ("lose", 65, None, False),
        ("gain", 72.51, "slow", True),
        ("gain", 72.5, "slow", False),
        ("gain", None, "slow", False),
        ("gain", 80, None, False),
        ("maintain", None, None, True),
        ("maintain", 65, None, False),
        ("maintain", None, "slow", False),
    ],
)
def test_target_and_pace_are_those_of_the_type(
    phone: Api, type: str, target: float | None, pace: str | None, accepted: bool
) -> None:
    values = {
        "weight_goal_type": type,
        "target_weight_kg": target,
        "weight_change_pace": pace,
    }
    (take if accepted else refuse)(phone, "calculated", **values)


@pytest.mark.parametrize("percents", [(30, 40, 31), (30, 40, 29), (0, 0, 0), (-1, 1, 100)])
def test_it_refuses_percents_that_are_not_100(phone: Api, percents: tuple[int, ...]) -> None:
    names = ("protein_percent", "carbs_percent", "fat_percent")
    refuse(phone, "goals", **dict(zip(names, percents, strict=True)))


@pytest.mark.parametrize(
    ("column", "low", "high", "step"),
    [
        ("height_cm", "50", "300", "0.01"),
        ("current_weight_kg", "65.01", "500", "0.01"),
        ("target_weight_kg", "0.01", "72.49", "0.01"),
        ("bmr_kcal", "1", "15000", "1"),
        ("tdee_kcal", "1", "15000", "1"),
        ("healthy_weight_min_kg", "0", "225", "0.1"),
        ("healthy_weight_max_kg", "0", "225", "0.1"),
        ("current_bmi", "0", "2000", "0.1"),
        ("daily_calories_kcal", "1", "15000", "1"),
        ("protein_grams", "0", "3750", "1"),
        ("carbs_grams", "0", "3750", "1"),
        ("fat_grams", "0", "3750", "1"),
        ("water_ml", "0", "16500", "1"),
    ],
)
def test_numbers_keep_to_their_bounds(
    phone: Api, column: str, low: str, high: str, step: str
) -> None:
    take(phone, "calculated")
    for value in (low, high):
        execute(f"UPDATE goals SET {column} = {value}")
    for value in (f"{high} + {step}", f"{low} - {step}", "'NaN'::numeric", "'Infinity'::numeric"):
        with pytest.raises(DatabaseError):
            execute(f"UPDATE goals SET {column} = {value}")


def test_it_refuses_a_current_weight_under_10_kg(phone: Api) -> None:
    take(phone, "calculated", current_weight_kg=10, target_weight_kg=9)
    with pytest.raises(IntegrityError):
        execute("UPDATE goals SET current_weight_kg = 9.99")


@pytest.mark.parametrize("day", ["1849-12-31", "2101-01-01", "infinity", "0044-03-15 BC"])
def test_it_refuses_a_day_of_birth_out_of_range(phone: Api, day: str) -> None:
    refuse(phone, "calculated", birth_date=day)


@pytest.mark.parametrize("table", ["body_weights", "water_entries"])
@pytest.mark.parametrize("day", [None, "1999-12-31", "2101-01-01", "infinity", "0044-03-15 BC"])
def test_it_refuses_a_date_out_of_range(phone: Api, table: str, day: str | None) -> None:
    take(phone, table, date="2000-01-01")
    take(phone, table, date="2100-12-31")
    refuse(phone, table, date=day)


@pytest.mark.parametrize("weight", [None, "0", "0.004", "-1", "500.01", "1000", "NaN", "Infinity"])
def test_it_refuses_a_weight_out_of_range(phone: Api, weight: str | None) -> None:
    take(phone, "body_weights", weight_kg="0.01")
    take(phone, "body_weights", weight_kg="500", date="2025-02-06")
    refuse(phone, "body_weights", weight_kg=weight, date="2025-02-07")


@pytest.mark.parametrize("ml", [None, 0, -1, 10_001, 100_000])
def test_it_refuses_ml_out_of_range(phone: Api, ml: int | None) -> None:
    take(phone, "water_entries", ml=1)
    take(phone, "water_entries", ml=10_000)
    refuse(phone, "water_entries", ml=ml)
