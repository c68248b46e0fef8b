"""Open Food Facts: its dump of JSON lines, the deltas of that, and its tables.

The site publishes `openfoodfacts-products.jsonl.gz`, one product a line; for 14 days each the
changes of a day, `data/delta/openfoodfacts_products_{from}_{to}.json.gz`, which are such lines as
well and can't tell what was deleted; and `en.openfoodfacts.org.products.csv.gz`
(https://world.openfoodfacts.org/data). A search on the site exports a table of its own.

Nutrients stand in one of two ways. Since schema 1003, `nutrition` has an `aggregated_set` in
standard units, and the `input_sets` that it was made from, the best first (ProductOpener's
Nutrition.pm). Before, `nutriments` had `fat_100g` in grams (energy in kJ), worked out from
`fat_value` in the unit `fat_unit`, per 100 g or a serving as `nutrition_data_per` says
(https://static.openfoodfacts.org/data/data-fields.txt). A table's columns are named as these are.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import IO, Any

import orjson

from catalog.formats.files import BrokenFile, Progress, opened
from catalog.models import Source
from catalog.records import (
    KJ_PER_KCAL,
    MAX_SOURCE_ID_LENGTH,
    Record,
    Unreadable,
    clean_language,
    filled,
    to_number,
)
from catalog.words import name_key
from products import gtin

SOURCE = Source(
    source="openfoodfacts",
    name="Open Food Facts",
    licence="Open Database License (ODbL) 1.0; contents: Database Contents License (DbCL) 1.0",
    url="https://world.openfoodfacts.org",
)
# Products have up to about 1 MB.
MAX_LINE = 16 * 1024 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# What its nutrients are called; ours by the names of `NUTRIENTS`.
NAMES = {
    "protein": "proteins",
    "carbs": "carbohydrates",
    "fat": "fat",
    "fiber": "fiber",
    "sugars": "sugars",
    "saturated_fat": "saturated-fat",
    "salt": "salt",
}
KCAL, KJ, ENERGY, SODIUM, ALCOHOL = "energy-kcal", "energy-kj", "energy", "sodium", "alcohol"
ENERGIES = (KCAL, KJ, ENERGY)
READ = (*NAMES.values(), *ENERGIES, SODIUM, ALCOHOL)
# The columns of the old schema, by their kind.
COLUMNS_OF = {
    kind: {name: f"{name}_{kind}" for name in READ} for kind in ("100g", "serving", "value")
}
# Salt is sodium times 2.5: Regulation (EU) No 1169/2011, annex I.
SALT_OF_SODIUM = 2.5
# Grams of 1 ml of alcohol at 20 °C.
DENSITY_OF_ALCOHOL = 0.789
# By which a value is multiplied to be in kcal, kJ, % vol or grams.
FACTORS = {
    (KCAL, "kcal"): 1.0,
    (KCAL, "kj"): 1 / KJ_PER_KCAL,
    (ALCOHOL, "% vol"): 1.0,
    (ALCOHOL, "%"): 1.0,
    **{(name, "kj"): 1.0 for name in (KJ, ENERGY)},
    **{(name, "kcal"): KJ_PER_KCAL for name in (KJ, ENERGY)},
    **{
        (name, unit): factor
        for name in (*NAMES.values(), SODIUM)
        for unit, factor in (("g", 1.0), ("mg", 1e-3), ("µg", 1e-6), ("mcg", 1e-6))
    },
}
# Amounts as people write them: the unit, and how many of it there are in one.
UNITS = {
    **dict.fromkeys(("g", "gr", "grm", "gram", "grams", "gramm", "г"), ("g", 1)),
    **dict.fromkeys(("grammes", "gramme", "gramos"), ("g", 1)),
    **dict.fromkeys(("kg", "кг"), ("g", 1000)),
    **dict.fromkeys(("ml", "mlt", "мл"), ("ml", 1)),
    "cl": ("ml", 10),
    "dl": ("ml", 100),
    **dict.fromkeys(("l", "л", "litre", "liter", "litres", "liters", "litro"), ("ml", 1000)),
}
AMOUNT = re.compile(
    rf"(?<![\d.,])(\d+(?:[.,]\d+)?)\s*({'|'.join(sorted(UNITS, key=len, reverse=True))})\b", re.I
)
# Ounces as the United States' USDA writes them.
OUNCES = (re.compile(r"\bONZ\b", re.I), "oz"), (re.compile(r"\bOZA\b", re.I), "fl oz")
# "1 cup (240 ml)", or the other way round.
IN_PARENTHESES = re.compile(r"^(.*?)\s*\(([^()]*)\)\s*$")
# A serving, in grams or ml, from which values per serving are worked out per 100. From less, the
# rounding of a label would become all of the value.
MIN_SERVING, MAX_SERVING = 1, 1000
# Of what amount the values of a set are: `per`.
AMOUNTS_OF_SETS = {
    "100g": (100.0, "g"),
    "100ml": (100.0, "ml"),
    "1kg": (1000.0, "g"),
    "1l": (1000.0, "ml"),
}
ESTIMATE = "estimate"
# Names of columns from which a table is known to be one of Open Food Facts.
CODE, NAME_COLUMN = "code", re.compile("(product|generic)_name(_[a-z]{2})?")
# Other columns that are read.
COLUMNS = re.compile(
    r"code|lang|lc|brands|quantity|product_quantity_unit|unique_scans_n|last_modified_t|countries"
    r"|countries_tags|serving_size|serving_quantity|serving_quantity_unit|nutrition_data_per"
    r"|(product|generic)_name(_[a-z]{2})?"
    r"|tags_sources\.(brands|countries)\.[^.]+\.tags"
    rf"|({'|'.join(READ)})_(100g|serving|value|unit)"
    r"|nutrition\.input_sets(\.[^.]+){4,6}"
)

Product = dict[str, Any]


def read(path: str, progress: Progress) -> Iterator[Record | Unreadable]:
    """Yield the products of a file; see `catalog.formats`."""
    with opened(path, progress) as file:
        lines = Lines(file, path)
        first = next(lines, None)
        while first is not None and not first.strip():
            first = next(lines, None)
        if first is None:
            raise BrokenFile(f"{path} is empty.")
        first = first.removeprefix(BYTE_ORDER_MARK)
        if first.lstrip().startswith(b"{"):
            yield from read_json(first, lines)
        else:
            yield from read_table(header_of(first, path), lines)


class Lines:
    """The lines of a file, which may have none: a longer one than any product's is cut.

    Attributes:
        number: of the last line.
        is_whole: whether the last line has its end.
    """

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.file = file
        self.path = path
        self.number = 0
        self.is_whole = True

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> bytes:
        line = self.file.readline(MAX_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        self.is_whole = line.endswith(b"\n")
        while not self.is_whole and (more := self.file.readline(MAX_LINE)):
            self.is_whole = more.endswith(b"\n")
        return line

    def end(self) -> BrokenFile:
        """Return what is to be raised where the last line is cut off."""
        return BrokenFile(f"{self.path} ends too early, in line {self.number}.")


def read_json(first: bytes, lines: Lines) -> Iterator[Record | Unreadable]:
    """Yield the products of JSON lines."""
    line: bytes | None = first
    while line is not None:
        place = f"line {lines.number}"
        if not line.strip():
            yield Unreadable("empty line", place)
        else:
            try:
                product = parsed(line)
            except (ValueError, RecursionError) as error:
                if not lines.is_whole:
                    raise lines.end() from None
                is_text = not isinstance(error, UnicodeDecodeError)
                yield Unreadable("not JSON" if is_text else "not UTF-8", place)
            else:
                if isinstance(product, dict):
                    yield to_record(product, place)
                else:
                    yield Unreadable("no object", place)
        line = next(lines, None)


def parsed(line: bytes) -> Any:
    """Return the value of a line of JSON. NaN and halves of surrogate pairs are let through.

    Raises:
        ValueError, RecursionError: it is not JSON, or not UTF-8.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line.decode())


