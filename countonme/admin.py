"""Admin pages of the operators' accounts, their roles, and the log of their actions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from countonme.operators.base import OperatorAdmin

admin.site.unregister([User, Group])


@admin.register(User)
class OperatorUserAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]  # unfold comes without types
    """The operators' accounts, with unfold's look."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "is_active", "is_superuser", "last_login"]


@admin.register(Group)
class RoleAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]  # likewise
    """What each role may do."""


@admin.register(LogEntry)
class LogEntryAdmin(OperatorAdmin):
    """The log of what operators did; read only."""

    list_display = ["action_time", "user", "content_type", "object_repr", "change_message"]
    list_filter = ["action_time", "content_type", "action_flag"]
    list_select_related = ["user", "content_type"]
    search_fields = ["object_repr", "object_id", "change_message"]
    ordering = ["-action_time", "-id"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let every operator who sees devices read what was done to them."""
        return request.user.has_perm("devices.view_device")
