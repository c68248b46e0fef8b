"""The format `csv`: one table of foods, for national tables and an operator's own foods.

`export_catalog` writes it too, so that a catalog can move to another server.

UTF-8, with or without a byte order mark, gzipped or not; commas or semicolons between columns, text
in double quotes where it has some of them itself. The first line names the columns, in any order:

| column | what it holds |
|---|---|
| `source_id` | required: the food's id in its source, to 64 characters, the same in every edition |
| `name` | required |
| `brand` | |
| `unit` | `g` (the default) or `ml`: amounts are per 100 of it |
| `language` | the name's, in two letters |
| `kcal_100g`, `kj_100g` | energy; one of the two is required |
| `protein_100g`, `carbs_100g`, `fat_100g`, `fiber_100g`, `sugars_100g`, `saturated_fat_100g`, \
`salt_100g` | grams |
| `alcohol_100g` | grams; not stored, but it explains the energy |
| `barcode` | |
| `serving_name`, `serving_grams` | one portion, the one that the source calls a serving |
| `portions` | more of them: `1 cup=240; 1 tbsp=15` |
| `doubtful` | `1` if its energy is known to be wrong, `0` if it is known to be right; else the \
macros tell |
| `popularity` | how many people scanned or logged it, an integer |
| `generic` | `1` for a food of no brand, else `0` or empty |
| `updated_at` | ISO 8601, UTC where no zone is given |
| `countries` | two letters each, separated by blanks |

What is empty is unknown. Decimals have a point, or a comma where semicolons separate the columns.
Other columns are ignored.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, compress
from operator import itemgetter
from typing import Any, Protocol

from catalog.formats.files import BrokenFile, Progress, opened
from catalog.formats.rows import Rows
from catalog.models import Food, Source
from catalog.records import KJ_PER_KCAL, MAXIMA, Record, Unreadable, to_number
from products.nutrients import COLUMNS_100G

# The caller names the source.
SOURCE: Source | None = None
ENERGIES = ("kcal_100g", "kj_100g")
COLUMNS = (
    "source_id",
    "name",
    "brand",
    "unit",
    "language",
    *ENERGIES,
    "alcohol_100g",
    "barcode",
    "serving_name",
    "serving_grams",
    "portions",
    "popularity",
    "generic",
    "doubtful",
    "updated_at",
    "countries",
)
NUTRIENT_NAMES = tuple(MAXIMA)
NUTRIENT_COLUMNS = tuple(f"{name}_100g" for name in NUTRIENT_NAMES)
UNITS = ("g", "ml", "")
MAX_ID_LENGTH: int = Food._meta.get_field("source_id").max_length or 0
FLAGS = {"1": True, "0": False}
# What is written of a food: columns of the file, and what they are called in the database.
WRITTEN = {
    **{name: name for name in ("source_id", "name", "brand", "unit", "language", *COLUMNS_100G)},
    **{name: name for name in ("barcode", "portions", "popularity")},
    "generic": "is_generic",
    "doubtful": "doubtful",
    "updated_at": "source_updated_at",
}


class Writable(Protocol):
    def write(self, text: str, /) -> Any: ...


def read(path: str, progress: Progress) -> Iterator[Record | Unreadable]:
    """Yield the foods of a table. See the module's docstring for its form."""
    with opened(path, progress) as file:
        lines = io.TextIOWrapper(file, "utf-8-sig", newline="")
        try:
            yield from _records(lines, path)
        except UnicodeDecodeError as error:
            raise BrokenFile(f"{path} is not in UTF-8.") from error


def _records(lines: Iterator[str], path: str) -> Iterator[Record | Unreadable]:
    first = next(lines, "")
    delimiter = ";" if first.count(";") > first.count(",") else ","
    rows = Rows(chain([first], lines), path, delimiter)
    present = set(rows.header)
    for required in ("source_id", "name"):
        if required not in present:
            raise BrokenFile(f"{path} has no column {required}.")
    if present.isdisjoint(ENERGIES):
        raise BrokenFile(f"{path} has neither of the columns {' and '.join(ENERGIES)}.")
    # A column that is not there is read from an empty one behind the last.
    places = {name: place for place, name in enumerate(rows.header)}
    own = itemgetter(*(places.get(name, -1) for name in COLUMNS))
    nutrients = itemgetter(*(places.get(name, -1) for name in NUTRIENT_COLUMNS))
    for row in rows:
        if isinstance(row, Unreadable):
            yield row
            continue
        row.append("")
        yield _record(own(row), nutrients(row), rows.place)


def _record(own: tuple[str, ...], nutrients: tuple[str, ...], place: str) -> Record | Unreadable:
    (
        source_id,
        name,
        brand,
        unit,
        language,
        kcal,
        kj,
        alcohol,
        barcode,
        serving_name,
        serving_grams,
        portions,
        popularity,
        generic,
        doubtful,
        updated_at,
        countries,
    ) = own
    if not source_id:
        return Unreadable("no source_id", place)
    if len(source_id) > MAX_ID_LENGTH:
        return Unreadable(f"source_id over {MAX_ID_LENGTH} characters", place)
    if unit not in UNITS:
        return Unreadable("unit is neither g nor ml", place, source_id)
    serving = [(serving_name or "serving", serving_grams)] if serving_grams else ()
    return Record(
        source_id=source_id,
        name=name,
        brand=brand,
        unit=unit or "g",
        language=language.lower() or None,
        kcal=kcal or None,
        kj=kj or None,
        values=dict(compress(zip(NUTRIENT_NAMES, nutrients, strict=True), nutrients)),
        alcohol=alcohol or None,
        barcode=barcode,
        portions=[*serving, *to_portions(portions)] if portions else serving,
        is_generic=generic == "1",
        popularity=int(popularity) if popularity.isdecimal() else 0,
        doubtful=FLAGS.get(doubtful),
        countries=countries.split() if countries else (),
        updated_at=to_time(updated_at) if updated_at else None,
        place=place,
    )


def to_portions(text: str) -> Iterator[tuple[str, str]]:
    """Yield names and grams of `1 cup=240; 1 tbsp=15`. A name may have either sign itself."""
    name: list[str] = []
    for part in text.split(";"):
        end, equals, grams = part.rpartition("=")
        if equals and to_number(grams) is not None:
            yield ";".join([*name, end]).strip(), grams.strip()
            name = []
        else:
            name.append(part)


def write(foods: Iterable[Mapping[str, Any]], file: Writable) -> int:
    """Write foods as a table of this form, and return how many they are.

    Args:
        foods: rows of the database with the columns in `WRITTEN`.
    """
    count = 0
    rows = csv.writer(file, lineterminator="\n")
    # kJ as well: where both say the same, a reader takes it as it is.
    rows.writerow([*WRITTEN, "kj_100g"])
    for food in foods:
        values = {column: food[name] for column, name in WRITTEN.items()}
        values["portions"] = "; ".join(
            f"{portion['name']}={portion['grams']}" for portion in values["portions"]
        )
        for flag in ("generic", "doubtful"):
            values[flag] = int(values[flag])
        if values["updated_at"]:
            values["updated_at"] = values["updated_at"].isoformat()
        rows.writerow([*values.values(), round(values["kcal_100g"] * KJ_PER_KCAL, 2)])
        count += 1
    return count


@lru_cache(maxsize=1000)
def to_time(text: str) -> datetime | None:
    """Return a time in ISO 8601, which is UTC where no zone is given; None for anything else."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
