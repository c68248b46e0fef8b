"""A connection that died while it lay idle: after a failover or a restart, each thread has one."""

from __future__ import annotations

from django.db import connection


def drop_if_dead() -> bool:
    """Close this thread's connection if it died; the next statement opens another.

    Returns:
        Whether it had died. False where there was none, and inside a transaction.
    """
    if connection.connection is None or connection.in_atomic_block or connection.is_usable():
        return False
    connection.close()
    return True
