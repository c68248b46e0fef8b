"""Who works at the operators' site: roles, navigation, and from where a login comes."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.apps.registry import Apps
from django.contrib import admin
from django.contrib.auth.management import create_permissions
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

# What each role may do to devices, and to the rows that they own. Superusers may do everything;
# only they erase, and delete for ever.
ROLES = {
    "Moderator": {"device": ["view", "block"], "row": ["view", "soft_delete", "restore"]},
    "Support": {"device": ["view", "export"], "row": ["view"]},
}


def grant(apps: Apps, config: AppConfig, kind: str) -> None:
    """Give the roles their permissions on an app's models, in a migration.

    Args:
        apps: the migration's registry.
        config: the app; its models' permissions are created, which Django would do only later.
        kind: what its models are, "device" or "row".
    """
    # Django passes over apps without models, which a migration's stub of an app looks like.
    config.models_module = config  # type: ignore[assignment]  # asked for its truth alone
    create_permissions(config, apps=apps, verbosity=0)
    group_model = apps.get_model("auth", "Group")
    permissions = apps.get_model("auth", "Permission").objects
    for role, actions in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=role)
        for model in config.get_models():
            names = [f"{action}_{model._meta.model_name}" for action in actions[kind]]
            owned = permissions.filter(content_type__app_label=config.label, codename__in=names)
            group.permissions.add(*owned)


def address(request: HttpRequest) -> str | None:
    """Return the address that a request comes from, as far as NUM_PROXIES lets it be said."""
    return BaseThrottle().get_ident(Request(request))


def stylesheet(request: HttpRequest) -> str:
    return static("operators/operators.css")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: what the operator may see, app by app."""
    sections = [
        {
            "title": app["name"],
            "separator": True,
            "items": [
                {"title": model["name"], "link": model["admin_url"], "icon": "chevron_right"}
                for model in app["models"]
            ],
        }
        for app in admin.site.get_app_list(request)
    ]
    home = {"title": "Dashboard", "link": reverse("admin:index"), "icon": "dashboard"}
    return [{"items": [home]}, *sections]
