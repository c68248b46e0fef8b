"""The project's own migrations."""

from __future__ import annotations

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def own_migrations() -> list[tuple[str, str]]:
    """Return our apps' migrations as (app, name), each after those that it needs."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    return [
        (migration.app_label, migration.name)
        for migration, _ in plan
        if migration.app_label in settings.OWN_APPS
    ]
