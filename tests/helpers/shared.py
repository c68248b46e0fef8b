"""Rows that are written once for several tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import transaction

T = TypeVar("T")


@contextmanager
def shared(blocker: Any, make: Callable[[], T]) -> Iterator[T]:
    """Make rows before tests and take them back after: each test rolls back to them alone.

    Not beside tests whose transactions are real.

    Args:
        blocker: pytest-django's, which lets only tests that ask for it use the database.
    """
    with blocker.unblock(), transaction.atomic():
        made = make()
        with blocker.block():
            yield made
        transaction.set_rollback(True)
