"""A pull: what changed since the phone's last pull, read from one snapshot."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

import orjson

from countonme.api.json import dumps
from countonme.scope.exceptions import DeviceGone
from countonme.scope.snapshot import snapshot
from devices.models import Device
from sync.registry import synced
from sync.tables import Table

# Rows become JSON in batches of this size: as Python objects they take ten times the memory.
BATCH = 1000


def pull(device: Device, after: int, full_tables: Collection[str] = ()) -> dict[str, Any]:
    """Return the protocol's answer to a pull. Its rows are JSON already.

    Everything is read before anything is sent, in one snapshot. The device's revision in it is the
    timestamp. If `device` shows that nothing has changed, there is no query.

    Args:
        device: as the request's authentication read it.
        after: the revision of the last pull; 0 if there was none.
        full_tables: tables to send in full, as after a migration of the phone's database.

    Raises:
        DeviceGone: the device was erased meanwhile.
    """
    if after == device.revision and not full_tables:
        return {"changes": {name: _changes() for name in synced()}, "timestamp": after}
    with snapshot():
        now = Device.by_id(device.pk)
        if now is None or now.erased_at is not None:
            raise DeviceGone
        is_replaced = after != 0 and not now.purged_revision <= after <= now.revision
        if is_replaced:
            after = 0
        changes = {
            name: _of_table(changed.table, device.pk, after, is_full=name in full_tables)
            for name, changed in synced().items()
        }
    answer: dict[str, Any] = {"changes": changes, "timestamp": now.revision}
    return answer | ({"experimentalStrategy": "replacement"} if is_replaced else {})


def _of_table(table: Table, device_id: UUID, after: int, *, is_full: bool) -> dict[str, Any]:
    batches = table.live.batches(BATCH, device=device_id, after=0 if is_full else after)
    rows = [
        dumps([dict(zip(table.columns, row, strict=True)) for row in batch])[1:-1]
        for batch in batches
    ]
    deleted = table.deleted.rows(device=device_id, after=after) if after else []
    return _changes(orjson.Fragment(b"[" + b",".join(rows) + b"]"), [key for (key,) in deleted])


def _changes(updated: Any = (), deleted: Any = ()) -> dict[str, Any]:
    return {"created": [], "updated": updated, "deleted": deleted}
