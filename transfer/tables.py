"""What an import does with the rows of one table. Apps derive a class where their rules differ."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from rest_framework import serializers
from rest_framework.fields import SkipField, empty

from countonme.api.fields import (
    StrictModelSerializer,
    StrictUUIDField,
    TimestampField,
)
from countonme.scope.constraints import DeviceUniqueConstraint
from countonme.scope.exceptions import Missing
from countonme.scope.models import DeviceScoped
from sync.changes import sentence
from sync.tables import Table, references

if TYPE_CHECKING:
    from transfer.importing import Import

T = TypeVar("T", bound="type[TableImport]")
# Rows are judged and written in statements of so many, each far shorter than the statement timeout.
BATCH = 5000
# Values of these columns hardly occur twice.
SELDOM_TWICE = ("id", "created_at", "updated_at", "eaten_at")

_own_rules: dict[type[DeviceScoped], type[TableImport]] = {}


def imports(model: type[DeviceScoped]) -> Callable[[T], T]:
    """Return a decorator: the class imports the rows of this model."""

    def register(table: T) -> T:
        _own_rules[model] = table
        return table

    return register


def import_of(table: Table) -> type[TableImport]:
    """Return the class that imports the rows of a table."""
    return _own_rules.get(table.model, TableImport)


@cache
def exported_serializer(table: Table) -> type[StrictModelSerializer]:
    """Return the serializer of a table's exported rows: what is synced of it, and its times.

    It reads every column, within the bounds of the model: nothing in a row is left for the server
    to work out.
    """
    columns = (*table.columns, "created_at", "updated_at")
    fields: dict[str, Any] = {
        key.attname: StrictUUIDField(required=not key.null, allow_null=key.null)
        for key in references(table.model)
    }
    fields["id"] = StrictUUIDField()
    fields["created_at"] = TimestampField(required=False)
    fields["updated_at"] = TimestampField(required=False, allow_null=True)
    meta = type("Meta", (), {"model": table.model, "fields": list(columns)})
    name = table.serializer.__name__.replace("RecordSerializer", "ExportedSerializer")
    fields |= {"Meta": meta, "__doc__": table.serializer.__doc__}
    made: Any = type(name, (StrictModelSerializer,), fields)
    return made


class RowReader:
    """Reads the rows of a table, each column by its field. What occurs often is read once."""

    def __init__(self, serializer: type[StrictModelSerializer]) -> None:
        self.fields: dict[str, Any] = dict(serializer.shared().fields.items())
        self.known: dict[Any, Any] = {}

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a row.

        Raises:
            ValidationError: it lists every invalid column.
        """
        values: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for name in self.fields:
            try:
                values[name] = self._value(name, row.get(name, empty))
            except SkipField:
                pass
            except serializers.ValidationError as error:
                errors[name] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        return values

    def _value(self, name: str, given: Any) -> Any:
        if name in SELDOM_TWICE or isinstance(given, dict | list):
            return self.fields[name].run_validation(given)
        # With its type: True, 1 and 1.0 are the same key.
        key = (name, type(given), given)
        if key not in self.known:
            self.known[key] = self.fields[name].run_validation(given)
        return self.known[key]


