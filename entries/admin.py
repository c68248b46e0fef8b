"""The operators' pages about food entries."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from countonme.operators.base import DeletedFilter, DeviceFilter, NamesFilter
from countonme.operators.moderation import ModeratedAdmin
from countonme.scope.query import DeviceScopedQuerySet
from entries.models import FoodEntry


@admin.register(FoodEntry)
class FoodEntryAdmin(ModeratedAdmin):
    icon = "restaurant"
    list_display = ["date", "meal_type", "name", "state", "grams", "kcal", "owner", "created_at"]
    list_filter = [DeletedFilter, "meal_type", "created_at", DeviceFilter, NamesFilter]
    own_readonly = ("product", "portion")

    def moderated(self) -> DeviceScopedQuerySet[Any]:
        """Return the entries whose name was typed; others have that of their product."""
        return super().moderated().filter(product=None)
