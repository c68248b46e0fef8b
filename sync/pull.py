"""What changed since a phone last pulled, as one moment saw it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import orjson
from django.db import connection, transaction

from countonme.api.json import dumps
from countonme.scope.exceptions import DeviceGone
from devices.models import Device
from sync.registry import synced
from sync.tables import Table

# Rows are turned into JSON so many at a time: as Python's objects they take ten times the room.
BATCH = 1000


def pull(device: Device, after: int, whole: Collection[str] = ()) -> dict[str, Any]:
    """Return what the protocol answers a pull, with rows as JSON that is ready to be sent.

    All is read before anything is sent, in one transaction that sees one moment: the device's
    revision there is the timestamp. Where nothing has changed, `device` alone tells.

    Args:
        device: as the request's authentication read it.
        after: the revision of the pull before; 0 where there was none.
        whole: tables of which all live rows are wanted, as after a migration of the phone's.

    Raises:
        DeviceGone: the device was erased meanwhile.
    """
    if after == device.revision and not whole:
        return {"changes": {name: _changes() for name in synced()}, "timestamp": after}
    with snapshot():
        now = Device.by_id(device.pk)
        if now is None or now.erased_at is not None:
            raise DeviceGone
        is_replaced = after != 0 and not now.purged_revision <= after <= now.revision
        if is_replaced:
            after = 0
        changes = {
            name: _of_table(changed.table, device.pk, after, is_whole=name in whole)
            for name, changed in synced().items()
        }
    answer: dict[str, Any] = {"changes": changes, "timestamp": now.revision}
    return answer | ({"experimentalStrategy": "replacement"} if is_replaced else {})


@contextmanager
def snapshot() -> Iterator[None]:
    """A transaction that reads, and sees what was committed when it began.

    Within a transaction it is a part of that, and sees what that does.
    """
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        if is_outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _of_table(table: Table, device_id: UUID, after: int, *, is_whole: bool) -> dict[str, Any]:
    batches = table.live.batches(BATCH, device=device_id, after=0 if is_whole else after)
    rows = [
        dumps([dict(zip(table.columns, row, strict=True)) for row in batch])[1:-1]
        for batch in batches
    ]
    deleted = table.deleted.rows(device=device_id, after=after) if after else []
    return _changes(orjson.Fragment(b"[" + b",".join(rows) + b"]"), [key for (key,) in deleted])


def _changes(updated: Any = (), deleted: Any = ()) -> dict[str, Any]:
    return {"created": [], "updated": updated, "deleted": deleted}
