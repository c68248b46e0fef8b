"""Devices for operators; no token, hash or HMAC is on any page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from devices.models import Device


@admin.register(Device)
class DeviceAdmin(ModelAdmin):  # type: ignore[misc]  # unfold comes without types
    list_display = ["id", "created_at", "last_seen_at", "blocked_at", "erased_at"]
    list_filter = [
        "created_at",
        "last_seen_at",
        ("blocked_at", admin.EmptyFieldListFilter),
        ("erased_at", admin.EmptyFieldListFilter),
    ]
    search_fields = ["id"]
    ordering = ["-created_at"]
    show_full_result_count = False
    fields = [
        "id",
        "created_at",
        "last_seen_at",
        "blocked_at",
        "blocked_reason",
        "erased_at",
        "revision",
        "revised_at",
        "purged_revision",
    ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in self.fields if name != "blocked_reason"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
