"""Barcodes: Global Trade Item Numbers, and the short form that some have, UPC-E.

GS1 General Specifications: the check digit (7.9), and UPC-E, which leaves zeros out of a UPC-A.
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
# The same as it may be typed.
TYPED_PATTERN = r"^[ -]*([0-9][ -]*){8}(([0-9][ -]*){4,6})?$"
SEPARATORS = re.compile(rf"[{WHITE_SPACE}\u00ad{HYPHENS}]")
# UPC-E, of the number system 0 or 1, six digits and the check digit, and the UPC-A that it stands
# for: the sixth digit tells which zeros were left out.
UPC_E = {
    "^([01])(..)(...)([0-2])(.)$": "{0}{1}{3}0000{2}{4}",
    "^([01])(...)(..)3(.)$": "{0}{1}00000{2}{3}",
    "^([01])(....)(.)4(.)$": "{0}{1}00000{2}{3}",
    "^([01])(.....)([5-9])(.)$": "{0}{1}0000{2}{3}",
}


def compact(text: str) -> str:
    """Return what was typed for a barcode without its white space and hyphens."""
    return SEPARATORS.sub("", text)


def to_gtin_14(code: str) -> str | None:
    """Return a barcode as GTIN-14, by which barcodes are compared; None where it is none.

    A UPC-E is the UPC-A that it stands for. What could be a GTIN-8 too is a UPC-E where it starts
    with 0, as GTIN-8 that do are for a shop's own use.
    """
    if not re.fullmatch(PATTERN, code):
        return None
    padded, expanded = (form.zfill(LENGTH) for form in (code, expand_upc_e(code)))
    forms = (expanded, padded) if code.startswith("0") else (padded, expanded)
    return next(filter(has_right_check_digit, forms), None)


def expand_upc_e(code: str) -> str:
    """Return the UPC-A that a UPC-E stands for, and any other code as it is."""
    for pattern, upc_a in UPC_E.items():
        if found := re.match(pattern, code):
            return upc_a.format(*found.groups())
    return code


def has_right_check_digit(gtin_14: str) -> bool:
    """Return whether 14 digits end with the digit that the others ask for."""
    digits = [int(digit) for digit in gtin_14]
    return (3 * sum(digits[0::2]) + sum(digits[1::2])) % 10 == 0


def validate(code: str) -> None:
    """Refuse what is no barcode.

    Raises:
        ValidationError: it is none.
    """
    if to_gtin_14(code) is None:
        raise ValidationError(
            "A barcode is a GTIN of 8, 12, 13 or 14 digits, or a UPC-E of 8, with a right check "
            "digit.",
            code="invalid",
        )


class BarcodeField(CleanField):
    """A barcode as it was sent, without white space and hyphens; null where there is none."""

    default_validators = [validate]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": LENGTH, "null": True, "blank": True} | kwargs)

    def clean_text(self, text: str) -> str:
        return compact(text)

    def to_python(self, value: Any) -> Any:
        return super().to_python(value) or None


class NormalizedField(DerivedField):
    """A barcode as GTIN-14, to find it by."""

    def derive(self, value: str) -> str | None:
        return to_gtin_14(value)