@dataclass
class Header:
    """The columns of a table.

    Attributes:
        names: of all columns.
        separator: what stands between them.
        is_quoted: whether quotes around a field mean something. The dump has none that do.
    """

    names: list[str]
    separator: str
    is_quoted: bool


def header_of(line: bytes, path: str) -> Header:
    """Return the header in the first line of a table.

    Raises:
        BrokenFile: it is none of Open Food Facts.
    """
    text = line.decode(errors="replace").strip("\r\n")
    for separator in "\t,;":
        names = [name.strip('"') for name in text.split(separator)]
        if CODE in names and any(map(NAME_COLUMN.fullmatch, names)):
            is_dump = separator == "\t" and any(name.endswith("_100g") for name in names)
            return Header(names, separator, not is_dump)
    raise BrokenFile(
        f"{path} is not of Open Food Facts: it begins neither with JSON nor with a header that has "
        "the columns code and product_name."
    )


def read_table(header: Header, lines: Lines) -> Iterator[Record | Unreadable]:
    """Yield the products of a table."""
    rows = quoted_rows(lines, header.separator) if header.is_quoted else plain_rows(lines)
    wanted = [i for i, name in enumerate(header.names) if COLUMNS.fullmatch(name)]
    pick = itemgetter(*wanted)
    names = pick(header.names)
    cut_off: Unreadable | None = None
    for place, row in rows:
        if cut_off is not None:
            yield cut_off
            cut_off = None
        if isinstance(row, str):
            yield Unreadable(row, place)
        elif len(row) != len(header.names):
            cut_off = Unreadable("wrong number of columns", place)
        else:
            given = zip(names, pick(row), strict=True)
            yield to_record(nested({name: text for name, text in given if text}), place)
    if cut_off is not None:
        if not lines.is_whole:
            raise lines.end()
        yield cut_off


