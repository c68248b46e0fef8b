"""Health checks: whether the process runs, and whether it can serve requests."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe


@csrf_exempt
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 while the process runs, without a query."""
    return JsonResponse({"ok": True})


@csrf_exempt
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200, or 503 with what is missing: the database, or migrations to apply."""
    try:
        pending = _pending_migrations()
    except DatabaseError:
        # The connection may have been lost while it was idle: try a new one.
        connection.close()
        try:
            pending = _pending_migrations()
        except DatabaseError:
            connection.close()
            return _missing("The database can't be reached")
    if pending:
        return _missing(f"{pending} migrations are not applied")
    return JsonResponse({"ok": True})


def _pending_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _missing(what: str) -> JsonResponse:
    return JsonResponse({"ok": False, "detail": what}, status=503, headers={"Retry-After": "2"})
