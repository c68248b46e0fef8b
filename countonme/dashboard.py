"""The operators' front page: what needs somebody, the last acts, figures and charts.

Each figure and chart links to the list that it counts. Days are in UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
from django.contrib.admin.models import LogEntry
from django.db import connection, models
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.timesince import timesince

from catalog.models import Correction, Report
from countonme.admin import to_what, what
from countonme.operators.site import SIGNED
from countonme.scope.models import device_scoped_models
from devices.models import Device, MaintenanceRun, Phone
from devices.throttling import RegisterThrottle

DAYS = 30
# A larger table takes too long to count: PostgreSQL's estimate is shown instead.
COUNTED_EXACTLY = 100_000
MAX_ACTS = 8
# How many days after its last run a command is due again.
MAINTENANCE = {
    "purge_deleted": ("Last purge", 8),
    "check_integrity": ("Last integrity check", 8),
    "check_backup": ("Last backup check", 35),
}
# Blocks of so many days are worth another look.
RECENT = 7


class Figure(NamedTuple):
    """A figure with a link; `needs` is whether somebody should look at it."""

    label: str
    value: str
    url: str
    note: str = ""
    needs: bool = False


class Chart(NamedTuple):
    title: str
    url: str
    data: str


def add_to_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the dashboard for operators who may see devices; unfold's `DASHBOARD_CALLBACK`."""
    if request.user.has_perm("devices.view_device"):
        context["dashboard"] = dashboard(timezone.now())
    return context


