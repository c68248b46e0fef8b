"""All that a device owns and is live, as JSON and as a ZIP of CSVs, while it is read.

Both are one snapshot, and never in memory as a whole: a cursor of the server's, which ends with
its transaction, brings the rows in batches.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.utils import timezone

from countonme.api.json import stream_tables
from countonme.scope.exceptions import DeviceGone
from countonme.scope.snapshot import snapshot
from devices.models import Device
from sync.registry import synced
from transfer.tables import exported_serializer

FORMAT = "countonme-diary-1"
BATCH = 1000
# How a text starts that a spreadsheet takes for a formula; in some languages in full width, too
# (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def as_json(device: Device) -> Iterator[bytes]:
    """Yield the export as JSON: by table, the rows as REST answers them.

    Raises:
        DeviceGone: the device was erased meanwhile; before anything is yielded.
    """
    with _one_moment(device):
        head = {"format": FORMAT, "exported_at": timezone.now()}
        yield from stream_tables(
            head,
            (
                (name, ([dict(zip(columns, row, strict=True)) for row in rows] for rows in batches))
                for name, columns, batches in _tables(device)
            ),
        )


def as_csv(device: Device) -> Iterator[bytes]:
    """Yield a ZIP with a CSV of each table, in UTF-8 with a byte order mark, for Excel.

    Raises:
        DeviceGone: the device was erased meanwhile; before anything is yielded.
    """
    with _one_moment(device):
        written = _Written()
        now = timezone.now().timetuple()[:6]
        with ZipFile(written, "w") as archive:
            for name, columns, batches in _tables(device):
                info = ZipInfo(f"{name}.csv", now)
                info.compress_type = ZIP_DEFLATED
                with archive.open(info, "w") as file:
                    file.write("\ufeff".encode() + _lines([columns]))
                    yield written.take()
                    for rows in batches:
                        file.write(_lines([map(_cell, row) for row in rows]))
                        yield written.take()
        yield written.take()


@contextmanager
def _one_moment(device: Device) -> Iterator[None]:
    """Read a device's rows in one snapshot.

    Raises:
        DeviceGone: it is erased.
    """
    with snapshot():
        now = Device.by_id(device.pk)
        if now is None or now.erased_at is not None:
            raise DeviceGone
        yield


def _tables(device: Device) -> Iterator[tuple[str, tuple[str, ...], Iterator[list[Any]]]]:
    """Yield each table's name and columns, and its rows in batches, in the order of lists."""
    for name, changes in synced().items():
        serializer = exported_serializer(changes.table)
        rows = changes.table.model.objects.for_device(device).in_order()
        yield name, serializer.columns(), _batches(rows.values_list(*serializer.expressions()))


def _batches(rows: Any) -> Iterator[list[Any]]:
    reading = rows.iterator(chunk_size=BATCH)
    while batch := list(islice(reading, BATCH)):
        yield batch


def _cell(value: Any) -> Any:
    """Return a value as a CSV has it; no text that a spreadsheet would run.

    Such a text gets an apostrophe in front, as people type it there.
    """
    match value:
        case bool():
            return str(value).lower()
        case float():
            return int(value) if value.is_integer() else value
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case str():
            return f"'{value}" if value.startswith(FORMULA) else value
        case _:
            return value


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


class _Written(io.RawIOBase):
    """What was written and not yet taken; a ZIP is sent on while it is made."""

    def __init__(self) -> None:
        self.parts = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self.parts)
        self.parts.clear()
        return taken
