"""Pulls and pushes on the wire."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from countonme.api.fields import QueryIntegerField, Reader
from countonme.api.query import QuerySerializer
from countonme.api.schema import example
from entries.serializers import ENTRY as LOGGED
from products.serializers import PRODUCT as LISTED
from sync.tables import TABLES, FoodEntryRecordSerializer, ProductRecordSerializer

MAX_DIGITS = 18
KINDS = ("created", "updated", "deleted")

PRODUCT = "5b0f0b1e-9a58-4c40-8a3b-0c7f3d2b9e10"
PORTION = "8d7d1a5e-6f3c-4e0a-9a55-2f7b0f6f2a11"
PIECE = {
    "id": "0d9c3c55-52b1-4a0e-8f3e-5b7b1d1c6f12",
    "product_id": PRODUCT,
    "name": "1 piece",
    "grams": 174,
    "is_default": False,
}
FOOD = {
    **{name: LISTED[name] for name in ProductRecordSerializer.Meta.fields},
    "barcode": "96385074",
}
EATEN = {
    **{name: LOGGED[name] for name in FoodEntryRecordSerializer.Meta.fields},
    "portion_id": PORTION,
    "quantity": 1.5,
}
WEIGHT = {"id": "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d", "date": "2025-02-06", "weight_kg": 72.5}
WATER = {"id": "1b2c3d4e-5f6a-4b7c-8d9e-0f1a2b3c4d5e", "date": "2025-02-05", "ml": 250}


def changes(**tables: dict[str, list[Any]]) -> dict[str, Any]:
    """Return a whole object of changes, for examples."""
    return {name: {kind: tables.get(name, {}).get(kind, []) for kind in KINDS} for name in TABLES}


class NumberOrNullField(serializers.CharField):
    """A number in a query string, as the library writes it; nothing and `null` are 0."""

    default_error_messages = {"invalid": "Neither a whole number nor null."}
    pattern: ClassVar[str] = rf"^(null|[0-9]{{0,{MAX_DIGITS}}})$"
    schema_keywords: ClassVar[dict[str, Any]] = {"pattern": pattern}

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]  # a number, read
        if not re.fullmatch(self.pattern, data):
            self.fail("invalid")
        return 0 if data in ("", "null") else int(data)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Take an empty text as it is."""
        return serializers.Field.run_validation(self, data)


class MigrationField(serializers.CharField):
    """What a phone's own migration added, as JSON: the names of the tables that it then needs."""

    default_error_messages = {"invalid": "Not a migration as the library words it, nor null."}

    def to_internal_value(self, data: Any) -> set[str]:  # type: ignore[override]  # names, read
        try:
            return _tables_of(json.loads(data or "null"))
        except (ValueError, TypeError, KeyError, RecursionError):
            self.fail("invalid")

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Take an empty text as it is."""
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
        help_text="Of the phone's database; every version is served alike.",
    )
    migration = MigrationField(
        required=False,
        allow_blank=True,
        help_text="What the phone's database has got since the last sync, as the library words "
        "it; all rows of the tables that it names come along.",
    )


class PushQuery(QuerySerializer):
    last_pulled_at = QueryIntegerField(
        min_value=0, help_text="The `timestamp` of the pull before this push."
    )


def _table_serializer(name: str, *, pushed: bool) -> Any:
    """Return the description of a table's changes."""
    table = TABLES[name]
    parts: dict[str, Any] = {
        "created": table.serializer(many=True, required=False),
        "updated": table.serializer(many=True, required=False),
        "deleted": serializers.ListField(child=serializers.CharField(), required=False),
    }
    base = table.serializer.__name__.removesuffix("RecordSerializer")
    kind = "Pushed" if pushed else "Pulled"
    return type(f"{kind}{base}Serializer", (serializers.Serializer,), parts)


PUSHED: Any = {name: _table_serializer(name, pushed=True)(required=False) for name in TABLES}
PULLED: Any = {name: _table_serializer(name, pushed=False)() for name in TABLES}


