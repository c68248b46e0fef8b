"""How body weights and water are synced."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any
from uuid import UUID

from goals.models import BodyWeight
from goals.serializers import WATER, WEIGHT, BodyWeightSerializer, WaterEntrySerializer
from sync.changes import TableChanges
from sync.registry import register
from sync.tables import record_serializer


@register
class BodyWeightChanges(TableChanges):
    """A day has one weight: of two, the later one stays."""

    serializer = record_serializer(BodyWeightSerializer)
    example = {"id": "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d", **WEIGHT}

    def cascade(self) -> None:
        """Delete all pushed weights of a day but the last, which is never one deleted before."""
        last: dict[Any, list[UUID]] = defaultdict(list)
        for key, row in self.rows.items():
            if row.deleted_at is None:
                self.to_delete.update(last.pop(row.date, ()))
            last[row.date].append(key)

    def save(self, now: datetime) -> None:
        self._free_days(now)
        super().save(now)

    def _free_days(self, now: datetime) -> None:
        """Delete the stored weights whose days other weights take.

        Weights that move to another day are deleted too, so that two can swap their days in spite
        of the unique index. `super().save()` brings them back at once.
        """
        coming = {key: row for key, row in self.rows.items() if key not in self.to_delete}
        taken = {row.date for row in coming.values()}
        if not taken:
            return
        moving = {
            key
            for key, row in coming.items()
            if key in self.stored and self.stored[key].date != row.date
        }
        rows = self.for_device(BodyWeight.objects).filter(date__any_of=taken)
        rows.exclude(pk__any_of=coming.keys() - moving).delete_at(now)
        self.of_ids(moving).delete_at(now)


@register
class WaterEntryChanges(TableChanges):
    serializer = record_serializer(WaterEntrySerializer)
    example = {"id": "1b2c3d4e-5f6a-4b7c-8d9e-0f1a2b3c4d5e", **WATER}
