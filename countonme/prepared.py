"""Querysets that are compiled once.

What a request asks is nearly always of a shape that was asked before. Django builds and compiles
the same SQL anew each time, which costs more than PostgreSQL needs for the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, QuerySet


class Slot(Expression):
    """A place in a queryset where each call puts a value."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Prepared:
    """A queryset with slots; its SQL is made at the first call, and its plan kept by PostgreSQL.

    Args:
        build: gives the queryset, of the slots by their names.
        slots: these names.
    """

    def __init__(self, build: Callable[..., QuerySet[Any, Any]], *slots: str) -> None:
        self.build = build
        self.slots = slots

    @cached_property
    def _queryset(self) -> QuerySet[Any, Any]:
        return self.build(**{name: Slot(name) for name in self.slots})

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...]]:
        query = self._queryset.query
        return query.get_compiler(using=DEFAULT_DB_ALIAS).as_sql()

    @cached_property
    def _attributes(self) -> list[str]:
        return [field.attname for field in self._queryset.model._meta.concrete_fields]

    def rows(self, *, page: tuple[int, int] | None = None, **values: Any) -> list[tuple[Any, ...]]:
        """Ask with a value for each slot, and return rows as `values_list()` would.

        Args:
            page: how many rows, after how many others; all, if it is not given.
        """
        return self._ask("{} LIMIT %s OFFSET %s" if page else "{}", values, page or ())

    def batches(self, size: int, **values: Any) -> Iterator[list[tuple[Any, ...]]]:
        """Yield all rows, so many at a time: what is not yet asked for is not yet Python's objects.

        Nothing else may be asked before the last.
        """
        cursor = self._execute("{}", values)
        while rows := cursor.fetchmany(size):
            yield rows

    def count(self, **values: Any) -> int:
        """Return how many rows there are."""
        ((count,),) = self._ask("SELECT count(*) FROM ({}) AS rows", values)
        return int(count)

    def instance(self, **values: Any) -> Any:
        """Return the one row as an instance of its model, or None where there is none."""
        rows = self._ask("{}", values)
        if not rows:
            return None
        return self._queryset.model.from_db(DEFAULT_DB_ALIAS, self._attributes, rows[0])

    def _ask(self, frame: str, values: dict[str, Any], more: Iterable[Any] = ()) -> Any:
        return self._execute(frame, values, more).fetchall()

    def _execute(self, frame: str, values: dict[str, Any], more: Iterable[Any] = ()) -> Any:
        sql, parameters = self._compiled
        bound = [values[p.name] if isinstance(p, Slot) else p for p in parameters]
        cursor = _cursor()
        cursor.execute(frame.format(sql), [*bound, *more])
        return cursor


def _cursor() -> Any:
    """Return a cursor that is kept with the connection: making one costs as much as a query.

    Where queries are logged, as by tests that count them, Django has one of its own for each.
    """
    db: Any = connections[DEFAULT_DB_ALIAS]
    if db.queries_logged:
        return db.cursor()
    kept = vars(db).get("kept_cursor")
    if kept is None or kept.cursor.connection is not db.connection:
        kept = db.kept_cursor = db.cursor()
    return kept
