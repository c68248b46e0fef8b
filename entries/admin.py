"""The operators' pages about food entries."""

from __future__ import annotations

from django.contrib import admin

from countonme.operators.base import DeletedFilter, DeviceFilter, ScopedAdmin
from entries.models import FoodEntry


@admin.register(FoodEntry)
class FoodEntryAdmin(ScopedAdmin):
    list_display = ["date", "meal_type", "name", "state", "grams", "kcal", "owner", "created_at"]
    list_filter = [DeletedFilter, "meal_type", "created_at", DeviceFilter]
    search_fields = ["name"]
    own_readonly = ("product", "portion")
