"""How goals, body weights and water are synced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from countonme.api.fields import StrictModelSerializer
from goals.formulas import GRAMS
from goals.models import ENERGY, SHAPE, TARGETS, Goal, GoalType, grams_for
from goals.serializers import (
    MANUAL,
    OPTIONAL,
    WATER,
    WEIGHT,
    BodyWeightSerializer,
    CalculatedGoalSerializer,
    GoalSerializer,
    ManualGoalSerializer,
    WaterEntrySerializer,
)
from sync.changes import TableChanges
from sync.registry import register
from sync.tables import record_serializer

# How a new goal is read, and the columns that follow from it.
CREATED: dict[
    str, tuple[type[StrictModelSerializer], Callable[[Mapping[str, Any]], dict[str, Any]]]
] = {
    GoalType.CALCULATED: (CalculatedGoalSerializer, Goal.calculated),
    GoalType.MANUAL: (ManualGoalSerializer, Goal.manual),
}


class SingleRowChanges(TableChanges):
    """Live rows that differ in `counted_by`: of two with the same value, the later one stays."""

    def cascade(self) -> None:
        """Delete all pushed rows with the same value but the last.

        A row that was deleted before the push does not replace another.
        """
        earlier: dict[Any, list[UUID]] = defaultdict(list)
        for key, row in self.rows.items():
            value = self._value(row)
            if row.deleted_at is None:
                self.to_delete.update(earlier.pop(value, ()))
            earlier[value].append(key)

    def save(self, now: datetime) -> None:
        self._delete_replaced(now)
        super().save(now)

    def _delete_replaced(self, now: datetime) -> None:
        """Delete the stored rows whose values other rows take.

        Rows that get another value are deleted too, so that two can swap their values in spite of
        the unique index. `super().save()` brings them back at once.
        """
        coming = {key: row for key, row in self.rows.items() if key not in self.to_delete}
        taken = {self._value(row) for row in coming.values()}
        if not taken:
            return
        moving = {
            key
            for key, row in coming.items()
            if key in self.stored and self._value(self.stored[key]) != self._value(row)
        }
        field = self.model.counted_by
        rows = self.for_device(self.model.objects).filter(**{f"{field}__any_of": taken})
        rows.exclude(pk__any_of=coming.keys() - moving).delete_at(now)
        self.of_ids(moving).delete_at(now)

    def _value(self, row: Any) -> Any:
        return getattr(row, self.model.counted_by)


@register
class GoalChanges(SingleRowChanges):
    """A device has one goal: of two, the later one stays.

    A new goal is calculated or set by hand, as over REST. Later only its targets change.
    """

    serializer = record_serializer(
        GoalSerializer,
        read_only_fields=[*ENERGY, *GRAMS, *SHAPE],
        # They may be left out of a calculated goal.
        extra_kwargs=dict.fromkeys(TARGETS, OPTIONAL),
    )
    example = MANUAL

    def read(self, key: UUID, record: dict[str, Any]) -> dict[str, Any]:
        """Return the columns that a record decides, and those that follow from them."""
        stored = self.stored.get(key)
        if stored is None:
            return self._read_new(record)
        targets = {name: getattr(stored, name) for name in TARGETS}
        sent = {
            name: record[name]
            for name in TARGETS
            # A calculated target may be higher than what a phone may send.
            if name in record and record[name] != targets[name]
        }
        if stored.goal_type == GoalType.CALCULATED and self._is_repeated(key):
            # The phone does not know what was calculated: it decides what a new goal decides.
            sent.pop("daily_calories_kcal", None)
            sent = {name: value for name, value in sent.items() if value is not None}
        targets |= ManualGoalSerializer.shared(partial=True).read(sent)
        return targets | grams_for(targets)

    def _read_new(self, record: dict[str, Any]) -> dict[str, Any]:
        kind = {"goal_type": record["goal_type"]} if "goal_type" in record else {}
        serializer, calculate = CREATED[self.table.read(kind, is_new=True)["goal_type"]]
        return calculate(serializer.shared().read(record))

    def _is_repeated(self, key: UUID) -> bool:
        """Return whether the phone created the row and has not pulled it since."""
        return key in self.created and self.stored[key].revision > self.push.after


@register
class BodyWeightChanges(SingleRowChanges):
    """A day has one weight: of two, the later one stays."""

    serializer = record_serializer(BodyWeightSerializer)
    example = WEIGHT


@register
class WaterEntryChanges(TableChanges):
    serializer = record_serializer(WaterEntrySerializer)
    example = WATER
