"""Serializer fields that convert no type: what JSON calls a number, a string or a boolean is one.

DRF's own take `"165"` for a number, `5` for a name and `20250205` for a day. What the OpenAPI
document can say of such a rule stands beside it, as `schema_keywords`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, Self
from uuid import UUID

from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Cast
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.fields import get_error_detail

from countonme.text import clean

UUID_PATTERN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
DATE_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# RFC 3339, section 5.6, with an offset.
DATETIME_PATTERN = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
INTEGER_PATTERN = re.compile(r"-?\d{1,18}", re.ASCII)
BEYOND_ANY_COLUMN = 10**18


class TextField(serializers.CharField):
    """A string, judged as it is kept: see `countonme.text.clean()`."""

    @property
    def schema_keywords(self) -> dict[str, Any]:
        return {} if self.allow_blank else {"pattern": r"\S"}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Clean it before DRF asks whether it is blank."""
        if isinstance(data, str):
            try:
                data = self.clean_text(data)
            except DjangoValidationError as error:
                raise serializers.ValidationError(get_error_detail(error)) from error
        return super().run_validation(data)

    def clean_text(self, text: str) -> str:
        return clean(text)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class WholeNumberField(serializers.IntegerField):
    """A JSON number without a fraction."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("invalid")
        if isinstance(data, Decimal):
            if data != data.to_integral_value():
                self.fail("invalid")
            if data and data.adjusted() >= 18:
                return BEYOND_ANY_COLUMN if data > 0 else -BEYOND_ANY_COLUMN
        return int(data)


class QueryIntegerField(serializers.IntegerField):
    """An integer in a query string: ASCII digits, nothing else."""

    def to_internal_value(self, data: Any) -> int:
        if not INTEGER_PATTERN.fullmatch(data):
            self.fail("invalid")
        return int(data)


class NumberField(serializers.DecimalField):
    """A JSON number with at most `decimal_places` decimals, trailing zeros aside; exact."""

    # DRF's own takes an empty string for null.
    validate_empty_values = serializers.Field.validate_empty_values

    @property
    def schema_keywords(self) -> dict[str, Any]:
        assert self.decimal_places is not None
        return {"multipleOf": float(Decimal(1).scaleb(-self.decimal_places))}

    def to_internal_value(self, data: Any) -> Decimal:
        if isinstance(data, bool) or not isinstance(data, int | Decimal):
            self.fail("invalid")
        number = Decimal(data)
        _, digits, exponent = number.as_tuple()
        assert isinstance(exponent, int)
        assert self.decimal_places is not None
        surplus = -exponent - self.decimal_places
        if number and surplus > 0 and any(digits[-surplus:]):
            self.fail("max_decimal_places", max_decimal_places=self.decimal_places)
        return number if number else Decimal(0)


class StrictBooleanField(serializers.BooleanField):
    """`true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictUUIDField(serializers.UUIDField):
    """A UUID in its lower-case form of 36 characters."""

    default_error_messages = {"invalid": "Not a UUID in lower case."}
    schema_keywords: ClassVar[dict[str, Any]] = {"pattern": f"^{UUID_PATTERN.pattern}$"}

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not UUID_PATTERN.fullmatch(data):
            self.fail("invalid")
        return UUID(data)


class DayField(serializers.DateField):
    """A day, exactly `YYYY-MM-DD`."""

    @property
    def schema_keywords(self) -> dict[str, Any]:
        """JSON Schema has no bounds for days; people read them in the description."""
        bounds = {type(v): v.limit_value for v in self.validators if hasattr(v, "limit_value")}
        if not bounds:
            return {}
        return {"description": f"{bounds[MinValueValidator]} to {bounds[MaxValueValidator]}."}

    def to_internal_value(self, value: Any) -> date:
        try:
            return parse_day(value)
        except ValueError:
            self.fail("invalid", format="YYYY-MM-DD")


class TimestampField(serializers.DateTimeField):
    """RFC 3339 with an offset; in UTC with `Z` in answers."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return parse_timestamp(value)
        except ValueError:
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ss[.ffffff](Z|±hh:mm)")


class StrictChoiceField(serializers.ChoiceField):
    """One of the strings listed. A wrong one is not repeated: it may be anything."""

    default_error_messages = {"invalid_choice": "Not a valid choice."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid_choice")
        return super().to_internal_value(data)


def parse_day(value: Any) -> date:
    """Return the day of exactly `YYYY-MM-DD`.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, str) or not DATE_PATTERN.fullmatch(value):
        raise ValueError("not a day")
    return date.fromisoformat(value)


def parse_timestamp(value: Any) -> datetime:
    """Return the moment of an RFC 3339 timestamp with an offset, in UTC.

    Raises:
        ValueError: it is none, or falls out of the calendar.
    """
    if not isinstance(value, str) or not DATETIME_PATTERN.fullmatch(value):
        raise ValueError("not a timestamp")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of the calendar") from error


def parse_id(value: str) -> UUID | None:
    """Return the UUID of a path's segment, or None where it is malformed."""
    return UUID(value) if UUID_PATTERN.fullmatch(value) else None


STRICT_FIELDS: dict[type[models.Field[Any, Any]], type[serializers.Field[Any, Any, Any, Any]]] = {
    models.CharField: TextField,
    models.SmallIntegerField: WholeNumberField,
    models.DecimalField: NumberField,
    models.BooleanField: StrictBooleanField,
    models.UUIDField: StrictUUIDField,
    models.DateField: DayField,
    models.DateTimeField: TimestampField,
}


class Reader(serializers.BaseSerializer[Any]):
    """A serializer that is made once and reads what every request sends.

    Making one copies all its fields, which costs more than reading a body with it.
    """

    @classmethod
    @cache
    def shared(cls, *, partial: bool = False) -> Self:
        """Return the one instance, `partial` where any field may be left out."""
        return cls(partial=partial)

    def read(self, data: Any) -> dict[str, Any]:
        """Return the fields of plain data, valid each by itself.

        Raises:
            ValidationError: with every offending field.
        """
        return dict(self.run_validation(data))


class StrictModelSerializer(Reader, serializers.ModelSerializer[Any]):
    """A model serializer of strict fields; a client may choose the `id` of what it creates."""

    serializer_field_mapping = STRICT_FIELDS
    serializer_choice_field = StrictChoiceField

    id = StrictUUIDField(required=False)

    def read_with(self, data: Mapping[str, Any], missing: Iterable[str]) -> dict[str, Any]:
        """Return the fields of plain data, some of which it should have had.

        Raises:
            ValidationError: with every offending field; of those missing, that it is null where it
                is, or else required.
        """
        errors: Any = {}
        values: dict[str, Any] = {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors = error.detail
        for name in missing:
            code = "null" if name in data else "required"
            errors[name] = [ErrorDetail(str(self.fields[name].error_messages[code]), code)]
        if errors:
            in_order = (name for name in self.Meta.fields if name in errors)
            raise serializers.ValidationError({name: errors[name] for name in in_order})
        return values

    @classmethod
    @cache
    def columns(cls) -> tuple[str, ...]:
        """Return the names of what an answer has of a row: attributes of the model."""
        model: Any = cls.Meta.model
        known = {field.attname for field in model._meta.concrete_fields}
        return tuple(name for name in cls.Meta.fields if name in known)

    @classmethod
    def expressions(cls) -> list[Any]:
        """Return what a query selects to have `columns()` as JSON does, decimals as its numbers."""
        model: Any = cls.Meta.model
        fields = map(model._meta.get_field, cls.columns())
        return [
            Cast(field.attname, models.FloatField())
            if isinstance(field, models.DecimalField)
            else models.F(field.attname)
            for field in fields
        ]

    @classmethod
    def represent(cls, row: models.Model) -> dict[str, Any]:
        """Return a row as plain data."""
        return {name: getattr(row, name) for name in cls.columns()}

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Leave the id out of an update's input: it is in the path."""
        fields = super().get_fields()
        if self.partial:
            fields["id"].read_only = True
        return fields
