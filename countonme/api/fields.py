"""Serializer fields that convert no types: a number must be a JSON number, a name a JSON string.

DRF's own fields read `"165"` as a number, `5` as a name and `20250205` as a day. What the OpenAPI
document can say about a field's rule is in the field's `schema_keywords`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
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

from countonme.api.text import clean

# RFC 9562, section 4: written in lower case, read in upper or lower case.
UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
DATE_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# RFC 3339, section 5.6, with an offset.
DATETIME_PATTERN = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
INTEGER_PATTERN = re.compile(r"-?\d{1,18}", re.ASCII)
BEYOND_ANY_COLUMN = 10**18
# How far a number may lie from the integer that it stands for.
INTEGER_TOLERANCE = Decimal("0.000001")


class EmptyIsNullMixin(serializers.Field[Any, Any, Any, Any]):
    """For fields that are strings in JSON: an empty string is null where null is allowed."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(None if self.allow_null and is_null(data) else data)


class TextField(EmptyIsNullMixin, serializers.CharField):
    """A string, which is cleaned before it is checked: see `countonme.api.text.clean()`."""

    @property
    def schema_keywords(self) -> dict[str, Any]:
        return {} if self.allow_blank else {"pattern": r"\S"}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Clean the string before DRF checks whether it is blank."""
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
    """A JSON number that is an integer, or within a millionth of one: doubles are inexact."""

    def to_internal_value(self, data: Any) -> int:
        number = parse_number(data)
        if number is None:
            self.fail("invalid")
        whole = number.to_integral_value(ROUND_HALF_UP)
        if abs(number - whole) > INTEGER_TOLERANCE:
            self.fail("invalid")
        return int(whole)


class QueryIntegerField(serializers.IntegerField):
    """An integer in a query string: only ASCII digits, after a minus sign if it is negative."""

    def to_internal_value(self, data: Any) -> int:
        if not INTEGER_PATTERN.fullmatch(data):
            self.fail("invalid")
        return int(data)


class NumberField(serializers.DecimalField):
    """A JSON number, rounded half up to `decimal_places` before its bounds are checked."""

    # DRF's DecimalField would read an empty string as null.
    validate_empty_values = serializers.Field.validate_empty_values

    def to_internal_value(self, data: Any) -> Decimal:
        number = parse_number(data)
        if number is None:
            self.fail("invalid")
        assert self.decimal_places is not None
        rounded = number.quantize(Decimal(1).scaleb(-self.decimal_places), ROUND_HALF_UP)
        return rounded or Decimal(0)  # not -0


class StrictBooleanField(serializers.BooleanField):
    """`true` or `false`."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class StrictUUIDField(EmptyIsNullMixin, serializers.UUIDField):
    """A UUID of 36 characters, in upper or lower case."""

    default_error_messages = {"invalid": "Not a UUID of 36 characters."}
    pattern: ClassVar[re.Pattern[str]] = UUID_PATTERN

    @property
    def schema_keywords(self) -> dict[str, Any]:
        return {"pattern": f"^{self.pattern.pattern}$"}

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not self.pattern.fullmatch(data):
            self.fail("invalid")
        return UUID(data)


class DayField(EmptyIsNullMixin, serializers.DateField):
    """A day, exactly `YYYY-MM-DD`."""

    @property
    def schema_keywords(self) -> dict[str, Any]:
        """JSON Schema has no bounds for dates, so the description names them."""
        bounds = {type(v): v.limit_value for v in self.validators if hasattr(v, "limit_value")}
        if not bounds:
            return {}
        return {"description": f"{bounds[MinValueValidator]} to {bounds[MaxValueValidator]}."}

    def to_internal_value(self, value: Any) -> date:
        try:
            return parse_day(value)
        except ValueError:
            self.fail("invalid", format="YYYY-MM-DD")


