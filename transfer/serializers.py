"""Serializers of exports and imports."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from countonme.api.fields import Reader, StrictChoiceField
from countonme.api.query import QuerySerializer
from countonme.api.schema import example
from sync.changes import sentence
from sync.push import UNKNOWN_TABLE
from sync.registry import synced
from sync.serializers import is_name
from transfer.exporting import FORMAT
from transfer.formats import formats
from transfer.importing import File
from transfer.tables import RowReader, exported_serializer

CONFIRMATION = "delete everything"
# A file with more rows that can't be read was made for something else.
MAX_UNREADABLE = 10_000
TIMESTAMPS = {"created_at": "2025-02-05T08:30:00Z", "updated_at": None}
# An example of a row of each table.
ROWS = {
    name: {
        column: (changes.example | TIMESTAMPS)[column]
        for column in exported_serializer(changes.table).columns()
    }
    for name, changes in synced().items()
}
# The first table, which refers to no other.
FIRST = next(iter(ROWS))
EXPORT = {
    "format": FORMAT,
    "exported_at": "2025-02-05T21:00:00Z",
    "rows": {name: [row] for name, row in ROWS.items()},
}


class ExportQuery(QuerySerializer):
    format = StrictChoiceField(
        ["json", "csv"],
        default="json",
        help_text="`csv`: a ZIP with a CSV of each table, for a spreadsheet.",
    )


class ImportQuery(QuerySerializer):
    format = StrictChoiceField(
        list(formats()),
        required=False,
        help_text="The app that a `text/csv` is from; without it the body is an export as JSON.",
    )
    preview = StrictChoiceField(
        ["true", "false"],
        default="false",
        help_text="`true`: answer the same, and write nothing.",
    )


def _rows_serializer(name: str, **options: Any) -> Any:
    """Return a serializer class with a list of rows for each table."""
    lists = {
        table: exported_serializer(changes.table)(many=True, **options)
        for table, changes in synced().items()
    }
    return type(name, (serializers.Serializer,), lists)


@example("A diary", EXPORT)
class ExportSerializer(serializers.Serializer[Any]):
    """All that a device owns and is live: by table, rows as REST answers them."""

    format = serializers.ChoiceField([FORMAT])
    exported_at = serializers.DateTimeField()
    rows = _rows_serializer("ExportedRowsSerializer")()


@example("A diary", EXPORT, request_only=True)
class ImportSerializer(Reader):
    """An export. Tables that are left out are empty, and of a row what is not known is ignored."""

    format = serializers.ChoiceField([FORMAT])
    rows = _rows_serializer("ImportedRowsSerializer", required=False)()

    default_error_messages = {
        "format": f"This is no export: its `format` is not `{FORMAT}`.",
        "rows": "Not an object with a list of rows for each table.",
        "table": "Not a list of rows with ids.",
        "unreadable": f"More than {MAX_UNREADABLE:,} rows can't be read.",
    }

    def read(self, data: Any) -> File:  # type: ignore[override]  # what the rest works with
        """Return what the file holds. Rows that can't be read are left out by name.

        Raises:
            ValidationError: it is no export.
        """
        if data.get("format") != FORMAT:
            raise serializers.ValidationError({"format": [self._detail("format")]})
        tables = data.get("rows")
        if not isinstance(tables, dict) or not all(map(is_name, tables)):
            raise serializers.ValidationError({"rows": [self._detail("rows")]})
        wrong = {name: [self._detail("table")] for name in tables if not _are_rows(tables[name])}
        if wrong:
            raise serializers.ValidationError({"rows": wrong})
        file = File()
        for name, rows in tables.items():
            if not _read_table(file, name, rows):
                raise serializers.ValidationError({"rows": {name: [self._detail("unreadable")]}})
        return file

    def _detail(self, key: str) -> ErrorDetail:
        return ErrorDetail(str(self.error_messages[key]), "invalid")


def _are_rows(rows: Any) -> bool:
    """Return whether a value is a list of rows, each with an id by which it could be named."""
    return isinstance(rows, list) and all(
        isinstance(row, dict) and is_name(row.get("id")) for row in rows
    )


def _read_table(file: File, name: str, rows: list[dict[str, Any]]) -> bool:
    """Read the rows of a table into a file; return whether most of them can be read."""
    known = synced().get(name)
    if known is None:
        if rows:
            file.rejected[name] = {row["id"]: UNKNOWN_TABLE for row in rows}
        return len(rows) <= MAX_UNREADABLE
    reader = RowReader(exported_serializer(known.table))
    read: dict[UUID, dict[str, Any]] = {}
    rejected: dict[str, str] = {}
    for row in rows:
        try:
            values = reader.read(row)
        except serializers.ValidationError as error:
            rejected[row["id"]] = sentence(error)
            if len(rejected) > MAX_UNREADABLE:
                return False
        else:
            read[values["id"]] = values
    file.rows[name] = read
    if rejected:
        file.rejected[name] = rejected
    return True


def _counts(help_text: str) -> serializers.DictField:
    return serializers.DictField(child=serializers.IntegerField(), help_text=help_text)


@example(
    "A row was left out",
    {
        "imported": {FIRST: 37},
        "skipped": {FIRST: 0},
        "rejected": {FIRST: {ROWS[FIRST]["id"]: "name: This field is required."}},
    },
)
class ImportedSerializer(serializers.Serializer[Any]):
    imported = _counts("How many rows came in, by table.")
    skipped = _counts("How many were live here already, by table. They stay as they are.")
    rejected = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField()),
        help_text="Which rows were left out, and why: by table, and by id, or by the number of the "
        "row in a CSV, as spreadsheets count them (the header is row 1).",
    )


@example("Everything", {"confirm": CONFIRMATION}, request_only=True)
class ConfirmSerializer(Reader):
    """The words that stand for a second thought."""

    confirm = StrictChoiceField(
        [CONFIRMATION],
        error_messages={"invalid_choice": f"Send the words `{CONFIRMATION}`."},
    )
