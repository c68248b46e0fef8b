"""An import: rows of a file become rows of a device, as they are in the file.

It is no push. A push is what a phone did meanwhile: it is worked out anew, and conflicts with what
others did. An import is history: it changes nothing that is here, and nothing in it changes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from countonme.scope.models import DeviceScoped
from devices.models import Device
from sync.registry import synced
from transfer.tables import TableImport, import_of


@dataclass
class File:
    """What a file holds.

    Attributes:
        rows: by table and id, the columns of each row that can be read.
        rejected: by table and name of a row, why it can't be.
        names: by id, what an answer calls a row; otherwise it is the id.
    """

    rows: dict[str, dict[uuid.UUID, dict[str, Any]]] = field(default_factory=dict)
    rejected: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[uuid.UUID, str] = field(default_factory=dict)


class Import:
    """One import, over all tables."""

    def __init__(self, device: Device, file: File) -> None:
        self.device = device
        self.file = file
        # Each table comes after those that its rows refer to.
        self.tables: dict[type[DeviceScoped], TableImport] = {
            changes.table.model: import_of(changes.table)(
                self, changes.table, file.rows.get(name, {})
            )
            for name, changes in synced().items()
        }

    def __getitem__(self, model: type[DeviceScoped]) -> Any:
        """Return the import of a model's table."""
        return self.tables[model]

    def ids_of(self, model: type[DeviceScoped]) -> set[uuid.UUID]:
        """Return the ids of a model's rows that rows of the file refer to."""
        return {
            key
            for table in self.tables.values()
            for column, target in table.table.references.items()
            if target is model
            for key in table.ids_in(column)
        }

    def run(self) -> dict[str, Any]:
        """Write the rows. The caller has opened a transaction and locked the device.

        Returns:
            By table, how many rows were imported, how many were here already, and which were left
            out, and why.
        """
        for table in self.tables.values():
            table.run()
        rejected = self.file.rejected
        for table in self.tables.values():
            whys = {self.file.names.get(key, str(key)): why for key, why in table.rejected.items()}
            if whys:
                rejected[table.table.name] = rejected.get(table.table.name, {}) | whys
        named = [table for table in self.tables.values() if table.table.name in self.file.rows]
        return {
            "imported": {table.table.name: table.imported for table in named},
            "skipped": {table.table.name: table.skipped for table in named},
            "rejected": rejected,
        }