def dashboard(now: datetime) -> dict[str, Any]:
    """Return the figures by section, the last acts, and charts of the last 30 days."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "waiting": list(waiting_figures(now)),
        "acts": last_acts(),
        "sections": {"Devices": device_figures(midnight), "Rows": row_figures()},
        "charts": charts(midnight - timedelta(days=DAYS - 1)),
    }


def waiting_figures(now: datetime) -> Iterator[Figure]:
    """Yield what may need somebody: reports, corrections, blocks, throttles, maintenance."""
    reports = Report.objects.filter(closed_at=None).count()
    url = f"{changelist_url(Report)}?state=open"
    yield Figure("Open reports", f"{reports:,}", url, needs=reports > 0)
    review = Correction.objects.filter(review_since__isnull=False).count()
    url = f"{changelist_url(Correction)}?state=review"
    yield Figure("Corrections to review", f"{review:,}", url, needs=review > 0)
    blocked = Device.objects.filter(blocked_at__gte=now - timedelta(days=RECENT)).count()
    url = f"{changelist_url(Device)}?state=blocked"
    yield Figure(f"Blocked in {RECENT} days", f"{blocked:,}", url, needs=blocked > 0)
    throttled = RegisterThrottle.refused_today()
    url = since_url(Device, now.replace(hour=0, minute=0, second=0, microsecond=0))
    yield Figure("Registrations throttled today", f"{throttled:,}", url, needs=throttled > 0)
    runs = {run.command: run for run in MaintenanceRun.objects.all()}
    url = changelist_url(MaintenanceRun)
    for command, (label, days) in MAINTENANCE.items():
        run = runs.get(command)
        if run is None:
            yield Figure(label, "Never", url, f"manage.py {command}", needs=True)
        else:
            ago = timesince(run.finished_at, now, depth=1)
            is_due = now - run.finished_at > timedelta(days=days)
            yield Figure(label, f"{ago} ago", url, run.said, needs=is_due)


def last_acts() -> list[dict[str, Any]]:
    """Return the last acts of operators, without sign-ins: `when`, `who`, `what` and `to`."""
    acts = LogEntry.objects.exclude(change_message__startswith=SIGNED)
    # By id: Django's log has no index on the time.
    entries = acts.select_related("user", "content_type").order_by("-pk")
    return [
        {"when": entry.action_time, "who": entry.user, "what": what(entry), "to": to_what(entry)}
        for entry in entries[:MAX_ACTS]
    ]


def device_figures(midnight: datetime) -> list[Figure]:
    """Return the numbers of devices: all but erased ones, new or seen today, blocked, erased."""
    counts = Device.objects.aggregate(
        known=Count("pk", filter=Q(erased_at=None)),
        registered=Count("pk", filter=Q(created_at__gte=midnight)),
        blocked=Count("pk", filter=Q(blocked_at__isnull=False)),
        erased=Count("pk", filter=Q(erased_at__isnull=False)),
    )
    seen_today = Phone.objects.filter(last_seen_at__gte=midnight)
    seen = seen_today.aggregate(seen=Count("device", distinct=True))["seen"]
    page = changelist_url(Device)
    return [
        Figure("Devices", f"{counts['known']:,}", page),
        Figure("Registered today", f"{counts['registered']:,}", since_url(Device, midnight)),
        Figure("Seen today", f"{seen:,}", f"{page}?seen=today"),
        Figure("Blocked", f"{counts['blocked']:,}", f"{page}?state=blocked"),
        Figure("Erased", f"{counts['erased']:,}", f"{page}?state=erased"),
    ]


def row_figures() -> list[Figure]:
    """Return the live rows of each model, of large tables an estimate, and the deleted ones."""
    figures = []
    for model in device_scoped_models():
        rows = estimated_rows(model)
        if rows > COUNTED_EXACTLY:
            value = f"≈ {rows:,}"
        else:
            value = f"{model.objects.across_devices().count():,}"
        deleted = model.all_objects.across_devices().filter(deleted_at__isnull=False)
        found = deleted.aggregate(count=Count("pk"), oldest=Min("deleted_at"))
        note = ""
        if found["oldest"]:
            note = f"{found['count']:,} deleted, since {found['oldest']:%Y-%m-%d}"
        url = f"{changelist_url(model)}?deleted=no"
        figures.append(Figure(plural(model), value, url, note))
    return figures


def charts(first: datetime) -> list[Chart]:
    """Return charts of devices and of new rows by day, from a first day on."""
    registered = per_day(Device.objects.all(), "created_at", first)
    seen = per_day(Phone.objects.all(), "last_seen_at", first)
    drawn = [
        chart("Devices registered", since_url(Device, first), registered, first),
        chart("Phones last seen", changelist_url(Device), seen, first),
    ]
    for model in device_scoped_models():
        created = per_day(model.all_objects.across_devices(), "created_at", first)
        drawn.append(chart(f"{plural(model)} created", since_url(model, first), created, first))
    return drawn


def per_day(rows: QuerySet[Any], field: str, first: datetime) -> Counter[date]:
    """Count rows by the day of a timestamp field, from a first day on."""
    days = rows.filter(**{f"{field}__gte": first}).annotate(day=TruncDate(field)).order_by()
    return Counter(dict(days.values("day").annotate(n=Count("*")).values_list("day", "n")))


def chart(title: str, url: str, counts: Counter[date], first: datetime) -> Chart:
    """Return a bar chart of 30 days with both its scales, and the total in its title."""
    days = [first.date() + timedelta(days=n) for n in range(DAYS)]
    bars = {
        "data": [counts[day] for day in days],
        "backgroundColor": "var(--color-primary-600)",
        "displayYAxis": True,
        "maxTicksXLimit": 8,
    }
    data = {"labels": [f"{day:%d %b}" for day in days], "datasets": [bars]}
    return Chart(f"{title}: {counts.total():,}", url, orjson.dumps(data).decode())


def estimated_rows(model: type[models.Model]) -> int:
    """Return PostgreSQL's estimate of a table's rows as of its last ANALYZE; -1 before any."""
    with connection.cursor() as cursor:
        table = model._meta.db_table
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [table])
        return int(cursor.fetchone()[0])


def plural(model: type[models.Model]) -> str:
    return str(model._meta.verbose_name_plural).capitalize()


def changelist_url(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def since_url(model: type[models.Model], moment: datetime) -> str:
    return f"{changelist_url(model)}?{urlencode({'created_at__gte': moment.isoformat()})}"
