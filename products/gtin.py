"""Global Trade Item Numbers: the digits under a barcode (GS1 General Specifications, 7.9)."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.db import migrations

from countonme.text import DerivedField

PATTERN = r"^([0-9]{8}|[0-9]{12,14})$"
LENGTH = 14


def normalize(code: str) -> str:
    """Return a GTIN as GTIN-14, so that leading zeros do not matter."""
    return code.zfill(LENGTH)


def is_valid(code: str) -> bool:
    """Return whether a text is a GTIN of 8, 12, 13 or 14 digits with a right check digit."""
    if not re.fullmatch(PATTERN, code):
        return False
    digits = [int(digit) for digit in normalize(code)]
    return (3 * sum(digits[0::2]) + sum(digits[1::2])) % 10 == 0


def validate(code: str) -> None:
    """Refuse what is no GTIN.

    Raises:
        ValidationError: it is none.
    """
    if not is_valid(code):
        raise ValidationError(
            "A barcode is a GTIN of 8, 12, 13 or 14 digits with a right check digit.",
            code="invalid",
        )


class NormalizedField(DerivedField):
    """A barcode as GTIN-14, to find it by."""

    def derive(self, value: str) -> str:
        return normalize(value)


def constraint(table: str, barcode: str, normalized: str) -> migrations.RunSQL:
    """Return the operation by which the database holds `is_valid()` and the normalized copy."""

    def digits(first: int) -> str:
        places = range(first, LENGTH + 1, 2)
        return " + ".join(f"substr({normalized}, {place}, 1)::int" for place in places)

    name = f"{table}_{barcode}_is_gtin"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (
            CASE WHEN {barcode} IS NULL THEN {normalized} IS NULL
            WHEN {barcode} ~ '{PATTERN}' THEN
                {normalized} IS NOT DISTINCT FROM lpad({barcode}, {LENGTH}, '0')
                AND (3 * ({digits(1)}) + {digits(2)}) % 10 = 0
            ELSE false END
        )
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )
