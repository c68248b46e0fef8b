"""Barcodes: Global Trade Item Numbers (GTIN), and UPC-E, the short form of some UPC-A.

Source: the GS1 General Specifications, on the check digit (7.9) and on UPC-E, which is a UPC-A
with zeros left out.
"""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError

from countonme.api.text import HYPHENS, WHITE_SPACE
from countonme.scope.derived import DerivedField
from products.names import CleanField

LENGTH = 14
PATTERN = r"^([0-9]{8}|[0-9]{12,14})$"
# The same, with blanks and hyphens anywhere, as people type it.
TYPED_PATTERN = r"^[ -]*([0-9][ -]*){8}(([0-9][ -]*){4,6})?$"
SEPARATORS = re.compile(rf"[{WHITE_SPACE}\u00ad{HYPHENS}]")
# Patterns of UPC-E, and the UPC-A of each. A UPC-E is the number system (0 or 1), six digits and
# the check digit. The last of the six tells which zeros were left out.
UPC_E = {
    "^([01])(..)(...)([0-2])(.)$": "{0}{1}{3}0000{2}{4}",
    "^([01])(...)(..)3(.)$": "{0}{1}00000{2}{3}",
    "^([01])(....)(.)4(.)$": "{0}{1}00000{2}{3}",
    "^([01])(.....)([5-9])(.)$": "{0}{1}0000{2}{3}",
}


def compact(text: str) -> str:
    """Return a barcode as it was typed, without white space and hyphens."""
    return SEPARATORS.sub("", text)


def to_gtin_14(code: str) -> str | None:
    """Return a barcode as GTIN-14, the form in which barcodes are compared; None if it is invalid.

    A UPC-E is expanded to its UPC-A. Eight digits that are valid both as UPC-E and as GTIN-8 are
    read as UPC-E if they start with 0: a GTIN-8 that does is for use within one shop only.
    """
    if not re.fullmatch(PATTERN, code):
        return None
    padded, expanded = (form.zfill(LENGTH) for form in (code, expand_upc_e(code)))
    forms = (expanded, padded) if code.startswith("0") else (padded, expanded)
    return next(filter(has_right_check_digit, forms), None)


def expand_upc_e(code: str) -> str:
    """Return the UPC-A of a UPC-E, and any other code unchanged."""
    for pattern, upc_a in UPC_E.items():
        if found := re.match(pattern, code):
            return upc_a.format(*found.groups())
    return code


def has_right_check_digit(gtin_14: str) -> bool:
    """Return whether the last of 14 digits is the right check digit for the others."""
    digits = [int(digit) for digit in gtin_14]
    return (3 * sum(digits[0::2]) + sum(digits[1::2])) % 10 == 0


def validate(code: str) -> None:
    """Refuse a code that is not a barcode.

    Raises:
        ValidationError: the code is neither a GTIN nor a UPC-E, or its check digit is wrong.
    """
    if to_gtin_14(code) is None:
        raise ValidationError(
            "A barcode is a GTIN of 8, 12, 13 or 14 digits, or a UPC-E of 8, with a right check "
            "digit.",
            code="invalid",
        )


class BarcodeField(CleanField):
    """A barcode as it was sent, without white space and hyphens; null if there is none."""

    default_validators = [validate]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": LENGTH, "null": True, "blank": True} | kwargs)

    def clean_text(self, text: str) -> str:
        return compact(text)

    def to_python(self, value: Any) -> Any:
        return super().to_python(value) or None


class NormalizedField(DerivedField):
    """A copy of a barcode as GTIN-14, by which barcodes are found."""

    def derive(self, value: str) -> str | None:
        return to_gtin_14(value)
