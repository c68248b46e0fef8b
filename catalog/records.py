"""What all formats' records have in common: they are dirty, and become foods by the same rules."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from math import inf
from typing import Any

from catalog.energy import energy_range
from catalog.models import Food
from countonme.api.text import FORBIDDEN, clean
from products import gtin
from products.names import MAX_NAME_LENGTH
from products.nutrients import MACROS, MAX_GRAMS, MAX_MACROS_100G, NUTRIENTS

KJ_PER_KCAL = 4.184
# How far apart kcal and kJ may be and yet be one number: some sources round one of them.
SAME_ENERGY = 0.03
MAX_KCAL = next(nutrient.max_100g for nutrient in NUTRIENTS if nutrient.name == "kcal")
# The greatest values of the others.
MAXIMA = {nutrient.name: nutrient.max_100g for nutrient in NUTRIENTS if nutrient.name != "kcal"}
MAX_PORTIONS = 20
MAX_SOURCE_ID_LENGTH = Food._meta.get_field("source_id").max_length or 0
# Numbers that a shop gives its own goods, as GTIN-14: GTIN-8 from 0 and 2, and GTIN-13 from 02, 04
# and 20 to 29 (GS1 General Specifications, 1.4, GS1 prefixes). The first digit tells packages.
SHOPS_OWN = re.compile(r"0{6}[02]|[0-9](02|04|2)")
# The lengths of a code that may be a UPC-E: 8, or 7 where a spreadsheet lost its leading zero.
UPC_E_LENGTHS = (7, 8)
CENT = Decimal("0.01")
# Far beyond any column, and so small that rounding can't fail.
MAX_NUMBER = 10**12
# Longer than any number that a source writes.
MAX_NUMBER_LENGTH = 50
NUMBERS = frozenset({str, float, int, Decimal})
# How often a name may have been escaped for HTML.
MAX_ESCAPES = 3
# Open Food Facts writes it where nobody said.
UNKNOWN_LANGUAGE = "xx"


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
        doubtful: whether its source knows its energy to be wrong; None if it does not say.
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
    portions: Sequence[tuple[str | None, Any]] = ()
    is_generic: bool = False
    popularity: int = 0
    countries: Collection[str] = ()
    doubtful: bool | None = None
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
    doubtful: bool
    is_generic: bool
    popularity: int
    updated_at: datetime | None


def clean_food(record: Record) -> CleanFood:
    """Return the food that a record describes.

    Raises:
        Refused: it has no id, no name or no possible energy, or its macros weigh over 105 g in
            100 g.
    """
    source_id = record.source_id
    if not 0 < len(source_id) <= MAX_SOURCE_ID_LENGTH or not source_id.isprintable():
        raise Refused("no code")
    name = clean_name(record.name)
    if name is None:
        raise Refused("no name")
    # Rounded: as they are stored, and as numbers that compare fast.
    values: dict[str, Decimal | None] = {}
    numbers: dict[str, float | None] = {}
    for nutrient in MAXIMA:
        value = record.values.get(nutrient)
        values[nutrient], numbers[nutrient] = (None, None) if value is None else _rounded(value)
    macros = [numbers[macro] for macro in MACROS]
    if round(sum([grams for grams in macros if grams and grams > 0]), 2) > MAX_MACROS_100G:
        raise Refused("macros over 105 g")
    doubtful = False
    for nutrient, grams in numbers.items():
        if grams is not None and not 0 <= grams <= MAXIMA[nutrient]:
            values[nutrient], numbers[nutrient], doubtful = None, None, True
    macros = [numbers[macro] for macro in MACROS]
    low, high = energy_range(macros, numbers.get("fiber"), to_number(record.alcohol))
    kcal = choose_energy(to_number(record.kcal), to_number(record.kj), low, high)
    doubtful = doubtful or not low <= kcal <= high
    barcode, gtin_14 = clean_barcode(record.barcode)
    return CleanFood(
        source_id=source_id,
        name=name,
        brand=clean_brand(record.brand),
        unit=record.unit,
        language=clean_language(record.language),
        kcal=kcal,
        values=tuple(values.values()),
        barcode=barcode,
        gtin_14=gtin_14,
        portions=clean_portions(record.portions, record.unit) if record.portions else [],
        doubtful=doubtful if record.doubtful is None else record.doubtful,
        is_generic=record.is_generic,
        popularity=max(0, min(record.popularity, 2**31 - 1)),
        updated_at=record.updated_at,
    )


def to_number(value: Any) -> float | None:
    """Return a number or the text of one, with a decimal point or comma; None for anything else."""
    # Not isinstance(): True is an int. In the cache below it would be 1, and a list no key.
    return _parsed(value)[0] if type(value) in NUMBERS else None


def to_cents(value: Any) -> Decimal | None:
    """Return a number rounded half up to 2 decimals; None as in `to_number()`."""
    return _rounded(value)[0]


def _rounded(value: Any) -> tuple[Decimal, float] | tuple[None, None]:
    """Return the same twice, as a decimal and as the nearest float."""
    return _parsed(value)[1:] if type(value) in NUMBERS else (None, None)


# Foods have the same few thousand numbers again and again.
@lru_cache(maxsize=2**15)
def _parsed(
    value: str | float | Decimal,
) -> tuple[float, Decimal, float] | tuple[None, None, None]:
    """Return a number as it is, and rounded: see `_rounded()`."""
    if isinstance(value, str):
        if len(value) > MAX_NUMBER_LENGTH:
            return None, None, None
        value = value.strip().replace(",", ".")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        return None, None, None
    if not number.is_finite() or not -MAX_NUMBER < number < MAX_NUMBER:
        return None, None, None
    # Adding 0 makes a negative zero positive.
    rounded = number.quantize(CENT, ROUND_HALF_UP) + 0
    return float(number), rounded, float(rounded)


def choose_energy(kcal: float | None, kj: float | None, low: float, high: float) -> int:
    """Return the kcal of 100 g, rounded half up.

    What is given in kcal counts, unless it can't come from the macros and what is given in kJ can.
    People also write kJ for kcal. What is over 1000 is read so, and what is too much for the macros
    while as kJ it would be theirs. Where kcal and kJ are one number, the reading counts that is
    nearer to the middle of the range, or else kJ.

    Args:
        low, high: the range of the energy that can come from the macros.

    Raises:
        Refused: there is no energy, or none that is possible.
    """
    given = []
    if kcal is not None:
        given.append(kcal)
    if kj is not None:
        given.append(kj / KJ_PER_KCAL)
    if not given:
        raise Refused("no energy")
    if kcal is not None:
        as_kj = kcal / KJ_PER_KCAL
        if kj is not None and abs(kcal - kj) <= SAME_ENERGY * abs(kj):
            given.reverse()
            if high < inf:
                given.sort(key=lambda value: abs(2 * value - low - high))
        # Foods with alcohol have more energy than their macros: a part of theirs is not enough.
        elif kcal > MAX_KCAL or (kj is None and as_kj > 1.2 * (low + 25) and low > 0):
            given.append(as_kj)
    possible = [value for value in map(rounded, given) if 0 <= value <= MAX_KCAL]
    if not possible:
        raise Refused("energy over 1000 kcal" if max(given) > 0 else "energy below 0")
    return next((value for value in possible if low <= value <= high), possible[0])


def rounded(number: float) -> int:
    """Return a number rounded half up."""
    return math.floor(number + 0.5)


def clean_name(text: str | None) -> str | None:
    """Return a name without HTML entities and control characters, cut at 100 characters at a word.

    Bytes that were meant for Windows-1252 (C1) become the letters that they were meant for, as in
    HTML. What has no letter or digit is None: no search could find it.
    """
    if not text:
        return None
    # Far longer than any name, and short enough to work with.
    text = text[: 100 * MAX_NAME_LENGTH]
    for _ in range(MAX_ESCAPES):
        if "&" not in text:
            break
        text = html.unescape(text)
    if text.isascii() and text.isprintable():
        text = " ".join(text.split())
    else:
        text = clean(FORBIDDEN.sub(_replacement, text))
    text = cut(text)
    return text if any(map(str.isalnum, text)) else None


# Foods have the same brands again and again.
clean_brand = lru_cache(maxsize=2**14)(clean_name)


def _replacement(found: re.Match[str]) -> str:
    if "\x80" <= found[0] <= "\x9f":
        # Five of these bytes stand for nothing.
        return found[0].encode("latin-1").decode("cp1252", "ignore")
    return " "


def cut(text: str, length: int = MAX_NAME_LENGTH) -> str:
    """Return the start of a text, cut after its last whole word that fits."""
    if len(text) <= length:
        return text
    start, _, _ = text[: length + 1].rpartition(" ")
    return start.rstrip(" ,;-") or text[:length]


@lru_cache
def clean_language(code: str | None) -> str | None:
    """Return the two letters of a language, or None where it is not known."""
    code = (code or "").strip().lower()
    return code if re.fullmatch("[a-z]{2}", code) and code != UNKNOWN_LANGUAGE else None


def clean_barcode(code: str | None) -> tuple[str | None, str | None]:
    """Return a barcode and its GTIN-14, or None twice for what is none, or a shop's own.

    Sources add and lose leading zeros: a GTIN is filled up to 8, 13 or 14 digits. What is valid
    both as a UPC-E and as a shop's own GTIN-8 counts as the latter: shops have many of these.
    """
    code = gtin.compact(code) if code and not code.isdigit() else code or ""
    if not code.isascii() or not code.isdigit():
        return None, None
    digits = filled(code)
    gtin_14 = digits.zfill(gtin.LENGTH)
    if len(gtin_14) > gtin.LENGTH:
        return None, None
    if gtin.has_right_check_digit(gtin_14):
        return (None, None) if SHOPS_OWN.match(gtin_14) else (digits, gtin_14)
    upc_e = gtin.to_gtin_14(digits) if len(code) in UPC_E_LENGTHS else None
    return (digits, upc_e) if upc_e is not None else (None, None)


def filled(digits: str) -> str:
    """Return a number of goods without leading zeros, filled up to 8 or 13 digits with them."""
    significant = digits.lstrip("0")
    return significant.zfill(8 if len(significant) <= 8 else 13)


def clean_portions(portions: Iterable[tuple[str | None, Any]], unit: str) -> list[dict[str, Any]]:
    """Return portions as `Food.portions` has them: each name once, without the one of 100 g."""
    found: dict[str, float] = {}
    for text, amount in portions:
        name, grams = clean_name(text), to_cents(amount)
        if name is None or grams is None:
            continue
        is_new = name not in found and name.replace(" ", "").lower() != f"100{unit}"
        if CENT <= grams <= MAX_GRAMS and is_new:
            found[name] = float(grams)
        if len(found) == MAX_PORTIONS:
            break
    return [{"name": name, "grams": grams} for name, grams in found.items()]
