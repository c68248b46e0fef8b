"""What a push changes in one table. Each app derives a class for each of its tables."""

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
NOT_AN_ID = "Not a UUID in lower case"


class TableChanges:
    """The records of one table in a push: stored rows, what they become, and rejected records.

    A push calls these methods in this order, each for all tables: `load()`, `validate()`,
    `finish()`, `refuse_conflicts()`, `delete()`, `save()`. Only the last two write.
    """

    # Reads a record; made by `record_serializer()`.
    serializer: ClassVar[type[StrictModelSerializer]]
    # An example of a record, for the OpenAPI document.
    example: ClassVar[dict[str, Any]]
    # Set by `register()`.
    table: ClassVar[Table]

    def __init__(self, push: Push, changes: Mapping[str, list[Any]]) -> None:
        self.push = push
        self.model = self.table.model
        # By id, why a record or a deletion is rejected.
        self.rejected: dict[str, str] = {}
        # By id, in the order in which they are applied: of two with the same id the later counts.
        self.records: dict[UUID, dict[str, Any]] = {}
        # Ids that the phone calls new. If one is stored already, an earlier answer was lost.
        self.created: set[UUID] = set()
        self.to_delete: set[UUID] = set()
        # By id, the rows before the push and after it.
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
            self.rejected[text] = NOT_AN_ID
        return key

    # Methods that apps override.

    def load(self) -> None:
        """Read the table's stored rows that the push names, also in records of other tables."""
        named = {*self.records, *self.to_delete, *self.push.ids_of(self.model)}
        if named:
            self.stored |= self.for_device(self.model.all_objects).of_ids(named)
        self.to_delete &= self.stored.keys()

    def build(self, key: UUID, record: dict[str, Any]) -> Any:
        """Return the row with a record's values: a changed copy of the stored row, or a new row.

        Raises:
            ValidationError, Missing: the record breaks a rule.
        """
        row = self.current(key)
        self.assign(row, self.read(key, record))
        return row

    def cascade(self) -> None:
        """Delete rows because of other changes: a parent is deleted, or another row replaces it.

        Deleted rows and quotas are checked after it.
        """

    def work_out(self) -> None:
        """Set what follows from rows of this table in rows of earlier ones.

        It comes once this table is validated, and before later tables, which read what is set.
        """

    def finish(self) -> None:
        """Correct what the push as a whole would leave wrong; all tables are validated by then."""

    def delete(self, now: datetime) -> None:
        """Delete rows softly. A table comes before the tables that its rows refer to."""
        live = [key for key in self.to_delete if self.was_live(key)]
        if live:
            self.of_ids(live).delete_at(now)

    def save(self, now: datetime) -> None:
        """Insert and update rows.

        A row that is created and deleted by the same push is stored as deleted. A row that stays
        the same, but differs from what the phone sent, gets a new revision and nothing else, so
        that the phone gets the stored values with the next pull.
        """
        new, changed = [], []
        for place, (key, row) in enumerate(self.rows.items()):
            old = self.stored.get(key)
            # A pull sorts by this, and so keeps the order of the push.
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
            elif old.revision <= self.push.after and self.is_stored_differently(key):
                # Any changed value makes the trigger set the revision.
                row.revision += 1
                changed.append(row)
        rows = self.for_device(self.model.all_objects)
        rows.bulk_save(changed, insert=False)
        rows.bulk_save(new, insert=True)

    def decided(self, key: UUID) -> Iterable[str]:
        """Return the columns of a row that the phone decides, and not the server."""
        return self.table.columns

    # Helpers of these methods.

    def for_device(self, manager: Any) -> Any:
        """Return the device's rows of a manager."""
        return manager.for_device(self.push.device)

    def of_ids(self, ids: Iterable[UUID]) -> Any:
        """Return the device's live rows with these ids."""
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
        """Return the validated columns of a record.

        Raises:
            ValidationError: it lists every invalid column.
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
        """Reject a record: leave it out of the push, and tell the phone why."""
        self.records.pop(key, None)
        self.rows.pop(key, None)
        self.rejected[str(key)] = why

    def find(self, key: UUID | None) -> Any:
        """Return a row as it will be after the push, or None; deleted rows too."""
        return None if key is None else self.rows.get(key) or self.stored.get(key)

    def is_live(self, key: UUID) -> bool:
        """Return whether a row will be live after the push."""
        row = self.find(key)
        return row is not None and row.deleted_at is None and key not in self.to_delete

    def was_live(self, key: UUID) -> bool:
        """Return whether a row is live before the push."""
        return key in self.stored and self.stored[key].deleted_at is None

    def is_changed(self, key: UUID, columns: Iterable[str] | None = None) -> bool:
        """Return whether a row is new or its columns change, or some of them."""
        old, new = self.stored.get(key), self.rows[key]
        names = self.table.columns if columns is None else columns
        return old is None or any(getattr(old, name) != getattr(new, name) for name in names)

    def is_stored_differently(self, key: UUID) -> bool:
        """Return whether a row differs from what the phone sent: rounded, normalised, corrected."""
        if key not in self.records:
            return False
        sent, kept = self.records[key], self.table.represent(self.rows[key])
        return any(name in sent and sent[name] != value for name, value in kept.items())

    def is_stale(self, key: UUID) -> bool:
        """Return whether a row changed on the server after the phone's last pull.

        Rows that the phone calls new don't count: for these an answer was lost.
        """
        old = self.stored.get(key)
        return old is not None and old.revision > self.push.after and key not in self.created

    # Methods that a push calls.

    def validate(self) -> None:
        """Work out what every row becomes, and which records are rejected.

        Raises:
            Conflict: the server deleted or changed the row of a record after the last pull.
        """
        for key, record in list(self.records.items()):
            try:
                self.rows[key] = self.build(key, record)
            except (serializers.ValidationError, ModelValidationError) as error:
                self.reject(key, sentence(error))
            except Missing as error:
                self.reject(key, str(error))
        # First, because in a repeated push the rows that it cascades to are deleted already, and
        # must not be rejected for that.
        self.cascade()
        self._refuse_deleted()
        self._enforce_quota()
        self.work_out()

    def _refuse_deleted(self) -> None:
        """Reject records whose rows were deleted before the last pull.

        Raises:
            Conflict: a row was deleted after it.
        """
        for key in list(self.rows):
            old = self.stored.get(key)
            if old is not None and old.deleted_at is not None and key not in self.to_delete:
                if old.revision > self.push.after:
                    raise Conflict(CHANGED)
                self.reject(key, WAS_DELETED)

    def _enforce_quota(self) -> None:
        """Reject the records that exceed the quota, in their order. Deleted rows make room.

        Raises:
            Conflict: after the last pull, the server changed a row that would count elsewhere now.
        """
        quota, field = self.model.quota(), self.model.counted_by
        if quota is None or not self.rows:
            return
        limit, why = quota
        values = {getattr(row, field) for row in (*self.rows.values(), *self.stored.values())}
        rows = self.for_device(self.model.objects).filter(**{f"{field}__any_of": values})
        count = Counter(dict(rows.order_by().values_list(field).annotate(Count("pk"))))
        for key in self.to_delete:
            if self.was_live(key):
                count[getattr(self.stored[key], field)] -= 1
        for key in sorted(self.rows, key=lambda key: key not in self.stored):
            old, value = self.stored.get(key), getattr(self.rows[key], field)
            if key in self.to_delete or (old is not None and getattr(old, field) == value):
                continue
            if self.is_stale(key):
                raise Conflict(CHANGED)
            if count[value] >= limit:
                self.reject(key, why)
            else:
                count[value] += 1
                count[getattr(old, field, None)] -= 1

    def refuse_conflicts(self) -> None:
        """Refuse the push if it changes a row that the server changed after the last pull.

        Raises:
            Conflict: it does.
        """
        for key in (*self.records, *self.to_delete):
            is_written = self.is_stale(key) and self.was_live(key)
            if is_written and (key in self.to_delete or self.is_changed(key, self.decided(key))):
                raise Conflict(CHANGED)


def sentence(error: serializers.ValidationError | ModelValidationError) -> str:
    """Return the message about a rejected record, with the names of the invalid columns."""
    if isinstance(error, ModelValidationError):
        error = serializers.ValidationError(get_error_detail(error))
    detail: Any = error.detail
    by_column = detail if isinstance(detail, dict) else {"non_field_errors": detail}
    return " ".join(
        text if name == "non_field_errors" else f"{name}: {text}"
        for name, texts in by_column.items()
        for text in texts
    )