# The fields of a row, or why it can't be read.
Row = list[str] | str


def plain_rows(lines: Lines) -> Iterator[tuple[str, Row]]:
    """Yield the places and fields of rows without quotes."""
    for line in lines:
        place = f"line {lines.number}"
        if not line.strip():
            yield place, "empty line"
            continue
        try:
            yield place, line.decode().rstrip("\r\n").split("\t")
        except UnicodeDecodeError:
            yield place, "not UTF-8"


def quoted_rows(lines: Lines, separator: str) -> Iterator[tuple[str, Row]]:
    """Yield the places and fields of rows with quotes, in which there may be ends of lines."""
    # Bytes that are no UTF-8 come out as halves of surrogate pairs, which can't be encoded.
    reader = csv.reader(
        (line.decode(errors="surrogateescape") for line in lines), delimiter=separator
    )
    while True:
        place = f"line {lines.number + 1}"
        try:
            row = next(reader)
            "".join(row).encode()
        except StopIteration:
            return
        except csv.Error:
            yield place, "not CSV"
        except UnicodeEncodeError:
            yield place, "not UTF-8"
        else:
            yield place, row or "empty line"


def nested(row: dict[str, str]) -> Product:
    """Return a row of a table as a product in JSON would be."""
    product: Product = {**row, "nutriments": row}
    sets: dict[str, dict[str, Any]] = {}
    for column, text in row.items():
        if column.startswith("nutrition.input_sets."):
            # nutrition.input_sets.packaging.as_sold.100g.nutrients.fat.value
            _, _, source, preparation, per, *keys = column.split(".")
            found = sets.setdefault(
                f"{source}.{preparation}.{per}",
                {"source": source, "preparation": preparation, "per": per, "nutrients": {}},
            )
            if keys[0] == "nutrients" and len(keys) == 3:
                found["nutrients"].setdefault(keys[1], {})[keys[2]] = text
            elif len(keys) == 1:
                found[keys[0]] = text
        elif column.startswith("tags_sources."):
            # tags_sources.brands.packaging.tags
            product.setdefault(column.split(".")[1], text)
    if sets:
        product["nutrition"] = {"input_sets": list(sets.values())}
    return product


def to_record(product: Product, place: str) -> Record | Unreadable:
    """Return the record of a product in JSON, or of a table's row in the form of one."""
    code = text_of(product.get("code")) or text_of(product.get("_id"))
    name, language = name_of(product)
    brand = brand_of(product)
    source_id = source_id_of(code, f"{name} {brand}")
    if source_id is None:
        return Unreadable("no code", place)
    serving = serving_of(product)
    values, unit = values_of(product, serving)
    unit = unit or unit_of(product, serving)
    return Record(
        source_id=source_id,
        name=name,
        brand=brand,
        unit=unit,
        language=language,
        kcal=values.get(KCAL),
        kj=first_number(values.get(KJ), values.get(ENERGY)),
        values={
            **{ours: values.get(theirs) for ours, theirs in NAMES.items()},
            "salt": first_number(values.get("salt"), times(SALT_OF_SODIUM, values.get(SODIUM))),
        },
        alcohol=times(DENSITY_OF_ALCOHOL, values.get(ALCOHOL)),
        barcode=code,
        portions=serving.portions(unit),
        popularity=int(to_number(product.get("unique_scans_n")) or 0),
        countries=countries_of(product),
        updated_at=time_of(product.get("last_modified_t")),
        place=place,
    )


