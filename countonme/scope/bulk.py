"""Many rows of one device at once: the database writes them, or judges them, as arrays."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from django.db import IntegrityError, InternalError, connections, models

# All CHECKs and foreign keys of a table: name, kind, condition of a CHECK, and of a foreign key its
# columns, the table that it refers to, and the columns there.
CONSTRAINTS = """
SELECT conname, contype, pg_get_expr(conbin, conrelid), ARRAY(
        SELECT quote_ident(attname) FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place
    ), confrelid::regclass::text, ARRAY(
        SELECT quote_ident(attname) FROM unnest(confkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place
    )
FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('c', 'f') ORDER BY conname
"""


class BulkRows:
    """Rows of one model and device, their values prepared once, as Django's `save()` does.

    The device is no array, but one value: a sharded database finds its shard by that.

    Args:
        device_id: the device that all rows belong to.
        insert: whether the rows are new; it says which values are prepared.
    """

    def __init__(
        self,
        model: type[models.Model],
        device_id: uuid.UUID,
        rows: Sequence[models.Model],
        using: str,
        *,
        insert: bool,
    ) -> None:
        self.db: Any = connections[using]
        self.device_id = device_id
        fields = [field for field in model._meta.concrete_fields if field.name != "device"]
        self.table = self.db.ops.quote_name(model._meta.db_table)
        self.values = [
            [field.get_db_prep_save(field.pre_save(row, insert), self.db) for row in rows]
            for field in fields
        ]
        self.columns = ", ".join(self.db.ops.quote_name(str(field.column)) for field in fields)
        arrays = ", ".join(f"%s::{field.db_type(self.db)}[]" for field in fields)
        self.given = f"unnest({arrays}) AS given ({self.columns})"

    def insert(self) -> None:
        """Insert the rows.

        Raises:
            IntegrityError: the database refuses one.
        """
        try:
            self._execute(
                f"INSERT INTO {self.table} ({self.columns}, device_id) "  # noqa: S608  # our names
                f"SELECT given.*, %s FROM {self.given}",
                [self.device_id, *self.values],
            )
        except InternalError as error:
            # Citus copies the rows to their shard, and reports what that refuses as XX000.
            raise IntegrityError(*error.args) from error

    def update(self) -> None:
        """Write the rows over those of the device with the same id."""
        self._execute(
            f"UPDATE {self.table} AS stored SET ({self.columns}) = ROW (given.*) "  # noqa: S608  # likewise
            f"FROM {self.given} WHERE stored.id = given.id AND stored.device_id = %s",
            [*self.values, self.device_id],
        )

    def refused(self) -> dict[uuid.UUID, str]:
        """Ask the database which rows break a CHECK or a foreign key; return its name by id.

        A foreign key is compared with what is stored by now.
        """
        broken = " ".join(f"WHEN {condition} THEN {name}" for name, condition in self._broken)
        given = f"(SELECT given.*, %s AS device_id FROM {self.given}) AS given"  # noqa: S608  # likewise
        query = f"SELECT id, CASE {broken} END FROM {given}"  # noqa: S608  # likewise
        found = self._execute(
            f"SELECT * FROM ({query}) AS judged (id, broken) WHERE broken <> ''",  # noqa: S608  # likewise
            [self.device_id, *self.values],
        )
        return dict(found)

    @cached_property
    def _broken(self) -> list[tuple[str, str]]:
        """For each constraint its name, as a string of SQL, and the condition of a broken row."""
        return list(self._conditions())

    def _conditions(self) -> Iterator[tuple[str, str]]:
        with self.db.cursor() as cursor:
            cursor.execute(CONSTRAINTS, [self.table])
            constraints = cursor.fetchall()
        for name, kind, check, columns, target, referred in constraints:
            text = "'" + name.replace("'", "''") + "'"
            if kind == "c":
                condition = f"({check}) IS FALSE"
            else:
                named = " AND ".join(f"given.{column} IS NOT NULL" for column in columns)
                pairs = zip(referred, columns, strict=True)
                same = " AND ".join(f"target.{there} = given.{here}" for there, here in pairs)
                found = f"SELECT FROM {target} AS target WHERE {same}"
                condition = f"{named} AND NOT EXISTS ({found})"
            yield text.replace("%", "%%"), condition.replace("%", "%%")

    def _execute(self, query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self.db.cursor() as cursor:
            cursor.execute(query, values)
            return list(cursor.fetchall()) if cursor.description else []
