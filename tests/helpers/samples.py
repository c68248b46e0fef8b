"""A row of each device-scoped table."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped, device_scoped_models
from devices.models import Device
from goals.models import BodyWeight, Goal

Model = type[DeviceScoped]
MODELS = [pytest.param(model, id=model.__name__) for model in device_scoped_models()]

# A row of each table, but for its device.
SAMPLES: dict[str, dict[str, Any]] = {
    "products": {"name": "Rice", "kcal_100g": 130},
    "portions": {"name": "1 cup", "grams": 158},
    "recipe_items": {"grams": 100, "position": 0},
    "food_entries": {
        "date": date(2025, 2, 5),
        "meal_type": "lunch",
        "name": "Soup",
        "kcal": 250,
    },
    "goals": {
        "goal_type": "manual",
        "daily_calories_kcal": 2000,
        "protein_percent": 30,
        "carbs_percent": 40,
        "fat_percent": 30,
        "protein_grams": 150,
        "carbs_grams": 200,
        "fat_grams": 66,
        "water_ml": 2000,
    },
    "body_weights": {"date": date(2025, 2, 5), "weight_kg": 80},
    "water_entries": {"date": date(2025, 2, 5), "ml": 250},
}
# What such a row needs beside, where it names others.
LINKED: dict[str, dict[str, Any]] = {
    "food_entries": {"grams": 158, "quantity": 1},
    "recipe_items": {"grams": 158, "quantity": 1},
}


def sample(model: Model, device: Device, **values: Any) -> Any:
    """Create a row with whatever a model needs, past every manager of its own."""
    values = SAMPLES[model._meta.db_table] | values
    if not {key.name for key in scoped_keys(model)} & values.keys():
        values |= required(model, device)
    if model is Goal:
        Goal.objects.for_device(device).delete()
    if model is BodyWeight:
        values["date"] += timedelta(BodyWeight.objects.for_device(device).count())
    return model._base_manager.create(device=device, **values)


def scoped_keys(model: Model) -> list[ScopedForeignKey]:
    """Return a model's references to other device-scoped models."""
    fields = model._meta.concrete_fields
    return [f for f in fields if isinstance(f, ScopedForeignKey) and f.name != "device"]


def required(model: Model, device: Device) -> dict[str, Any]:
    """Return rows for the references that a row of a model can't do without."""
    targets: dict[str, Any] = {k.name: k.related_model for k in scoped_keys(model) if not k.null}
    return {name: sample(target, device) for name, target in targets.items()}


def linked_sample(model: Model, device: Device) -> Any:
    """Create a row whose references all name something, and what they name."""
    named: dict[str, Any] = {}
    for key in scoped_keys(model):
        target: Any = key.related_model
        # The row that was named last: an item's portion is one of its ingredient.
        of_model = {type(row): row for row in named.values()}
        shared = {other.name: of_model[other.related_model] for other in scoped_keys(target)}
        named[key.name] = sample(target, device, **shared)
    return sample(model, device, **named, **(LINKED.get(model._meta.db_table, {}) if named else {}))