def text_of(value: Any) -> str | None:
    """Return a text without blanks around it, also of a number; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return value.strip() or None if isinstance(value, str) else None


def first_number(*values: Any) -> Any:
    """Return the first value that is a number, or None."""
    return next((value for value in values if to_number(value) is not None), None)


def times(factor: float, value: Any) -> Any:
    """Return a value as it is for 1, else the product, or None where it is no number."""
    if factor == 1:
        return value
    number = to_number(value)
    return None if number is None else factor * number


def source_id_of(code: str | None, description: str) -> str | None:
    """Return the id of a product, or None where its code has no digit.

    A code that is not made of digits, as 3.05E+12, is that of many: the description tells them
    apart.
    """
    code = gtin.compact(code or "")
    if not any(map(str.isdigit, code)):
        return None
    if code.isascii() and code.isdigit():
        return filled(code)
    return f"{code}:{name_key(description)}"[:MAX_SOURCE_ID_LENGTH]


def name_of(product: Product) -> tuple[str | None, str | None]:
    """Return a product's name and its language: the main one, else English, else any."""
    language = clean_language(text_of(product.get("lang")) or text_of(product.get("lc")))
    for kind in ("product_name", "generic_name"):
        if name := text_of(product.get(kind)):
            return name, language
        names = {
            key.removeprefix(f"{kind}_"): name
            for key, value in product.items()
            if NAME_COLUMN.fullmatch(key) and key.startswith(kind) and (name := text_of(value))
        }
        if names:
            found = min(names, key=lambda code: (code != language, code != "en", code))
            return names[found], clean_language(found)
    return None, language


def brand_of(product: Product) -> str | None:
    """Return the first of a product's brands. As a tag it is in no language: `xx:Acme`."""
    brands = product.get("brands")
    if isinstance(brands, str):
        brands = brands.split(",")
    texts = map(text_of, brands if isinstance(brands, list) else [])
    return next((text.removeprefix("xx:") for text in texts if text), None)


def countries_of(product: Product) -> list[str]:
    """Return where a product is sold, as `france` or `united-kingdom`."""
    tags = product.get("countries_tags") or product.get("countries")
    if isinstance(tags, str):
        tags = tags.split(",")
    if not isinstance(tags, list):
        return []
    # `en:france` is the tag; `France` stands in tables.
    return [
        text.lower().rpartition(":")[2].replace(" ", "-") for tag in tags if (text := text_of(tag))
    ]


def time_of(value: Any) -> datetime | None:
    """Return the time of a Unix timestamp, or None where it is none."""
    seconds = to_number(value)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError):
        return None


@dataclass(slots=True)
class Serving:
    """What a product calls a serving.

    Attributes:
        text: as on the label: "1 cup (240 ml)".
        amount: None where it is not known.
        unit: `g` or `ml`, None where it is not known.
    """

    text: str | None
    amount: float | None
    unit: str | None

    @property
    def is_usable(self) -> bool:
        """Whether values per serving can be worked out per 100."""
        return self.amount is not None and MIN_SERVING <= self.amount <= MAX_SERVING

    def portions(self, unit: str) -> list[tuple[str, float]]:
        """Return it as a portion of a product with this unit, if it can be one."""
        if self.amount is None or self.unit not in (None, unit):
            return []
        return [(self.name or f"{round(self.amount, 2):g}{unit}", self.amount)]

    @property
    def name(self) -> str | None:
        """What it is called beside its amount: "1 cup"; None if it is nothing but an amount."""
        text = self.text or ""
        if found := IN_PARENTHESES.match(text):
            # The amount is in the parentheses or before them; any other text stays whole.
            before, inside = found.groups()
            text = inside if is_amount(before) else before if is_amount(inside) else text
        # "3 PIECES | ABOUT (40 g)"
        text = text.partition("|")[0].strip(" ,;:")
        if is_amount(text):
            return None
        # Labels shout.
        text = text.lower() if text.isupper() else text
        for written, ounces in OUNCES:
            text = written.sub(ounces, text)
        return text


def is_amount(text: str) -> bool:
    """Return whether a text is empty or nothing but an amount."""
    return not any(map(str.isalpha, AMOUNT.sub("", text)))


def amounts_in(text: str | None) -> list[tuple[float, str]]:
    """Return the amounts in a text, in grams or ml."""
    found = []
    for number, name in AMOUNT.findall(text or ""):
        unit, factor = UNITS[name.lower()]
        found.append((float(number.replace(",", ".")) * factor, unit))
    return found