class TableImport:
    """The rows of one table in an import: which are new, which come back, which are left out.

    An import calls these methods for one table after the other, each after the tables that its rows
    refer to. A row that is live here is never changed.
    """

    # Columns in which a deleted row that comes back must be as it was, and what is said otherwise.
    fixed: ClassVar[Mapping[str, str]] = {}
    # Columns that are nothing without the row that a column refers to.
    goes_with: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # Columns whose row belongs to the row that another column refers to: a portion, to its product.
    belongs_to: ClassVar[Mapping[str, str]] = {}

    def __init__(self, importing: Import, table: Table, rows: Mapping[uuid.UUID, Any]) -> None:
        self.importing = importing
        self.device = importing.device
        self.table = table
        # A row belongs to what its first foreign key names, if it can't be without it.
        self.owner = next((key for key in references(table.model) if not key.null), None)
        self.model = table.model
        # By id, what is still to be written, and why the other rows are left out.
        self.rows: dict[uuid.UUID, Any] = {
            key: self.model(device_id=self.device.pk, **values) for key, values in rows.items()
        }
        self.in_file = set(self.rows)
        self.rejected: dict[uuid.UUID, str] = {}
        self.skipped = self.imported = 0
        # By id, of the rows that are stored, or that this import has written: whether each is live,
        # and to which row it belongs.
        self.is_live: dict[uuid.UUID, bool] = {}
        self.owner_of: dict[uuid.UUID, uuid.UUID] = {}
        self.deleted: set[uuid.UUID] = set()

    def run(self) -> None:
        """Import the rows."""
        self.load()
        for key, row in list(self.rows.items()):
            try:
                self.check(row)
            except ModelValidationError as error:
                self.reject(key, sentence(error))
            except Missing as error:
                self.reject(key, str(error))
        self.refuse_second_rows()
        self.enforce_quota()
        self.write()

    def load(self) -> None:
        """Find out which rows of the file, and which that other tables name, are stored.

        Rows that are live here are skipped.
        """
        named = {*self.rows, *self.importing.ids_of(self.model)}
        if not named:
            return
        stored = self.for_device(self.model.all_objects).filter(pk__any_of=named)
        columns = ("pk", "deleted_at", self.owner.attname if self.owner else "pk", *self.fixed)
        for key, deleted_at, owner, *values in stored.values_list(*columns):
            self.is_live[key] = deleted_at is None
            self.owner_of[key] = owner
            if key not in self.rows:
                continue
            if deleted_at is None:
                del self.rows[key]
                self.skipped += 1
                continue
            self.deleted.add(key)
            for (column, why), value in zip(self.fixed.items(), values, strict=True):
                if getattr(self.rows[key], column) != value:
                    self.reject(key, why)
                    break

    def check(self, row: Any) -> None:
        """Check a row by itself, and take out what it names and is not known here.

        Raises:
            ValidationError: a rule over several columns is broken.
            Missing: a row that it can't be without is not live.
        """
        for key in references(self.model):
            named = getattr(row, key.attname)
            if named is None:
                continue
            target = self.importing[cast("type[DeviceScoped]", key.related_model)]
            # A row belongs to a live one. What else it names may be deleted.
            is_there = target.is_live.get(named) if key == self.owner else named in target.is_live
            if is_there and key.attname in self.belongs_to:
                is_there = target.owner_of[named] == getattr(row, self.belongs_to[key.attname])
            if is_there:
                continue
            if not key.null:
                raise Missing(key.related_model)
            self.forget(row, key.attname)
        row.clean()

    def forget(self, row: Any, column: str) -> None:
        """Take out what a row refers to by a column, and what is nothing without it."""
        for name in (column, *self.goes_with.get(column, ())):
            setattr(row, name, None)

    def refuse_second_rows(self) -> None:
        """Leave out rows of which only one may be live: the one that is here already stays."""
        for constraint in self.model._meta.constraints if self.rows else ():
            is_unique = isinstance(constraint, DeviceUniqueConstraint)
            if not is_unique or constraint.condition != Q(deleted_at=None):
                continue
            fields = [name for name in constraint.fields if name != "device"]
            taken = set(self.for_device(self.model.objects).values_list(*fields or ["device_id"]))
            for key, row in list(self.rows.items()):
                value = tuple(getattr(row, name) for name in fields or ["device_id"])
                if value in taken:
                    self.reject(key, str(constraint.get_violation_error_message()))
                taken.add(value)

    def enforce_quota(self) -> None:
        """Leave out the rows that exceed the quota, in the order of the file."""
        quota, field = self.model.quota(), self.model.counted_by
        if quota is None or not self.rows:
            return
        limit, why = quota
        values = {getattr(row, field) for row in self.rows.values()}
        rows = self.for_device(self.model.objects).filter(**{f"{field}__any_of": values})
        count = Counter(dict(rows.order_by().values_list(field).annotate(Count("pk"))))
        for key, row in list(self.rows.items()):
            count[getattr(row, field)] += 1
            if count[getattr(row, field)] > limit:
                self.reject(key, why)

    def settle(self) -> None:
        """Put right what the table as a whole would be left with; for apps to override.

        It may reject rows, and add some that the file has not.
        """

    def write(self) -> None:
        """Insert the new rows, and bring back the deleted ones.

        Rows that break a constraint of the database are left out. That is only asked if it refuses
        one, because it takes as long as writing them.
        """
        self.settle()
        try:
            with transaction.atomic():
                for batch, is_new in self._batches():
                    self.for_device(self.model.all_objects).bulk_save(batch, insert=is_new)
        except IntegrityError:
            refused: dict[uuid.UUID, str] = {}
            for batch, is_new in self._batches():
                refused |= self.for_device(self.model.all_objects).refused(batch, insert=is_new)
            if not refused:
                raise
            for key, constraint in refused.items():
                self.reject(key, f"It breaks the rule {constraint}.")
            self.write()
        self.imported = len(self.rows.keys() & self.in_file)
        self.is_live |= dict.fromkeys(self.rows, True)
        if self.owner:
            column = self.owner.attname
            self.owner_of |= {key: getattr(row, column) for key, row in self.rows.items()}

    def _batches(self) -> Iterator[tuple[list[Any], bool]]:
        """Yield the rows in lists that a statement can write, and whether they are new."""
        for is_new in (True, False):
            rows = [row for key, row in self.rows.items() if (key not in self.deleted) == is_new]
            for start in range(0, len(rows), BATCH):
                yield rows[start : start + BATCH], is_new

    def reject(self, key: uuid.UUID, why: str) -> None:
        """Leave a row out, and tell why."""
        del self.rows[key]
        self.rejected[key] = why

    def for_device(self, manager: Any) -> Any:
        """Return the device's rows of a manager."""
        return manager.for_device(self.device)

    def ids_in(self, column: str) -> set[uuid.UUID]:
        """Return the ids that rows have in a column."""
        found = {getattr(row, column) for row in self.rows.values()}
        return found - {None}
