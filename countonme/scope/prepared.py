"""Querysets, and inserts, that are compiled once.

What a request asks is nearly always of a shape that was asked before. Django builds and compiles
the same SQL anew each time, which costs more than PostgreSQL needs for the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Model, QuerySet
from psycopg.pq import Format

# What a queryset's SQL is put into.
ROWS, PAGE, COUNT = "{}", "{} LIMIT %s OFFSET %s", "SELECT count(*) FROM ({}) AS rows"


class Slot(Expression):
    """A place in a queryset where each call puts a value."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Statement:
    """What a connection keeps a cursor of psycopg's for: Django's own adds as much as it asks."""

    def _run(self, sql: bytes, parameters: Sequence[Any], fetch: str = "") -> Any:
        """Execute, and return what a method of the cursor then gives.

        The cursor keeps what psycopg has found out about the statement's types. Where queries are
        logged or wrapped (`connection.execute_wrappers`), as tests and tracing do, Django has a new
        cursor for each.

        Raises:
            DatabaseError: as Django words it.
        """
        db: Any = connections[DEFAULT_DB_ALIAS]
        if db.queries_logged or db.execute_wrappers:
            with self._open(db) as cursor:
                cursor.execute(sql.decode(), parameters)
                return fetch and getattr(cursor, fetch)()
        db.validate_no_broken_transaction()
        with db.wrap_database_errors:
            cursor = self._kept(db)
            cursor.execute(sql, parameters)
            return fetch and getattr(cursor, fetch)()

    def _kept(self, db: Any) -> Any:
        kept = vars(db).setdefault("prepared_cursors", {})
        cursor = kept.get(self)
        if cursor is None or cursor.connection is not db.connection:
            cursor = kept[self] = self._open(db).cursor
        return cursor

    @staticmethod
    def _open(db: Any) -> Any:
        cursor = db.cursor()
        # psycopg has faster loaders for binary values, and Django none of its own.
        cursor.cursor.format = Format.BINARY
        return cursor


class Prepared(Statement):
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
    def _statements(self) -> dict[str, bytes]:
        """By frame: psycopg knows a statement that it has seen by the very object."""
        sql, _ = self._compiled
        return {frame: frame.format(sql).encode() for frame in (ROWS, PAGE, COUNT)}

    @cached_property
    def _attributes(self) -> list[str]:
        return [field.attname for field in self._queryset.model._meta.concrete_fields]

    def rows(self, *, page: tuple[int, int] | None = None, **values: Any) -> list[tuple[Any, ...]]:
        """Ask with a value for each slot, and return rows as `values_list()` would.

        Args:
            page: how many rows, after how many others; all, if it is not given.
        """
        return self._ask(PAGE if page else ROWS, values, page or (), fetch="fetchall")

    def batches(self, size: int, **values: Any) -> Iterator[list[tuple[Any, ...]]]:
        """Yield all rows, so many at a time: what is not yet asked for is not yet Python's objects.

        They are let go after the last, which a kept cursor would not.
        """
        with self._open(connections[DEFAULT_DB_ALIAS]) as cursor:
            cursor.execute(self._statements[ROWS].decode(), self._bound(values))
            while rows := cursor.fetchmany(size):
                yield rows

    def count(self, **values: Any) -> int:
        """Return how many rows there are."""
        (count,) = self._ask(COUNT, values)
        return int(count)

    def instance(self, **values: Any) -> Any:
        """Return the one row as an instance of its model, or None where there is none."""
        row = self._ask(ROWS, values)
        if row is None:
            return None
        return self._queryset.model.from_db(DEFAULT_DB_ALIAS, self._attributes, row)

    def _ask(
        self, frame: str, values: dict[str, Any], more: Iterable[Any] = (), fetch: str = "fetchone"
    ) -> Any:
        return self._run(self._statements[frame], [*self._bound(values), *more], fetch)

    def _bound(self, values: dict[str, Any]) -> list[Any]:
        _, parameters = self._compiled
        return [values[p.name] if isinstance(p, Slot) else p for p in parameters]


class PreparedInsert(Statement):
    """The INSERT of one row of each of some models, as one statement.

    What it may write, the database alone checks: triggers row by row, foreign keys at its end.
    """

    def __init__(self, *models: type[Model]) -> None:
        self.fields = [model._meta.concrete_fields for model in models]
        *first, last = map(self._insert, models)
        others = ", ".join(f"i{number} AS ({sql})" for number, sql in enumerate(first))
        self.sql = f"WITH {others} {last}".encode() if first else last.encode()

    @staticmethod
    def _insert(model: type[Model]) -> str:
        quote = connections[DEFAULT_DB_ALIAS].ops.quote_name
        columns = [quote(str(field.column)) for field in model._meta.concrete_fields]
        slots = ", ".join("%s" for _ in columns)
        return f"INSERT INTO {quote(model._meta.db_table)} ({', '.join(columns)}) VALUES ({slots})"  # noqa: S608  # our names

    def run(self, *rows: Model) -> None:
        """Insert rows, one of each model, their values prepared as Django's `save()` does.

        Raises:
            IntegrityError: the database refuses one.
        """
        db = connections[DEFAULT_DB_ALIAS]
        values = [
            field.get_db_prep_save(field.pre_save(row, True), db)
            for row, fields in zip(rows, self.fields, strict=True)
            for field in fields
        ]
        self._run(self.sql, values)
        for row in rows:
            row._state.adding = False
            row._state.db = DEFAULT_DB_ALIAS
