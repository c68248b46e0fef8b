"""A demo device with sample data: a diary, a goal, weighings with a trend, and water."""

from __future__ import annotations

import random
import uuid
from datetime import date, timedelta
from decimal import Decimal

from devices.models import Device, Phone
from entries import demo as diary
from goals import formulas
from goals.models import BodyWeight, Goal, WaterEntry
from products.models import rounded

PHONE = "Demo phone"
BODY = {
    "gender": "female",
    "height_cm": Decimal(168),
    "activity_level": "light",
    "weight_goal_type": "lose",
    "target_weight_kg": Decimal(65),
    "weight_change_pace": "slow",
}
AGE_DAYS = 34 * 365
WEIGHT_KG = Decimal("72.4")
# Standard deviation of the daily noise in body weight, which water and salt cause.
NOISE_KG = 0.35
GLASSES_ML = [200, 250, 250, 300, 500]


def create_phone(last: date, days: int = 30, number: int = 0) -> tuple[Device, str]:
    """Register a device with a diary of some days, the last of which is `last`.

    Args:
        number: diaries with different numbers differ.

    Returns:
        The device and its phone's token.
    """
    phone, token = Phone.register(uuid.uuid4(), PHONE)
    device = phone.device
    rng = random.Random(f"{last} {number}")  # noqa: S311  # sample data needs no secure randomness
    with device.locked():
        diary.fill_diary(device, last, days, rng)
        goal = _set_goal(device, last)
        _weigh(device, goal, last, days, rng)
        for days_ago in reversed(range(days)):
            _drink(device, last - timedelta(days=days_ago), rng)
    return device, token


def _set_goal(device: Device, today: date) -> Goal:
    body = {"birth_date": today - timedelta(days=AGE_DAYS), "current_weight_kg": WEIGHT_KG}
    goal, _ = Goal.add(device.pk, **Goal.calculated(BODY | body))
    return goal


def _weigh(device: Device, goal: Goal, last: date, days: int, rng: random.Random) -> None:
    """Add weighings of most days, from 30 days before the diary on, that follow from the goal."""
    assert goal.tdee_kcal is not None
    kg_per_day = (goal.tdee_kcal - goal.daily_calories_kcal) / Decimal(formulas.KCAL_PER_KG)
    for days_ago in reversed(range(days + 30)):
        if rng.random() < 0.7:
            noise = Decimal(round(rng.gauss(0, NOISE_KG), 1))
            weight_kg = rounded(WEIGHT_KG + kg_per_day * days_ago + noise)
            BodyWeight.add(device.pk, date=last - timedelta(days=days_ago), weight_kg=weight_kg)


def _drink(device: Device, day: date, rng: random.Random) -> None:
    for _ in range(rng.randint(5, 9)):
        WaterEntry.add(device.pk, date=day, ml=rng.choice(GLASSES_ML))
