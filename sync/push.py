"""A push: what a phone changed offline. Valid records are applied together, others are rejected.

The protocol is WatermelonDB's ("Implementing your Sync backend"). A fixed number of queries reads
the stored rows. All changes are worked out from these, and then written by statements for all rows
of a table at once. A repeated push changes nothing, and conflicts with nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils import timezone

from countonme.scope.exceptions import Conflict, Missing
from countonme.scope.models import DeviceScoped
from devices.models import Device
from sync.changes import CHANGED, TableChanges
from sync.registry import synced

UNKNOWN_TABLE = "No table of this name is synced"

Changes = Mapping[str, Mapping[str, list[Any]]]


def push(device: Device, after: int, changes: Changes) -> dict[str, Any]:
    """Apply a phone's changes. The caller has opened a transaction and locked the device.

    Args:
        after: the revision of the phone's last pull.
        changes: by table, as `ChangesSerializer` returns them.

    Returns:
        The protocol's answer: which records were rejected, and why.

    Raises:
        Conflict: the server changed or deleted a row of the push after that revision, or can't
            tell, because of a purge or a restored backup.
    """
    if not device.purged_revision <= after <= device.revision:
        raise Conflict(CHANGED)
    pushed = Push(device, after, changes)
    pushed.validate()
    pushed.write()
    rejected = {table.table.name: table.rejected for table in pushed.tables.values()}
    rejected |= of_unknown_tables(changes)
    rejected = {name: whys for name, whys in rejected.items() if whys}
    return {
        "experimentalRejectedIds": {name: list(whys) for name, whys in rejected.items()},
        "rejected": rejected,
    }


def of_unknown_tables(changes: Changes) -> dict[str, dict[str, str]]:
    """Return why the records of unknown tables are rejected, by table and id."""
    unknown = {name: table for name, table in changes.items() if name not in synced()}
    ids = {
        name: [
            *(record["id"] for kind in ("created", "updated") for record in table.get(kind, ())),
            *table.get("deleted", ()),
        ]
        for name, table in unknown.items()
    }
    return {name: dict.fromkeys(listed, UNKNOWN_TABLE) for name, listed in ids.items()}


class Push:
    """One push, over all tables."""

    def __init__(self, device: Device, after: int, changes: Changes) -> None:
        self.device = device
        self.after = after
        # Each table comes after those that its rows refer to.
        self.tables: dict[type[DeviceScoped], TableChanges] = {
            of_table.table.model: of_table(self, changes.get(name, {}))
            for name, of_table in synced().items()
        }

    def __getitem__(self, model: type[DeviceScoped]) -> Any:
        """Return the changes of a model's table."""
        return self.tables[model]

    def find(self, model: type[DeviceScoped], key: UUID) -> Any:
        """Return a row as it will be after the push; deleted rows too.

        Raises:
            Missing: there is none.
        """
        row = self.tables[model].find(key)
        if row is None:
            raise Missing(model)
        return row

    def ids_of(self, model: type[DeviceScoped]) -> set[UUID]:
        """Return the ids of a model's rows that records, and rows loaded so far, refer to."""
        return {
            key
            for table in self.tables.values()
            for column, target in table.table.references.items()
            if target is model
            for key in table.ids_in(column)
        }

    def validate(self) -> None:
        """Work out what every row becomes, and which records are rejected.

        Raises:
            Conflict: the server changed a row of the push after the last pull.
        """
        tables = self.tables.values()
        for table in reversed(tables):
            table.load()
        for table in tables:
            table.validate()
        for table in tables:
            table.finish()
        for table in tables:
            table.refuse_conflicts()

    def write(self) -> None:
        """Write all tables, in an order that breaks no constraint on the way."""
        now = timezone.now()
        for table in reversed(self.tables.values()):
            table.delete(now)
        for table in self.tables.values():
            table.save(now)
