"""What a push changes in one table. Apps derive their own, and replace what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from copy import copy
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import Count
from rest_framework import serializers
from rest_framework.fields import get_error_detail

from countonme.api.fields import StrictModelSerializer
from countonme.scope.exceptions import Conflict, Missing
from sync.tables import Table, parse_phone_id

if TYPE_CHECKING:
    from sync.push import Push

CHANGED = "Something pushed has changed on the server: pull first"
WAS_DELETED = "This record was deleted"
NO_ID = "Not a UUID in lower case"


class TableChanges:
    """The records of one table in a push: what was stored, what it becomes, what is left out.

    A push calls these in turn, each for all tables: `load()`, `validate()`, `finish()`,
    `refuse_conflicts()`, `delete()`, `save()`. Only the last two write.
    """

    # What reads a record, made by `record_serializer()`.
    serializer: ClassVar[type[StrictModelSerializer]]
    # A record, for the API's description.
    example: ClassVar[dict[str, Any]]
    # Made of these by `register()`.
    table: ClassVar[Table]

    def __init__(self, push: Push, changes: Mapping[str, list[Any]]) -> None:
        self.push = push
        self.model = self.table.model
        # Why a record, or a deletion, is left out, by its id.
        self.rejected: dict[str, str] = {}
        # In the order in which they count: of two of one id the later.
        self.records: dict[UUID, dict[str, Any]] = {}
        # What the phone takes for new. Where it is stored already, an answer was lost.
        self.created: set[UUID] = set()
        self.to_delete: set[UUID] = set()
        # Rows before and after.
        self.stored: dict[UUID, Any] = {}
        self.rows: dict[UUID, Any] = {}
        for kind in ("updated", "created"):
            for record in changes.get(kind, ()):
                if key := self._read_id(record["id"]):
                    self.records.pop(key, None)
                    self.records[key] = record
                    if kind == "created":
                        self.created.add(key)
        for text in changes.get("deleted", ()):
            if key := self._read_id(text):
                self.records.pop(key, None)
                self.created.discard(key)
                self.to_delete.add(key)

    def _read_id(self, text: str) -> UUID | None:
        key = parse_phone_id(text)
        if key is None:
            self.rejected[text] = NO_ID
        return key

    # What apps replace.

    def load(self) -> None:
        """Read the stored rows that the push names, in this table or from another."""
        named = {*self.records, *self.to_delete, *self.push.ids_of(self.model)}
        if named:
            self.stored |= self.for_device(self.model.all_objects).of_ids(named)
        self.to_delete &= self.stored.keys()

    def build(self, key: UUID, record: dict[str, Any]) -> Any:
        """Return the row that a record makes of the stored one, or a new one.

        Raises:
            ValidationError, Missing: the record breaks a rule.
        """
        row = self.current(key)
        self.assign(row, self.read(key, record))
        return row

    def cascade(self) -> None:
        """Delete what goes along with other changes; then deleted and surplus rows are refused."""

    def finish(self) -> None:
        """Put right what the push as a whole leaves, once all tables are validated."""

    def delete(self, now: datetime) -> None:
        """Delete softly; called for tables that name others before these."""
        going = [key for key in self.to_delete if self.was_live(key)]
        if going:
            self.of_ids(going).delete_at(now)

    def save(self, now: datetime) -> None:
        """Insert and update rows, so that the next pull brings all that the phone has otherwise.

        A row that is new and deleted at once is stored as one that was deleted. One that stays as
        it is, but is not what the phone wrote, gets a new revision alone.
        """
        new, changed = [], []
        for place, (key, row) in enumerate(self.rows.items()):
            old = self.stored.get(key)
            # A pull keeps their order.
            moment = now + timedelta(microseconds=place)
            if old is None:
                row.created_at = moment
                row.deleted_at = now if key in self.to_delete else None
                new.append(row)
            elif key in self.to_delete:
                continue
            elif self.is_changed(key):
                row.updated_at = moment
                changed.append(row)
            elif old.revision <= self.push.after and self.is_kept_otherwise(key):
                # The trigger stamps a row that differs.
                row.revision += 1
                changed.append(row)
        rows = self.for_device(self.model.all_objects)
        rows.bulk_save(changed, insert=False)
        rows.bulk_save(new, insert=True)

    # What they build on.

    def for_device(self, manager: Any) -> Any:
        """Return the device's rows of a manager."""
        return manager.for_device(self.push.device)

    def of_ids(self, ids: Iterable[UUID]) -> Any:
        """Return the device's live rows of some ids."""
        return self.for_device(self.model.objects).filter(pk__any_of=ids)

    def ids_in(self, column: str) -> set[UUID]:
        """Return the ids that records and stored rows have in a column."""
        ids = {parse_phone_id(record.get(column)) for record in self.records.values()}
        ids |= {getattr(row, column) for row in self.stored.values()}
        return {key for key in ids if key is not None}

    def current(self, key: UUID) -> Any:
        """Return a copy of the stored row, or a new one."""
        old = self.stored.get(key)
        return self.model(device_id=self.push.device.pk, id=key) if old is None else copy(old)

    def read(self, key: UUID, record: dict[str, Any]) -> dict[str, Any]:
        """Return the columns of a record.

        Raises:
            ValidationError: with every offending column.
        """
        return self.table.read(record, is_new=key not in self.stored)

    @staticmethod
    def assign(row: Any, values: Mapping[str, Any]) -> None:
        """Set the columns of a row, and check the rules over several of them.

        Raises:
            ValidationError: one is broken.
        """
        for name, value in values.items():
            setattr(row, name, value)
        row.clean()

    def reject(self, key: UUID, why: str) -> None:
        """Leave a record out."""
        self.records.pop(key, None)
        self.rows.pop(key, None)
        self.rejected[str(key)] = why

    def find(self, key: UUID | None) -> Any:
        """Return a row as it will be, or None; deleted rows too."""
        return None if key is None else self.rows.get(key) or self.stored.get(key)

    def is_live(self, key: UUID) -> bool:
        """Return whether a row will be live."""
        row = self.find(key)
        return row is not None and row.deleted_at is None and key not in self.to_delete

    def was_live(self, key: UUID) -> bool:
        """Return whether a row is live before the push."""
        return key in self.stored and self.stored[key].deleted_at is None

    def is_changed(self, key: UUID) -> bool:
        """Return whether a row becomes another, or is new."""
        old, new = self.stored.get(key), self.rows[key]
        columns = self.table.columns
        return old is None or any(getattr(old, name) != getattr(new, name) for name in columns)

    def is_kept_otherwise(self, key: UUID) -> bool:
        """Return whether a row is not what the phone wrote: rounded, normalised, put right."""
        if key not in self.records:
            return False
        sent, kept = self.records[key], self.table.represent(self.rows[key])
        return any(name in sent and sent[name] != value for name, value in kept.items())

    def is_stale(self, key: UUID) -> bool:
        """Return whether the server wrote a row since the pull that the phone does not call new."""
        old = self.stored.get(key)
        return old is not None and old.revision > self.push.after and key not in self.created

    # What a push calls.

    def validate(self) -> None:
        """Work out what every row becomes, and which records are left out.

        Raises:
            Conflict: a record meets what the server deleted or moved since.
        """
        for key, record in list(self.records.items()):
            try:
                self.rows[key] = self.build(key, record)
            except (serializers.ValidationError, ModelValidationError) as error:
                self.reject(key, sentence(error))
            except Missing as error:
                self.reject(key, str(error))
        # What goes with this push is not what was deleted before, when the push is repeated.
        self.cascade()
        self._refuse_deleted()
        self._keep_to_quota()

    def _refuse_deleted(self) -> None:
        """Leave records out whose rows were deleted by the time of the last pull."""
        for key in list(self.rows):
            old = self.stored.get(key)
            if old is not None and old.deleted_at is not None and key not in self.to_delete:
                if old.revision > self.push.after:
                    raise Conflict(CHANGED)
                self.reject(key, WAS_DELETED)

    def _keep_to_quota(self) -> None:
        """Leave out, in their order, what is more than a device may have; what goes makes room."""
        quota, by = self.model.quota(), self.model.counted_by
        if quota is None or not self.rows:
            return
        limit, why = quota
        places = {getattr(row, by) for row in (*self.rows.values(), *self.stored.values())}
        rows = self.for_device(self.model.objects).filter(**{f"{by}__any_of": places})
        count = Counter(dict(rows.order_by().values_list(by).annotate(Count("pk"))))
        for key in self.to_delete:
            if self.was_live(key):
                count[getattr(self.stored[key], by)] -= 1
        for key in sorted(self.rows, key=lambda key: key not in self.stored):
            old, place = self.stored.get(key), getattr(self.rows[key], by)
            if key in self.to_delete or (old is not None and getattr(old, by) == place):
                continue
            if self.is_stale(key):
                raise Conflict(CHANGED)
            if count[place] >= limit:
                self.reject(key, why)
            else:
                count[place] += 1
                count[getattr(old, by, None)] -= 1

    def refuse_conflicts(self) -> None:
        """Refuse what the server changed or deleted since the pull.

        Raises:
            Conflict: there is such a thing.
        """
        for key in (*self.records, *self.to_delete):
            is_written = self.is_stale(key) and self.was_live(key)
            if is_written and (key in self.to_delete or self.is_changed(key)):
                raise Conflict(CHANGED)


def sentence(error: serializers.ValidationError | ModelValidationError) -> str:
    """Return what is wrong with a record, each column by its name."""
    if isinstance(error, ModelValidationError):
        error = serializers.ValidationError(get_error_detail(error))
    detail: Any = error.detail
    by_column = detail if isinstance(detail, dict) else {"non_field_errors": detail}
    return " ".join(
        text if name == "non_field_errors" else f"{name}: {text}"
        for name, texts in by_column.items()
        for text in texts
    )