@example(
    "An evening offline",
    changes(
        products={"created": [FOOD]},
        portions={"created": [PIECE]},
        food_entries={"created": [EATEN]},
        body_weights={"created": [WEIGHT]},
        water_entries={"created": [WATER]},
    ),
    request_only=True,
)
@example(
    "What was deleted",
    {
        "products": {"created": [], "updated": [], "deleted": [PRODUCT]},
        "food_entries": {"created": [], "updated": [], "deleted": [EATEN["id"]]},
        "body_weights": {"created": [], "updated": [], "deleted": [WEIGHT["id"]]},
        "water_entries": {"created": [], "updated": [], "deleted": [WATER["id"]]},
    },
    request_only=True,
)
class ChangesSerializer(Reader, serializers.Serializer[Any]):
    """What a phone changed: by table, whole records and the ids of deleted ones.

    A table that is left out, or a list, is an empty one. `_status` and `_changed` are ignored, as
    all columns that the table has not. Of a table that is not synced all records are left out.
    """

    vars().update(PUSHED)

    def read(self, data: Any) -> dict[str, Any]:
        """Return the changes, of the right shape; records are not looked into, but for their ids.

        Raises:
            ValidationError: with every table of another shape.
        """
        errors: dict[str, Any] = {}
        for name, table in data.items():
            if not _is_name(name):
                shown = name[:100].encode(errors="replace").decode()
                errors[shown] = [_detail("Not a table's name.")]
            elif not isinstance(table, dict) or not table.keys() <= set(KINDS):
                errors[name] = [_detail("Not an object of created, updated and deleted.")]
            else:
                found = {kind: _misshapen(kind, rows) for kind, rows in table.items()}
                if any(found.values()):
                    errors[name] = {kind: error for kind, error in found.items() if error}
        if errors:
            raise serializers.ValidationError(errors)
        return dict(data)


def _tables_of(migration: Any) -> set[str]:
    """Return the tables that a migration of the phone's added, or added columns to.

    Raises:
        TypeError, KeyError: it is none.
    """
    if migration is None:
        return set()
    tables, columns = migration["tables"], migration["columns"]
    if not isinstance(tables, list) or not isinstance(columns, list):
        raise TypeError
    return {*tables, *(added["table"] for added in columns)} & TABLES.keys()


def _misshapen(kind: str, rows: Any) -> list[ErrorDetail]:
    """Return what is wrong with a list: an element without an id can't be left out by name."""
    if not isinstance(rows, list):
        return [_detail("Not a list.")]
    if kind == "deleted":
        are_named = all(_is_name(row) for row in rows)
        return [] if are_named else [_detail("Not a list of ids.")]
    are_named = all(isinstance(row, dict) and _is_name(row.get("id")) for row in rows)
    return [] if are_named else [_detail("Not a list of records with ids.")]


def _is_name(text: Any) -> bool:
    """Whether an id or a table's name can be repeated in an answer, whatever else it is."""
    return isinstance(text, str) and not re.search("[\ud800-\udfff]", text)


def _detail(text: str) -> ErrorDetail:
    return ErrorDetail(text, "invalid")


class PulledTablesSerializer(serializers.Serializer[Any]):
    vars().update(PULLED)


@example(
    "A new product",
    {"changes": changes(products={"updated": [FOOD]}, portions={"deleted": [PORTION]})}
    | {"timestamp": 42},
)
@example(
    "After a purge",
    {
        "changes": changes(products={"updated": [FOOD]}),
        "timestamp": 42,
        "experimentalStrategy": "replacement",
    },
)
class PullSerializer(serializers.Serializer[Any]):
    changes = PulledTablesSerializer()
    timestamp = serializers.IntegerField(help_text="The device's revision; for the next call.")
    experimentalStrategy = serializers.ChoiceField(  # noqa: N815  # the library's name
        ["replacement"], required=False, help_text="Where these are all rows, and others are gone."
    )


@example(
    "A record was left out",
    {
        "experimentalRejectedIds": {"products": [FOOD["id"]]},
        "rejected": {"products": {FOOD["id"]: "name: This field may not be blank."}},
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
