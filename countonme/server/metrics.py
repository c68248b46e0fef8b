"""Figures for Prometheus, on an address of their own: what is asked, how long it takes, how much.

No label has an id or a text that somebody sent: routes, methods, statuses and tables are few, and
the same for all. Each worker counts for itself, in a folder in memory; `exporter.py` adds that up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

from django.db.backends.postgresql.base import ServerBindingCursor
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Gauge, Histogram

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
BYTES = tuple(float(4**power) for power in range(5, 14))  # 1 KiB to 64 MiB
SYNC = "/v1/sync"
SLOT = re.compile(r"<(?:\w+:)?(\w+)>")

REQUESTS = Histogram(
    "countonme_request_seconds",
    "Requests by route, method and status, and how long they took. Throttled ones have status 429.",
    ("route", "method", "status"),
    buckets=SECONDS,
)
BUSY = Gauge(
    "countonme_requests_in_progress",
    "Requests under way: of all workers together at most workers times threads.",
    multiprocess_mode="livesum",
)
QUERIES = Histogram(
    "countonme_query_seconds", "Statements, and how long they took.", buckets=SECONDS
)
CONNECTIONS = Counter(
    "countonme_database_connections", "Connections that were opened; each thread keeps its own."
)
SYNCED = Histogram(
    "countonme_sync_bytes", "The bodies of pulls and pushes.", ("direction",), buckets=BYTES
)


class MeasuredCursor(ServerBindingCursor):
    """The cursor of Django's backend, with a clock."""

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        begun = perf_counter()
        try:
            return super().execute(*args, **kwargs)  # type: ignore[misc]  # psycopg's, not in stubs
        finally:
            QUERIES.observe(perf_counter() - begun)


class MetricsMiddleware:
    """Measure requests; only in MIDDLEWARE if METRICS_ADDRESS is set."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with BUSY.track_inprogress():
            begun = perf_counter()
            response = self.get_response(request)
            measure(request, response, perf_counter() - begun)
        return response


def count_connection(**kwargs: Any) -> None:
    """Count a connection; receives `connection_created`."""
    CONNECTIONS.inc()


def measure(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Note a request and its answer. A streamed answer's time ends where its first byte begins."""
    route = route_of(request)
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(route, method, str(response.status_code)).observe(seconds)
    if route == SYNC and response.status_code == 200:
        if method == "POST":
            SYNCED.labels("push").observe(int(request.META.get("CONTENT_LENGTH") or 0))
        elif not response.streaming:
            SYNCED.labels("pull").observe(len(response.content))


def route_of(request: HttpRequest) -> str:
    """Return a path as the OpenAPI document has it, with `{id}`. All pages count as one."""
    found = request.resolver_match
    return named(found.route) if found else "none"


@cache
def named(route: str) -> str:
    return "/" + SLOT.sub(r"{\1}", route) if route.startswith(("v1/", "health")) else "pages"
