"""Querysets that are compiled once.

What a request asks is nearly always of a shape that was asked before, and Django builds and
compiles the same SQL anew each time, which costs several times what PostgreSQL needs to answer it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import Expression, QuerySet


class Slot(Expression):
    """A place in a queryset where a value comes with each call."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [self]


class Prepared:
    """A queryset's SQL, in whose slots values are put; PostgreSQL keeps its plan as well.

    Args:
        build: gives the queryset, of slots by the names of its arguments.
        slots: these names.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]], *slots: str) -> None:
        query = build(**{name: Slot(name) for name in slots}).query
        compiler = query.get_compiler(connection=connection)
        self.sql, self.params = compiler.as_sql()
        names = [name for *_, name in compiler.select]
        self.columns = names

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Run it with a value for each slot; return the rows as PostgreSQL's own types map."""
        params = [values[p.name] if isinstance(p, Slot) else p for p in self.params]
        with connection.cursor() as cursor:
            cursor.execute(self.sql, params)
            return cursor.fetchall()
