"""The operators' site: its sidebar, its stylesheet, and the address of a login."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle


def address(request: HttpRequest) -> str | None:
    """Return the client's address, behind as many proxies as NUM_PROXIES says."""
    return BaseThrottle().get_ident(Request(request))


def stylesheet(request: HttpRequest) -> str:
    return static("operators/operators.css")


def icon(request: HttpRequest) -> str:
    return static("site/icon.svg")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: links to the models that the operator may see, by app."""
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
