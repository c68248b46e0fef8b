"""What a phone changed offline, applied at once: record by record valid or left out by name.

The protocol is WatermelonDB's ("Implementing your Sync backend"). All is worked out first, of rows
that a fixed number of queries reads, and then written by statements that take all rows of a
table. A push that is repeated finds all as it left it: nothing is changed, and nothing conflicts.
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
    """Apply what a phone changed, in a transaction that has locked the device.

    Args:
        after: the revision that the phone pulled last.
        changes: of a shape that was checked.

    Returns:
        What was left out, and why.

    Raises:
        Conflict: the server changed or deleted some of it after that revision, or can't tell.
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
    """Return why whatever stands in tables that are not synced is left out, by table and id."""
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
    """One push, from what is stored to what will be."""

    def __init__(self, device: Device, after: int, changes: Changes) -> None:
        self.device = device
        self.after = after
        # Each after those that its rows name.
        self.tables: dict[type[DeviceScoped], TableChanges] = {
            of_table.table.model: of_table(self, changes.get(name, {}))
            for name, of_table in synced().items()
        }

    def __getitem__(self, model: type[DeviceScoped]) -> Any:
        """Return the changes of a model's table."""
        return self.tables[model]

    def find(self, model: type[DeviceScoped], key: UUID) -> Any:
        """Return a row as it will be; deleted rows too.

        Raises:
            Missing: there is none.
        """
        row = self.tables[model].find(key)
        if row is None:
            raise Missing(model)
        return row

    def ids_of(self, model: type[DeviceScoped]) -> set[UUID]:
        """Return the ids by which loaded tables name a model's rows."""
        return {
            key
            for table in self.tables.values()
            for column, target in table.table.references.items()
            if target is model
            for key in table.ids_in(column)
        }

    def validate(self) -> None:
        """Work out what every row becomes, and which records are left out.

        Raises:
            Conflict: a record meets what the server changed since.
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
        """Write everything, in an order in which no rule of the database is broken midway."""
        now = timezone.now()
        for table in reversed(self.tables.values()):
            table.delete(now)
        for table in self.tables.values():
            table.save(now)
