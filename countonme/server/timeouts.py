"""How long a statement may run and wait, kept by PostgreSQL itself.

The bounds stand on the role, for this database alone: a connection through PgBouncer carries no
settings of its own. `migrate` sets them, each time, because a dump does not carry them either.
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


def set_on_role(using: str = "default", **kwargs: Any) -> None:
    """Have PostgreSQL bound every later connection of this role; a receiver of `post_migrate`."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT unnest(setconfig) FROM pg_db_role_setting"
            " JOIN pg_database ON pg_database.oid = setdatabase"
            " JOIN pg_roles ON pg_roles.oid = setrole"
            " WHERE datname = current_database() AND rolname = current_user"
        )
        present = {setting for (setting,) in cursor.fetchall()}
        for name, seconds in settings.DATABASE_TIMEOUTS.items():
            # Not written twice: two migrations at once would meet on the catalog's row.
            if f"{name}={seconds}s" not in present:
                database = sql.Identifier(connections[using].settings_dict["NAME"])
                statement = sql.SQL("ALTER ROLE CURRENT_USER IN DATABASE {} SET {} = {}")
                cursor.execute(
                    statement.format(database, sql.Identifier(name), sql.Literal(f"{seconds}s"))
                )


@contextmanager
def lifted(*, locks: bool) -> Iterator[None]:
    """Let connections opened meanwhile take their time, as commands need; not through PgBouncer.

    Args:
        locks: whether they may also wait for locks without end. A migration must not: whoever
            needs the table queues up behind it.
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
