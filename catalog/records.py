"""Records of all formats: they are dirty, and become foods by the same rules."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from catalog.models import energy_fits, food_id
from countonme.api.text import FORBIDDEN, clean
from products import gtin
from products.names import MAX_NAME_LENGTH
from products.nutrients import MACROS, MAX_GRAMS, MAX_MACROS_100G, NUTRIENTS

KJ_PER_KCAL = 4.184
MAX_KCAL = next(nutrient.max_100g for nutrient in NUTRIENTS if nutrient.name == "kcal")
OTHERS = tuple(nutrient for nutrient in NUTRIENTS if nutrient.name != "kcal")
MAX_PORTIONS = 20
# Numbers that a shop gives its own goods, as GTIN-14: GTIN-8 from 0 and 2, and GTIN-13 from 02, 04
# and 20 to 29 (GS1 General Specifications, 1.4, GS1 prefixes).
SHOPS_OWN = re.compile(r"0{6}[02]|0(02|04|2)")
CENT = Decimal("0.01")
# How often a name may have been escaped for HTML.
MAX_ESCAPES = 3
LONGEST_BARCODE = 14


class Refused(Exception):
    """A record can't become a food. The message is the reason, by which refusals are counted."""


@dataclass(slots=True)
class Record:
    """One food as its source has it, before anything is checked.

    Numbers may be numbers or text; what is no number counts as unknown. Values are per 100 g, or
    per 100 ml where `unit` is `ml`.

    Attributes:
        source_id: the food's id in its source.
        kcal, kj: its energy in either unit; the better one is taken.
        values: grams by the names of `NUTRIENTS`, without kcal.
        alcohol: grams, which are not stored, but explain the energy.
        language: two letters.
        portions: names and grams; the first is what the source calls a serving.
        is_generic: whether it is no brand's food.
        popularity: how many people scanned it.
        countries: two letters each, or the source's own words for them.
        updated_at: when the source changed it. Of two records of a food the newer counts.
        place: where it stands in the file, for people: "line 12".
    """

    source_id: str
    name: str | None = None
    brand: str | None = None
    unit: str = "g"
    language: str | None = None
    kcal: Any = None
    kj: Any = None
    values: Mapping[str, Any] = field(default_factory=dict)
    alcohol: Any = None
    barcode: str | None = None
    portions: Iterable[tuple[str | None, Any]] = ()
    is_generic: bool = False
    popularity: int = 0
    countries: Collection[str] = ()
    updated_at: datetime | None = None
    place: str = ""


@dataclass(slots=True)
class Unreadable:
    """What a format could not even read as a record."""

    reason: str
    place: str
    source_id: str = ""


@dataclass(slots=True)
class CleanFood:
    """A record that keeps every rule of a product."""

    id: UUID
    source_id: str
    name: str
    brand: str | None
    unit: str
    language: str | None
    kcal: int
    values: tuple[Decimal | None, ...]
    barcode: str | None
    gtin_14: str | None
    portions: list[dict[str, Any]]
    is_doubtful: bool
    is_generic: bool
    popularity: int
    updated_at: datetime | None


def clean_food(source: str, record: Record) -> CleanFood:
    """Return the food that a record describes.

    Raises:
        Refused: it has no name or no possible energy, or its macros weigh over 105 g in 100 g.
    """
    name = clean_name(record.name)
    if name is None:
        raise Refused("no name")
    doubtful = False
    values: dict[str, Decimal | None] = {}
    for nutrient in OTHERS:
        number = to_number(record.values.get(nutrient.name))
        if number is not None:
            number = number.quantize(CENT, ROUND_HALF_UP)
            if not 0 <= number <= nutrient.max_100g:
                number, doubtful = None, True
        values[nutrient.name] = number
    macros = [values[name] for name in MACROS]
    if sum(macro or 0 for macro in macros) > MAX_MACROS_100G:
        raise Refused("macros over 105 g")
    alcohol = to_number(record.alcohol)

    def fits(kcal: float) -> bool:
        return energy_fits(kcal, macros, values.get("fiber"), alcohol)

    kcal = choose_energy(to_number(record.kcal), to_number(record.kj), fits)
    barcode, gtin_14 = clean_barcode(record.barcode)
    return CleanFood(
        id=food_id(source, record.source_id),
        source_id=record.source_id,
        name=name,
        brand=clean_name(record.brand),
        unit=record.unit,
        language=record.language,
        kcal=kcal,
        values=tuple(values.values()),
        barcode=barcode,
        gtin_14=gtin_14,
        portions=clean_portions(record.portions, record.unit),
        is_doubtful=doubtful or not fits(kcal),
        is_generic=record.is_generic,
        popularity=max(0, min(record.popularity, 2**31 - 1)),
        updated_at=record.updated_at,
    )


