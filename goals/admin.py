"""The operators' pages about goals, body weights and water."""

from __future__ import annotations

from django.contrib import admin

from countonme.operators.base import DeletedFilter, DeviceFilter, ScopedAdmin
from goals.formulas import GRAMS
from goals.models import BODY, ENERGY, SHAPE, WEIGHT_CHANGE, BodyWeight, Goal, WaterEntry


@admin.register(Goal)
class GoalAdmin(ScopedAdmin):
    icon = "flag"
    list_display = [
        "daily_calories_kcal",
        "goal_type",
        "state",
        "weight_goal_type",
        "water_ml",
        "owner",
        "created_at",
    ]
    list_filter = [DeletedFilter, "goal_type", "created_at", DeviceFilter]
    own_readonly = ("goal_type", *BODY, *WEIGHT_CHANGE, *ENERGY, *SHAPE, *GRAMS)


@admin.register(BodyWeight)
class BodyWeightAdmin(ScopedAdmin):
    icon = "monitor_weight"
    list_display = ["date", "weight_kg", "state", "owner", "created_at"]


@admin.register(WaterEntry)
class WaterEntryAdmin(ScopedAdmin):
    icon = "water_drop"
    list_display = ["date", "ml", "state", "owner", "created_at"]
