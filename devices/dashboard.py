"""The figures and charts on the operators' front page. Each links to the list that it counts."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson
from django.db import connection, models
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import TruncDate
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from countonme.scope.models import device_scoped_models
from devices.models import Device, Phone
from devices.throttling import RegisterThrottle

DAYS = 30
# A larger table takes too long to count: PostgreSQL's estimate is shown instead.
COUNTED_EXACTLY = 100_000


class Figure(NamedTuple):
    label: str
    value: str
    url: str


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
    """Return the figures by section, and charts of the last 30 days; days are in UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {
        "sections": {
            "Devices": device_figures(midnight),
            "Rows": row_figures(),
            "To look at": waiting_figures(),
        },
        "charts": charts(midnight - timedelta(days=DAYS - 1)),
    }


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
    """Return the number of live rows of each model; of large tables an estimate."""
    figures = []
    for model in device_scoped_models():
        rows = estimated_rows(model)
        if rows > COUNTED_EXACTLY:
            value = f"≈ {rows:,}"
        else:
            value = f"{model.objects.across_devices().count():,}"
        figures.append(Figure(plural(model), value, f"{changelist_url(model)}?deleted=no"))
    return figures


def waiting_figures() -> list[Figure]:
    """Return the deleted rows of each model, the oldest of them, and throttled registrations."""
    figures = []
    oldest: tuple[datetime, str] | None = None
    for model in device_scoped_models():
        deleted = model.all_objects.across_devices().filter(deleted_at__isnull=False)
        found = deleted.aggregate(count=Count("pk"), oldest=Min("deleted_at"))
        url = f"{changelist_url(model)}?deleted=yes"
        figures.append(Figure(f"Deleted {plural(model).lower()}", f"{found['count']:,}", url))
        if found["oldest"] and (oldest is None or found["oldest"] < oldest[0]):
            oldest = found["oldest"], url
    if oldest:
        figures.append(Figure("Oldest unpurged", f"{oldest[0]:%Y-%m-%d}", oldest[1]))
    throttled = f"{RegisterThrottle.refused_today():,}"
    return [*figures, Figure("Throttled registrations today", throttled, changelist_url(Device))]


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
    """Return a bar chart of 30 days, with the total in its title."""
    days = [first.date() + timedelta(days=n) for n in range(DAYS)]
    bars = {"data": [counts[day] for day in days], "backgroundColor": "var(--color-primary-600)"}
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