def to_number(value: Any) -> Decimal | None:
    """Return a number or the text of one, with a decimal point or comma; None for anything else."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = value.strip().replace(",", ".")
    elif not isinstance(value, int | float | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None
    # Far beyond any column, so that rounding can't fail.
    return number if number.is_finite() and abs(number) < 10**9 else None


def choose_energy(kcal: Decimal | None, kj: Decimal | None, fits: Any) -> int:
    """Return the kcal of 100 g, rounded half up.

    What is given in kcal counts. Where it does not fit the macros, people may have written kJ for
    kcal: then what is given in kJ, or the kcal read as kJ, is taken if it does fit.

    Args:
        fits: called with kcal; returns whether they fit the macros.

    Raises:
        Refused: there is no energy, or none that is possible.
    """
    given = []
    if kcal is not None:
        given.append(float(kcal))
    if kj is not None:
        given.append(float(kj) / KJ_PER_KCAL)
    if not given:
        raise Refused("no energy")
    if kcal is not None and (kcal > MAX_KCAL or kcal == kj):
        given.append(float(kcal) / KJ_PER_KCAL)
    possible = [value for value in map(rounded, given) if 0 <= value <= MAX_KCAL]
    if not possible:
        raise Refused("energy over 1000 kcal" if max(given) > 0 else "energy below 0")
    # Water is 0 kcal and 0 kJ: equal, and right.
    if kcal is not None and kcal == kj and len(possible) > 1 and possible[0] != possible[-1]:
        possible = [value for value in possible if fits(value)] or possible[1:]
    return next(filter(fits, possible), possible[0])


def rounded(number: float) -> int:
    """Return a number rounded half up."""
    return math.floor(number + 0.5)


def clean_name(text: str | None) -> str | None:
    """Return a name without HTML entities and control characters, cut at 100 characters at a word.

    Bytes that were meant for Windows-1252 (C1) become the letters that they were meant for, as in
    HTML. What is left empty is None.
    """
    if not text:
        return None
    # Far longer than any name, and short enough to work with.
    text = text[: 100 * MAX_NAME_LENGTH]
    for _ in range(MAX_ESCAPES):
        if "&" not in text:
            break
        text = html.unescape(text)
    if not text.isascii() or not text.isprintable():
        text = FORBIDDEN.sub(_replacement, text)
    return cut(clean(text)) or None


def _replacement(found: re.Match[str]) -> str:
    code = ord(found[0])
    return bytes([code]).decode("cp1252", "replace").replace("\ufffd", " ") if code < 256 else " "


def cut(text: str, length: int = MAX_NAME_LENGTH) -> str:
    """Return the start of a text, cut after its last whole word that fits."""
    if len(text) <= length:
        return text
    start, blank, _ = text[: length + 1].rpartition(" ")
    return start.rstrip(" ,;-") if blank and start.rstrip(" ,;-") else text[:length]


def clean_barcode(code: str | None) -> tuple[str | None, str | None]:
    """Return a barcode and its GTIN-14, or None twice for what is none, or a shop's own.

    Spreadsheets lose leading zeros: they are put back.
    """
    digits = gtin.compact(code or "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > LONGEST_BARCODE:
        return None, None
    length = next(length for length in (8, 12, 13, 14) if len(digits) <= length)
    digits = digits.zfill(length)
    gtin_14 = gtin.to_gtin_14(digits)
    if gtin_14 is None or SHOPS_OWN.match(gtin_14):
        return None, None
    return digits, gtin_14


def clean_portions(portions: Iterable[tuple[str | None, Any]], unit: str) -> list[dict[str, Any]]:
    """Return portions as `Food.portions` has them: each name once, without the one of 100 g."""
    found: dict[str, float] = {}
    for text, amount in portions:
        name, grams = clean_name(text), to_number(amount)
        if name is None or grams is None:
            continue
        grams = grams.quantize(CENT, ROUND_HALF_UP)
        if CENT <= grams <= MAX_GRAMS and name != f"100{unit}" and name not in found:
            found[name] = float(grams)
        if len(found) == MAX_PORTIONS:
            break
    return [{"name": name, "grams": grams} for name, grams in found.items()]
