"""What Django calls after each test whose transactions are real, in place of its own command.

That one truncates every table and makes content types and permissions anew, which takes longer
than most tests.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import connections, transaction

# What migrations write and no test changes in a real transaction.
KEPT = {"auth_group", "auth_group_permissions", "auth_permission", "django_content_type"}


class Command(flush.Command):
    """Delete the rows of all tables, but for what migrations wrote."""

    def handle(self, **options: Any) -> None:
        """Delete where there are rows, past the triggers, which refuse to."""
        connection = connections[options["database"]]
        tables = connection.introspection.django_table_names(only_existing=True)
        asked = [f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in tables]
        with transaction.atomic(options["database"]), connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(asked))
            filled = {name for (name,) in cursor.fetchall()} - KEPT
            cursor.execute("SET LOCAL session_replication_role = replica")
            for name in filled:
                cursor.execute(f"DELETE FROM {name}")
