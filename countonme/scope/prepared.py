"""Querysets and inserts whose SQL is compiled once.

The queries of a request nearly always differ from earlier ones in their values only. Django would
compile the same SQL again each time, which takes longer than PostgreSQL's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import Expression, Model, QuerySet
from psycopg.pq import Format

# Templates for the SQL of a queryset.
ROWS, PAGE, COUNT = "{}", "{} LIMIT %s OFFSET %s", "SELECT count(*) FROM ({}) AS rows"


class Slot(Expression):
    """A placeholder in a queryset, for which each call gives a value."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Statement:
    """SQL for which each connection keeps a psycopg cursor: a new Django cursor takes time."""

    def _run(self, sql: bytes, parameters: Sequence[Any], fetch: str = "") -> Any:
        """Execute the SQL. If `fetch` names a method of the cursor, return its result.

        The kept cursor remembers what psycopg found out about the statement's types. If queries are
        logged or wrapped (`connection.execute_wrappers`), as in tests and for tracing, a new cursor
        of Django's is used instead.

        Raises:
            DatabaseError: Django's, as from any other query.
        """
        db: Any = connections[DEFAULT_DB_ALIAS]
        if db.queries_logged or db.execute_wrappers:
            with self._new_cursor(db) as cursor:
                cursor.execute(sql.decode(), parameters)
                return fetch and getattr(cursor, fetch)()
        db.validate_no_broken_transaction()
        with db.wrap_database_errors:
            cursor = self._kept_cursor(db)
            cursor.execute(sql, parameters)
            return fetch and getattr(cursor, fetch)()

    def _kept_cursor(self, db: Any) -> Any:
        kept = vars(db).setdefault("prepared_cursors", {})
        cursor = kept.get(self)
        if cursor is None or cursor.connection is not db.connection:
            cursor = kept[self] = self._new_cursor(db).cursor
        return cursor

    @staticmethod
    def _new_cursor(db: Any) -> Any:
        cursor = db.cursor()
        # psycopg loads binary values faster, and Django registers no loaders for them.
        cursor.cursor.format = Format.BINARY
        return cursor


class Prepared(Statement):
    """A queryset with slots. The first call compiles its SQL, and PostgreSQL keeps its plan.

    Args:
        build: called with a `Slot` for each name, as keyword arguments; returns the queryset.
        slots: the names of the slots.
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
        """The SQL by template, as the same object each time: psycopg compares by identity."""
        sql, _ = self._compiled
        return {template: template.format(sql).encode() for template in (ROWS, PAGE, COUNT)}

    @cached_property
    def _attributes(self) -> list[str]:
        return [field.attname for field in self._queryset.model._meta.concrete_fields]

    def rows(self, *, page: tuple[int, int] | None = None, **values: Any) -> list[tuple[Any, ...]]:
        """Run the query with a value for each slot, and return rows as `values_list()` does.

        Args:
            page: limit and offset; all rows if it is not given.
        """
        return self._ask(PAGE if page else ROWS, values, page or (), fetch="fetchall")

    def batches(self, size: int, **values: Any) -> Iterator[list[tuple[Any, ...]]]:
        """Yield all rows in lists of `size`; each list becomes Python objects when it is asked for.

        It has a cursor of its own. A kept cursor would keep the result in memory afterwards.
        """
        with self._new_cursor(connections[DEFAULT_DB_ALIAS]) as cursor:
            cursor.execute(self._statements[ROWS].decode(), self._bound(values))
            while rows := cursor.fetchmany(size):
                yield rows

    def count(self, **values: Any) -> int:
        """Return how many rows there are."""
        (count,) = self._ask(COUNT, values)
        return int(count)

    def instance(self, **values: Any) -> Any:
        """Return the one row as an instance of its model, or None if there is none."""
        row = self._ask(ROWS, values)
        return None if row is None else self._instance(row)

    def instances(self, **values: Any) -> list[Any]:
        """Return the rows as instances of their model."""
        return [self._instance(row) for row in self.rows(**values)]

    def _instance(self, row: tuple[Any, ...]) -> Any:
        return self._queryset.model.from_db(DEFAULT_DB_ALIAS, self._attributes, row)

    def _ask(
        self,
        template: str,
        values: dict[str, Any],
        more: Iterable[Any] = (),
        fetch: str = "fetchone",
    ) -> Any:
        return self._run(self._statements[template], [*self._bound(values), *more], fetch)

    def _bound(self, values: dict[str, Any]) -> list[Any]:
        _, parameters = self._compiled
        return [values[p.name] if isinstance(p, Slot) else p for p in parameters]


class PreparedInsert(Statement):
    """The INSERT of one row of each of some models, as one statement.

    Each model comes after those that it refers to, and its INSERT reads the one before: so these
    run in order, also on a sharded database, and the first error is that of the first.
    """

    def __init__(self, *models: type[Model]) -> None:
        self.fields = [model._meta.concrete_fields for model in models]
        first, *others = models
        statements = [self._insert(first, "VALUES ({})")]
        for number, model in enumerate(others):
            statements.append(self._insert(model, f"SELECT {{}} FROM i{number}"))  # noqa: S608  # likewise
        *before, last = statements
        named = ", ".join(f"i{number} AS ({sql} RETURNING 1)" for number, sql in enumerate(before))
        self.sql = f"WITH {named} {last}".encode() if before else last.encode()

    @staticmethod
    def _insert(model: type[Model], source: str) -> str:
        quote = connections[DEFAULT_DB_ALIAS].ops.quote_name
        columns = [quote(str(field.column)) for field in model._meta.concrete_fields]
        slots = ", ".join("%s" for _ in columns)
        table = quote(model._meta.db_table)
        return f"INSERT INTO {table} ({', '.join(columns)}) {source.format(slots)}"  # our names

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
