"""A made-up phone for trying things out: a diary, a goal, weighings with a trend, and water."""

from __future__ import annotations

import random
import uuid
from datetime import date, timedelta
from decimal import Decimal

from devices.models import Device
from entries import demo as diary
from goals import formulas
from goals.models import BodyWeight, Goal, WaterEntry
from products.models import rounded

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
# Of weight from one morning to the next that says nothing of the trend, in kg.
WATER_AND_SALT = 0.35
GLASSES_ML = [200, 250, 250, 300, 500]


def create_phone(last: date, days: int = 30) -> tuple[Device, str]:
    """Register a device whose diary ends on a day; return it and its token."""
    device, token = Device.objects.register(uuid.uuid4())
    chance = random.Random(last.toordinal())  # noqa: S311  # a believable life needs no secrecy
    with device.locked():
        diary.fill(device, last, days, chance)
        goal = _set_goal(device, last)
        _weigh(device, goal, last, days, chance)
        for back in reversed(range(days)):
            _drink(device, last - timedelta(days=back), chance)
    return device, token


def _set_goal(device: Device, today: date) -> Goal:
    body = {"birth_date": today - timedelta(days=AGE_DAYS), "current_weight_kg": WEIGHT_KG}
    goal, _ = Goal.add(device.pk, **Goal.calculated(BODY | body))
    return goal


def _weigh(device: Device, goal: Goal, last: date, days: int, chance: random.Random) -> None:
    """Weigh on most mornings, from a month before the diary, by what the goal should make of it."""
    assert goal.tdee_kcal is not None
    lost = (goal.tdee_kcal - goal.daily_calories_kcal) / Decimal(formulas.KCAL_PER_KG)
    for back in reversed(range(days + 30)):
        if chance.random() < 0.7:
            noise = Decimal(round(chance.gauss(0, WATER_AND_SALT), 1))
            weight_kg = rounded(WEIGHT_KG + lost * back + noise)
            BodyWeight.add(device.pk, date=last - timedelta(days=back), weight_kg=weight_kg)


def _drink(device: Device, day: date, chance: random.Random) -> None:
    for _ in range(chance.randint(5, 9)):
        WaterEntry.add(device.pk, date=day, ml=chance.choice(GLASSES_ML))
