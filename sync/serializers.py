"""Serializers of pulls and pushes."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from countonme.api.fields import QueryIntegerField, Reader
from countonme.api.query import QuerySerializer
from countonme.api.schema import example
from sync.registry import synced

MAX_DIGITS = 18
KINDS = ("created", "updated", "deleted")

# An example of a record of each table.
RECORDS = {
    name: {column: changes.example[column] for column in changes.table.columns}
    for name, changes in synced().items()
}
# The first table, which refers to no other.
FIRST = next(iter(RECORDS))


def example_changes(kind: str = "", *tables: str) -> dict[str, Any]:
    """Return an example of a `changes` object, with all tables.

    Args:
        kind: how a record was changed: "created", "updated" or "deleted".
        tables: the tables that have one such record; the others are empty.
    """

    def listed(name: str) -> list[Any]:
        return [RECORDS[name]["id"] if kind == "deleted" else RECORDS[name]]

    return {
        name: {each: listed(name) if each == kind and name in tables else [] for each in KINDS}
        for name in RECORDS
    }


class NumberOrNullField(serializers.CharField):
    """A number in a query string, as WatermelonDB writes it; empty and `null` are 0."""

    default_error_messages = {"invalid": "Neither a whole number nor null."}
    pattern: ClassVar[str] = rf"^(null|[0-9]{{0,{MAX_DIGITS}}})$"
    schema_keywords: ClassVar[dict[str, Any]] = {"pattern": pattern}

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]  # a number, read
        if not re.fullmatch(self.pattern, data):
            self.fail("invalid")
        return 0 if data in ("", "null") else int(data)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Skip the check of CharField that refuses an empty string."""
        return serializers.Field.run_validation(self, data)


class MigrationField(serializers.CharField):
    """A migration of the phone's database, as JSON; read as the tables to send in full."""

    default_error_messages = {"invalid": "Not a migration as the library words it, nor null."}

    def to_internal_value(self, data: Any) -> set[str]:  # type: ignore[override]  # names, read
        try:
            return _tables_of(json.loads(data or "null"))
        except (ValueError, TypeError, KeyError, RecursionError):
            self.fail("invalid")

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Skip the check of CharField that refuses an empty string."""
        return serializers.Field.run_validation(self, data)


class PullQuery(QuerySerializer):
    last_pulled_at = NumberOrNullField(
        error_messages={"invalid": "Neither the timestamp of a pull nor null."},
        required=False,
        allow_blank=True,
        help_text="The `timestamp` of the pull before; empty, `null` or 0 on the first sync.",
    )
    schema_version = NumberOrNullField(
        error_messages={"invalid": "Neither the version of a schema nor null."},
        required=False,
        allow_blank=True,
        help_text="The version of the phone's database. Every version gets the same answer.",
    )
    migration = MigrationField(
        required=False,
        allow_blank=True,
        help_text="The tables and columns that the phone's database got since the last sync, as "
        "the library writes them. The answer has all rows of these tables.",
    )


class PushQuery(QuerySerializer):
    last_pulled_at = QueryIntegerField(
        min_value=0, help_text="The `timestamp` of the pull before this push."
    )


def _table_serializer(name: str, *, pushed: bool) -> Any:
    """Return a serializer class that describes a table's changes."""
    table = synced()[name].table
    parts: dict[str, Any] = {
        "created": table.serializer(many=True, required=False),
        "updated": table.serializer(many=True, required=False),
        "deleted": serializers.ListField(child=serializers.CharField(), required=False),
    }
    base = table.serializer.__name__.removesuffix("RecordSerializer")
    kind = "Pushed" if pushed else "Pulled"
    return type(f"{kind}{base}Serializer", (serializers.Serializer,), parts)


PUSHED: Any = {name: _table_serializer(name, pushed=True)(required=False) for name in synced()}
PULLED: Any = {name: _table_serializer(name, pushed=False)() for name in synced()}