class TimestampField(EmptyIsNullMixin, serializers.DateTimeField):
    """A timestamp of RFC 3339 with an offset; in answers it is in UTC, with `Z`."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return parse_timestamp(value)
        except ValueError:
            self.fail("invalid", format="YYYY-MM-DDThh:mm:ss[.ffffff](Z|±hh:mm)")


class StrictChoiceField(EmptyIsNullMixin, serializers.ChoiceField):
    """One of the strings listed. The error does not repeat a wrong one: it may hold anything."""

    default_error_messages = {"invalid_choice": "Not a valid choice."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid_choice")
        return super().to_internal_value(data)


def is_null(value: Any) -> bool:
    """Return whether an optional field holds nothing: null, or an empty string."""
    return value is None or (isinstance(value, str) and not value.strip())


def parse_number(value: Any) -> Decimal | None:
    """Return a JSON number as the shortest decimal of its double, or None for another type.

    Phones calculate in doubles, and write them with up to 17 digits: 72.400000000000006 is 72.4.
    A number that no column can hold, infinity included, becomes plus or minus `BEYOND_ANY_COLUMN`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -BEYOND_ANY_COLUMN < value < BEYOND_ANY_COLUMN:
        return Decimal(BEYOND_ANY_COLUMN if value > 0 else -BEYOND_ANY_COLUMN)
    return Decimal(repr(value))


def parse_day(value: Any) -> date:
    """Return a day that is written exactly as `YYYY-MM-DD`.

    Raises:
        ValueError: it is not written so, or there is no such day.
    """
    if not isinstance(value, str) or not DATE_PATTERN.fullmatch(value):
        raise ValueError("not a day")
    return date.fromisoformat(value)


def parse_timestamp(value: Any) -> datetime:
    """Return an RFC 3339 timestamp with an offset as a datetime in UTC.

    Raises:
        ValueError: it is not such a timestamp, or its year in UTC is not within 1 to 9999.
    """
    if not isinstance(value, str) or not DATETIME_PATTERN.fullmatch(value):
        raise ValueError("not a timestamp")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of the calendar") from error


def parse_id(value: str) -> UUID | None:
    """Return the id in a path as a UUID, or None if it is malformed."""
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


class Reader(serializers.Serializer[Any]):
    """A serializer of which one shared instance reads the data of all requests.

    A new instance copies all its fields, which takes longer than reading a body.
    """

    @classmethod
    @cache
    def shared(cls, *, partial: bool = False) -> Self:
        """Return the shared instance; with `partial`, the one that requires no field."""
        return cls(partial=partial)

    def read(self, data: Any) -> dict[str, Any]:
        """Return the fields of plain data, each validated by itself.

        Raises:
            ValidationError: it lists every invalid field.
        """
        return dict(self.run_validation(data))

    def read_with(self, data: Mapping[str, Any], needed: Iterable[str]) -> dict[str, Any]:
        """Return the fields of plain data, and require some that are otherwise optional.

        Args:
            needed: the names of these fields.

        Raises:
            ValidationError: it lists every invalid field, and every needed field that is left out
                (code "required") or null (code "null").
        """
        errors: Any = {}
        values: dict[str, Any] = {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors = error.detail
        for name in needed:
            if name not in errors and is_null(data.get(name)):
                code = "null" if name in data else "required"
                errors[name] = [ErrorDetail(str(self.fields[name].error_messages[code]), code)]
        if errors:
            raise serializers.ValidationError(
                {name: errors[name] for name in self.fields if name in errors}  # type: ignore[misc]  # its keys are names, which the stubs don't say
            )
        return values


class StrictModelSerializer(Reader, serializers.ModelSerializer[Any]):
    """A model serializer of strict fields. A client may choose the `id` of a new row."""

    serializer_field_mapping = STRICT_FIELDS
    serializer_choice_field = StrictChoiceField

    id = StrictUUIDField(required=False, allow_null=True)

    @classmethod
    @cache
    def columns(cls) -> tuple[str, ...]:
        """Return the attributes of the model that an answer has, in the answer's order."""
        model: Any = cls.Meta.model
        known = {field.attname for field in model._meta.concrete_fields}
        return tuple(name for name in cls.Meta.fields if name in known)

    @classmethod
    def expressions(cls) -> list[Any]:
        """Return what a query selects to get `columns()`, with decimals as doubles for JSON."""
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
        """Ignore `id` in the body of an update: the path has it."""
        fields = super().get_fields()
        if self.partial:
            fields["id"].read_only = True
        return fields
