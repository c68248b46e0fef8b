"""Timeouts of statements, locks and idle transactions, which PostgreSQL enforces.

They are set on the role, for this database only, because a connection through PgBouncer has no
settings of its own. Every `migrate` sets them, because a dump does not have them either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import connections
from psycopg import sql

LIFTED = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0"
# What PgBouncer says to a connection for which timeouts are lifted.
REFUSED = "unsupported startup parameter"
THROUGH_A_POOLER = (
    "DATABASE_URL leads to a pooler, such as PgBouncer. Commands need a connection of their own, "
    "without the timeouts of requests: set DATABASE_URL to PostgreSQL itself for them."
)


def set_on_role(using: str = "default", **kwargs: Any) -> None:
    """Set the timeouts of all later connections of this role; receives `post_migrate`."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT unnest(setconfig) FROM pg_db_role_setting"
            " JOIN pg_database ON pg_database.oid = setdatabase"
            " JOIN pg_roles ON pg_roles.oid = setrole"
            " WHERE datname = current_database() AND rolname = current_user"
        )
        present = {setting for (setting,) in cursor.fetchall()}
        for name, seconds in settings.DATABASE_TIMEOUTS.items():
            # Written only if it differs: two migrations at once would update the same row.
            if f"{name}={seconds}s" not in present:
                database = sql.Identifier(connections[using].settings_dict["NAME"])
                statement = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}")
                cursor.execute(
                    statement.format(database, sql.Identifier(name), sql.Literal(f"{seconds}s"))
                )


def is_refused(error: Exception) -> bool:
    """Return whether a connection failed because a pooler would not lift its timeouts."""
    return REFUSED in str(error)


@contextmanager
def lifted(*, locks: bool) -> Iterator[None]:
    """Open connections without timeouts inside the block, as commands need; not for PgBouncer.

    Args:
        locks: whether to lift the timeout of locks too. Not for a migration: while it waits for a
            table, all other queries on that table wait behind it.
    """
    before = os.environ.get("PGOPTIONS")
    os.environ["PGOPTIONS"] = " ".join(
        [LIFTED, *(["-c lock_timeout=0"] if locks else []), *([before] if before else [])]
    )
    try:
        yield
    finally:
        if before is None:
            del os.environ["PGOPTIONS"]
        else:
            os.environ["PGOPTIONS"] = before