def serving_of(product: Product) -> Serving:
    """Return a product's serving. Its amount counts as Open Food Facts read it, if it did."""
    text = text_of(product.get("serving_size"))
    amount, unit = None, None
    amounts = amounts_in(text)
    if amounts:
        amount, unit = amounts[0]
    quantity = to_number(product.get("serving_quantity"))
    if quantity is not None and quantity > 0:
        # Of two amounts, as in "14 g (15 ml)", the unit is that of the one that was read.
        amount = quantity
        unit = next((unit for other, unit in amounts if abs(other - quantity) < 0.1), unit)
    given = product.get("serving_quantity_unit")
    return Serving(text, amount, given if given in ("g", "ml") else unit)


def unit_of(product: Product, serving: Serving) -> str:
    """Return in what a product is counted: as its package says, else its serving."""
    unit = product.get("product_quantity_unit")
    if unit in ("g", "ml"):
        return str(unit)
    amounts = amounts_in(text_of(product.get("quantity")))
    return amounts[0][1] if amounts else serving.unit or "g"


def values_of(product: Product, serving: Serving) -> tuple[dict[str, Any], str | None]:
    """Return the nutrients of 100 g or ml of a product as it is sold, and which of both.

    They are the first that have an energy. The new schema comes before the old one, of which the
    server writes no more: where both are there, the old one is what was left behind.
    """
    for values, unit in candidates(product, serving):
        if any(to_number(values.get(name)) is not None for name in ENERGIES):
            return values, unit
    return {}, None


def candidates(product: Product, serving: Serving) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yield the nutrients of each place that has some, the best first."""
    nutrition = product.get("nutrition")
    if isinstance(nutrition, dict):
        # The aggregated set is that of the prepared product where there is one (ProductOpener's
        # Nutrition.pm, `sort_sets_by_priority`): the product as it is sold is in another set then.
        sets = nutrition.get("input_sets")
        for found in (nutrition.get("aggregated_set"), *(sets if isinstance(sets, list) else ())):
            if isinstance(found, dict):
                yield values_of_set(found, serving)
    nutriments = product.get("nutriments")
    if isinstance(nutriments, dict):
        yield from candidates_of_old_schema(nutriments, product.get("nutrition_data_per"), serving)


def candidates_of_old_schema(
    nutriments: Product, per: Any, serving: Serving
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """Yield the nutrients of each kind of columns of the old schema that has an energy."""

    def given(kind: str) -> dict[str, Any]:
        columns = COLUMNS_OF[kind]
        if all(nutriments.get(columns[name]) is None for name in ENERGIES):
            return {}
        return {name: nutriments.get(column) for name, column in columns.items()}

    is_per_serving = per == "serving"
    unit = "ml" if per == "100ml" else serving.unit if is_per_serving else None
    # Worked out by Open Food Facts, from a serving of any size.
    if not is_per_serving or serving.amount is None or serving.is_usable:
        yield given("100g"), unit
    scale = 100 / serving.amount if serving.amount and serving.is_usable else None
    if scale is not None:
        yield {name: times(scale, value) for name, value in given("serving").items()}, serving.unit
    # Only here the unit is that of the value.
    if not is_per_serving or scale is not None:
        factor = scale if is_per_serving and scale is not None else 1
        yield (
            {
                name: converted(name, value, nutriments.get(f"{name}_unit"), factor)
                for name, value in given("value").items()
            },
            unit,
        )


def values_of_set(found: Product, serving: Serving) -> tuple[dict[str, Any], str | None]:
    """Return the nutrients of a set of the new schema, or none where they can't count."""
    nutrients = found.get("nutrients")
    if found.get("preparation") == "prepared" or not isinstance(nutrients, dict):
        return {}, None
    per = str(found.get("per"))
    if per in AMOUNTS_OF_SETS:
        amount, unit = AMOUNTS_OF_SETS[per]
    else:
        given = to_number(found.get("per_quantity"))
        serving = serving if given is None else Serving(None, given, found.get("per_unit"))
        if not serving.is_usable or serving.unit not in ("g", "ml"):
            return {}, None
        amount, unit = serving.amount or 0, serving.unit
    values = {}
    for name in READ:
        value = nutrients.get(name)
        if isinstance(value, dict) and ESTIMATE not in (found.get("source"), value.get("source")):
            values[name] = converted(name, value.get("value"), value.get("unit"), 100 / amount)
    return values, unit


def converted(name: str, value: Any, unit: Any, scale: float) -> Any:
    """Return a nutrient's value in the unit that it has here, or None where it can't be."""
    factor = FACTORS.get((name, str(unit).lower())) if unit else 1
    return None if factor is None else times(factor * scale, value)
