"""A synced table: its columns, the queries of its rows, and how a record is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

from django.db.models.functions import Coalesce
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from countonme.api.fields import StrictModelSerializer, StrictUUIDField
from countonme.api.json import dumps
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.prepared import Prepared

S = TypeVar("S", bound=type[StrictModelSerializer])


class PhoneIdField(StrictUUIDField):
    """A UUID in lower case. A phone compares ids as text, so upper case is another id."""

    default_error_messages = {"invalid": "Not a UUID in lower case."}
    pattern = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def parse_phone_id(value: Any) -> UUID | None:
    """Return a phone's id as a UUID, or None if it is not a UUID in lower case."""
    is_one = isinstance(value, str) and PhoneIdField.pattern.fullmatch(value)
    return UUID(value) if is_one else None


def references(model: type[DeviceScoped]) -> Iterator[ScopedForeignKey]:
    """Yield the foreign keys of a model to other rows of the device."""
    for field in model._meta.concrete_fields:
        if isinstance(field, ScopedForeignKey) and field.name != "device":
            yield field


def record_serializer(of: S, **options: Any) -> S:
    """Return the serializer of a phone's records, made from the serializer of REST.

    A record must have an `id`, refers to other records by the phone's ids, and has no `created_at`
    and `updated_at`.

    Args:
        options: of its `Meta`, where they differ.
    """
    own: Any = of.Meta
    columns = [name for name in own.fields if name not in ("created_at", "updated_at")]
    fields: dict[str, Any] = {"id": PhoneIdField()}
    for key in references(own.model):
        fields[key.attname] = PhoneIdField(required=not key.null, allow_null=key.null)
    name = of.__name__.replace("Serializer", "RecordSerializer")
    meta = type("Meta", (own,), {"fields": columns, **options})
    made: Any = type(name, (of,), {**fields, "Meta": meta, "__doc__": of.__doc__})
    return made


class Table:
    """One synced table."""

    def __init__(self, serializer: type[StrictModelSerializer]) -> None:
        self.serializer = serializer
        meta: Any = serializer.Meta
        self.model: Any = meta.model
        self.name: str = self.model._meta.db_table
        self.columns = serializer.columns()
        # The model that a column refers to, by column.
        self.references: dict[str, Any] = {
            key.attname: key.related_model for key in references(self.model)
        }

    @cached_property
    def live(self) -> Prepared:
        """The query of a device's live rows that were written after a revision.

        They come in the order in which they were written. Rows of one push keep its order.
        """

        def rows(device: Any, after: Any) -> Any:
            found = self.model.objects.for_device(device).filter(revision__gt=after)
            written_at = Coalesce("updated_at", "created_at")
            return found.order_by("revision", written_at, "id").values_list(*self.columns)

        return Prepared(rows, "device", "after")

    @cached_property
    def deleted(self) -> Prepared:
        """The query of a device's ids that were deleted after a revision, oldest first."""

        def rows(device: Any, after: Any) -> Any:
            found = self.model.all_objects.for_device(device).filter(revision__gt=after)
            return (
                found.filter(deleted_at__isnull=False).order_by("revision", "id").values_list("id")
            )

        return Prepared(rows, "device", "after")

    def represent(self, row: DeviceScoped) -> dict[str, Any]:
        """Return the columns of a row, with the JSON values that a pull sends."""
        values: dict[str, Any] = json.loads(dumps(self.serializer.represent(row)))
        return values

    def read(self, record: dict[str, Any], *, is_new: bool) -> dict[str, Any]:
        """Return the columns of a record, each validated by itself, as in REST.

        Args:
            is_new: whether the record must have all required columns.

        Raises:
            ValidationError: it lists every invalid column.
        """
        serializer = self.serializer.shared(partial=True)
        values: dict[str, Any] = serializer.read(record)
        missing = (name for name in self._required if name not in record) if is_new else ()
        errors = {name: [ErrorDetail("This field is required.", "required")] for name in missing}
        if errors:
            raise serializers.ValidationError(errors)
        return values

    @cached_property
    def _required(self) -> list[str]:
        fields = self.serializer.shared(partial=True).fields.items()
        return [name for name, field in fields if field.required and name != "id"]
