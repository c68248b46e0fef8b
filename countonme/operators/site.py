"""The operators' site: its sidebar, its search, its stylesheet, and the address of a login."""

from __future__ import annotations

from itertools import chain
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import CHANGE
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from unfold.dataclasses import SearchResult
from unfold.sites import UnfoldAdminSite

from countonme.operators.names import change_url, log
from countonme.scope.models import DeviceScoped

# The sidebar's groups, in its order.
OVERVIEW, DIARIES, CATALOG, OPERATORS = "Overview", "Diaries", "Catalog", "Operators"
GROUPS = (OVERVIEW, DIARIES, CATALOG, OPERATORS)
# A shorter search would find too much to be of use. The most rows of a model that one lists.
MIN_SEARCH, MAX_FOUND = 2, 5


class OperatorSite(UnfoldAdminSite):  # type: ignore[misc]  # unfold comes without types
    """Django's admin site with unfold's look, whose search also finds rows."""

    index_title = "Dashboard"

    def shown(self, request: HttpRequest) -> list[Any]:
        """Return the admins whose lists the operator may see, in the order of apps and models."""
        registered = map(self.get_model_admin, filter(self.is_registered, apps.get_models()))
        return [
            shown
            for shown in registered
            if shown.has_module_permission(request) and shown.has_view_permission(request)
        ]

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add what the head of a page names: the list to which it belongs."""
        context: dict[str, Any] = super().each_context(request)
        # Django notes on each view of an admin which one it is.
        shown = getattr(getattr(request.resolver_match, "func", None), "model_admin", None)
        if shown is not None:
            context["list_of"] = {"title": shown.list_title, "url": list_url(shown)}
        return context

    def search(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Answer the sidebar's search: lists by their names, and rows of some of them.

        Unfold's own search would keep what it found in the cache, and name rows by their ids alone.
        """
        term = request.GET.get("s", "").strip()
        if len(term) < MIN_SEARCH:
            return HttpResponse()
        admins = self.shown(request)
        lists = (
            SearchResult(each.list_title, "list", list_url(each), each.icon)
            for each in admins
            if term.lower() in each.list_title.lower()
        )
        rows = (
            SearchResult(str(row), described(row), change_url(row), each.icon)
            for each in admins
            for row in each.found(request, term, MAX_FOUND)
        )
        return TemplateResponse(
            request,
            "unfold/helpers/search_results.html",
            {"results": list(chain(lists, rows))},
            headers={"HX-Trigger": "search", "Cache-Control": "no-store"},
        )


def described(row: Model) -> str:
    """Return what a row is, and whose."""
    kind = str(row._meta.verbose_name)
    return f"{kind} of {str(row.device_id)[:8]}…" if isinstance(row, DeviceScoped) else kind


def list_url(shown: Any) -> str:
    return reverse(f"admin:{shown.opts.app_label}_{shown.opts.model_name}_changelist")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar: links to the lists that the operator may see, by group."""
    items: dict[str, list[dict[str, Any]]] = {group: [] for group in GROUPS}
    items[OVERVIEW].append(
        {"title": admin.site.index_title, "link": reverse("admin:index"), "icon": "dashboard"}
    )
    for shown in admin.site.shown(request):  # type: ignore[attr-defined]  # our site
        items[shown.group].append(
            {"title": shown.list_title, "link": list_url(shown), "icon": shown.icon}
        )
    return [{"title": group, "items": found} for group, found in items.items()]


def address(request: HttpRequest) -> str | None:
    """Return the client's address, behind as many proxies as NUM_PROXIES says."""
    return BaseThrottle().get_ident(Request(request))


# How the log's lines about sign-ins begin.
SIGNED = "Signed "


def log_sign_in(sender: Any, request: HttpRequest, user: Any, **more: Any) -> None:
    """Write into the log that an operator signed in; for Django's signal."""
    log(user.pk, [user], CHANGE, f"{SIGNED}in from {address(request) or 'nowhere'}.")


def log_sign_out(sender: Any, request: HttpRequest, user: Any, **more: Any) -> None:
    """The same for signing out. Django also sends it for somebody who was not signed in."""
    if user is not None:
        log(user.pk, [user], CHANGE, f"{SIGNED}out.")


def stylesheet(request: HttpRequest) -> str:
    return static("operators/operators.css")


def icon(request: HttpRequest) -> str:
    return static("site/icon.svg")