@example("An evening offline", example_changes("created", *RECORDS), request_only=True)
@example("What was deleted", example_changes("deleted", *RECORDS), request_only=True)
class ChangesSerializer(Reader):
    """What a phone changed: by table, whole records and the ids of deleted ones.

    A table or list that is left out is empty. `_status`, `_changed` and unknown columns are
    ignored. The records of a table that is not synced are left out of the database, and named.
    """

    vars().update(PUSHED)

    def read(self, data: Any) -> dict[str, Any]:
        """Check the shape of the changes, and return them. Of a record only the id is checked.

        Raises:
            ValidationError: it lists every table of another shape.
        """
        errors: dict[str, Any] = {}
        for name, table in data.items():
            if not is_name(name):
                shown = name[:100].encode(errors="replace").decode()
                errors[shown] = [_detail("Not a table's name.")]
            elif not isinstance(table, dict) or not table.keys() <= set(KINDS):
                errors[name] = [_detail("Not an object of created, updated and deleted.")]
            else:
                found = {kind: _shape_errors(kind, rows) for kind, rows in table.items()}
                if any(found.values()):
                    errors[name] = {kind: error for kind, error in found.items() if error}
        if errors:
            raise serializers.ValidationError(errors)
        return dict(data)


def _tables_of(migration: Any) -> set[str]:
    """Return the synced tables that a migration of the phone's added, or added columns to.

    Raises:
        TypeError, KeyError: it is not such a migration.
    """
    if migration is None:
        return set()
    tables, columns = migration["tables"], migration["columns"]
    if not isinstance(tables, list) or not isinstance(columns, list):
        raise TypeError
    return {*tables, *(added["table"] for added in columns)} & synced().keys()


def _shape_errors(kind: str, rows: Any) -> list[ErrorDetail]:
    """Return the errors of a list. Every element needs an id, by which it could be rejected."""
    if not isinstance(rows, list):
        return [_detail("Not a list.")]
    if kind == "deleted":
        are_named = all(is_name(row) for row in rows)
        return [] if are_named else [_detail("Not a list of ids.")]
    are_named = all(isinstance(row, dict) and is_name(row.get("id")) for row in rows)
    return [] if are_named else [_detail("Not a list of records with ids.")]


def is_name(text: Any) -> bool:
    """Return whether a value is a string that an answer can repeat: one without surrogates."""
    return isinstance(text, str) and not re.search("[\ud800-\udfff]", text)


def _detail(text: str) -> ErrorDetail:
    return ErrorDetail(text, "invalid")


class PulledTablesSerializer(serializers.Serializer[Any]):
    vars().update(PULLED)


@example("A new record", {"changes": example_changes("updated", FIRST), "timestamp": 42})
@example(
    "After a purge",
    {
        "changes": example_changes("updated", *RECORDS),
        "timestamp": 42,
        "experimentalStrategy": "replacement",
    },
)
class PullSerializer(serializers.Serializer[Any]):
    may_be_absent = {"experimentalStrategy"}

    changes = PulledTablesSerializer()
    timestamp = serializers.IntegerField(help_text="The device's revision; for the next call.")
    experimentalStrategy = serializers.ChoiceField(  # noqa: N815  # the library's name
        ["replacement"],
        required=False,
        help_text="Present where `changes` has all rows: the phone removes all others.",
    )


@example(
    "A record was left out",
    {
        "experimentalRejectedIds": {FIRST: [RECORDS[FIRST]["id"]]},
        "rejected": {FIRST: {RECORDS[FIRST]["id"]: "name: This field may not be blank."}},
    },
)
@example("All went well", {"experimentalRejectedIds": {}, "rejected": {}})
class PushSerializer(serializers.Serializer[Any]):
    experimentalRejectedIds = serializers.DictField(  # noqa: N815  # the library's name
        child=serializers.ListField(child=serializers.CharField()), help_text="By table."
    )
    rejected = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField()),
        help_text="Why, by table and id.",
    )
