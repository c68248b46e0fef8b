"""Food entries for operators."""

from __future__ import annotations

from django.contrib import admin

from countonme.admin import DeletedFilter, ScopedAdmin
from entries.models import FoodEntry


@admin.register(FoodEntry)
class FoodEntryAdmin(ScopedAdmin):
    list_display = ["date", "meal_type", "name", "grams", "kcal", "device", "deleted_at"]
    list_filter = [DeletedFilter, "meal_type", "date"]
    search_fields = ["name"]
    own_readonly = ("product", "portion")
