"""The format `fdc`: the CSVs of USDA FoodData Central, in a folder or as the ZIP that USDA offers.

FoodData Central spreads a food over several files, in any order. What `food.csv` refers to is put
into a temporary SQLite database first, on disk, so that memory does not grow with the files. Then
`food.csv` is read, and each of its foods is looked up there.

Source of the columns: "Download Field Descriptions", https://fdc.nal.usda.gov/download-datasets.
"""

from __future__ import annotations

import io
import sqlite3
import string
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, closing, contextmanager
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from catalog.formats.files import BUFFER, BrokenFile, Progress, opened
from catalog.formats.rows import Rows
from catalog.formats.table import to_time
from catalog.models import Source
from catalog.records import Record, Unreadable, to_number

SOURCE = Source(
    source="fdc",
    name="USDA FoodData Central",
    licence="CC0 1.0",
    url="https://fdc.nal.usda.gov/",
)
REQUIRED_FILES = ("food.csv", "food_nutrient.csv")
BRANDED = "branded_food"
# Other types are samples that were bought and analysed for a Foundation food.
FOOD_TYPES = ("foundation_food", "sr_legacy_food", "survey_fndds_food", BRANDED)
# Ids of nutrients; the download of the Survey foods alone has their numbers in place of their ids.
NUTRIENT_IDS = {
    "1008": "kcal",
    "208": "kcal",
    # By Atwater's specific and general factors: the only energy of some Foundation foods.
    "2048": "kcal_specific",
    "958": "kcal_specific",
    "2047": "kcal_general",
    "957": "kcal_general",
    "1062": "kj",
    "268": "kj",
    "1003": "protein",
    "203": "protein",
    "1005": "carbs",
    "205": "carbs",
    "1004": "fat",
    "204": "fat",
    "1085": "fat_nlea",
    "298": "fat_nlea",
    "1079": "fiber",
    "291": "fiber",
    "2000": "sugars",
    "269": "sugars",
    "1063": "sugars_nlea",
    "269.3": "sugars_nlea",
    "1258": "saturated_fat",
    "606": "saturated_fat",
    "1093": "sodium_mg",
    "307": "sodium_mg",
    "1018": "alcohol",
    "221": "alcohol",
}
NUTRIENTS = tuple(dict.fromkeys(NUTRIENT_IDS.values()))
PLACES = {key: NUTRIENTS.index(name) for key, name in NUTRIENT_IDS.items()}
# Salt is sodium times 2.5: Regulation (EU) No 1169/2011, annex I.
SODIUM_MG_PER_SALT = 400
# Units of a serving, as their owners write them: the unit of the food, and how many of it.
SERVING_UNITS = {
    "g": ("g", 1),
    "gm": ("g", 1),
    "grm": ("g", 1),
    "mg": ("g", 1000),
    "ml": ("ml", 1),
    "mlt": ("ml", 1),
}
# GS1's codes of units, which some household servings have.
HOUSEHOLD_UNITS = {"onz": "oz", "oza": "fl oz", "grm": "g", "mlt": "ml"}
UNKNOWN_UNIT = "undetermined"
UNKNOWN_QUANTITY = "Quantity not specified"
SCHEMA = f"""
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -65536;
    CREATE TABLE branded (
        fdc_id INTEGER PRIMARY KEY, brand, gtin, serving_size, serving_unit, serving_name
    );
    CREATE TABLE outdated (fdc_id INTEGER PRIMARY KEY);
    CREATE TABLE portions (fdc_id INTEGER, position INTEGER, grams, name);
    CREATE TABLE nutrients (fdc_id INTEGER PRIMARY KEY, {", ".join(NUTRIENTS)});
"""


def read(path: str, progress: Progress) -> Iterator[Record | Unreadable]:
    """Yield the Foundation, SR Legacy, Survey and Branded foods of a download.

    Of a branded food that was published several times, only the newest is yielded. What can't be
    read of other files than `food.csv` is left out without a word.
    """
    with ExitStack() as stack:
        files = stack.enter_context(_files(path, progress))
        folder = stack.enter_context(TemporaryDirectory(prefix="fdc-"))
        database = stack.enter_context(closing(sqlite3.connect(f"{folder}/fdc.sqlite3")))
        database.executescript(SCHEMA)
        _load_nutrients(database, files)
        _load_branded(database, files)
        _load_portions(database, files)
        yield from _foods(database, files)


def is_id(text: str) -> bool:
    """Return whether a text can be an fdc_id, an integer that SQLite can keep."""
    return text.isascii() and text.isdigit() and len(text) <= 18


# Opens a file of the download by its name; None if it has none of this name.
Files = Callable[[str], "IO[bytes] | None"]


class _Counted(io.FileIO):
    """A file that says how many bytes were read from it."""

    def __init__(self, path: str, progress: Progress) -> None:
        super().__init__(path)
        self.progress = progress

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        self.progress(count)
        return count


@contextmanager
def _files(path: str, progress: Progress) -> Iterator[Files]:
    """Open a folder or a ZIP, in which the files may lie in a folder.

    Raises:
        BrokenFile: it is neither of the two, is damaged, or lacks a required file.
    """
    if Path(path).is_dir():
        found = {file.name.removesuffix(".gz"): str(file) for file in Path(path).iterdir()}
        _check_required(path, found)
        with ExitStack() as stack:

            def from_folder(name: str) -> IO[bytes] | None:
                if name not in found:
                    return None
                return stack.enter_context(opened(found[name], progress))

            yield from_folder
        return
    try:
        with (
            io.BufferedReader(_Counted(path, progress), BUFFER) as file,
            zipfile.ZipFile(file) as archive,
        ):
            members = {Path(member).name: member for member in archive.namelist()}
            _check_required(path, members)

            def from_archive(name: str) -> IO[bytes] | None:
                return archive.open(members[name]) if name in members else None

            yield from_archive
    except EOFError as error:
        raise BrokenFile(f"{path} ends too early.") from error
    except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise BrokenFile(f"{path} is no ZIP, or damaged.") from error
    except OSError as error:
        raise BrokenFile(f"{path} can't be read: {error.strerror or error}.") from error


def _check_required(path: str, names: Container[str]) -> None:
    for name in REQUIRED_FILES:
        if name not in names:
            raise BrokenFile(f"{path} has no {name}.")


def _rows(files: Files, name: str, columns: str) -> Iterator[Any]:
    """Yield some columns of a file's rows, as tuples, or what is wrong with a row.

    A column that the file lacks is empty, and so is a file that is not there.

    Raises:
        BrokenFile: the file ends too early, or has no fdc_id.
    """
    file = files(name)
    if file is None:
        return
    rows = Rows(io.TextIOWrapper(file, "utf-8-sig", "replace", newline=""), name)
    places = {column: place for place, column in enumerate(rows.header)}
    if "fdc_id" in columns and "fdc_id" not in places:
        raise BrokenFile(f"{name} has no column fdc_id.")
    chosen = itemgetter(*(places.get(column, -1) for column in columns.split()))
    for row in rows:
        if isinstance(row, Unreadable):
            row.place = f"{name}, {row.place}"
            yield row
        else:
            row.append("")
            yield chosen(row)


def _whole_rows(files: Files, name: str, columns: str) -> Iterator[Any]:
    return (row for row in _rows(files, name, columns) if not isinstance(row, Unreadable))


def _load_nutrients(database: sqlite3.Connection, files: Files) -> None:
    """Keep one row a food, with the nutrients that we know.

    In the full download the rows of a food stand together; where they don't, they are merged.
    """
    names = ", ".join(NUTRIENTS)
    merged = ", ".join(f"{name} = coalesce({name}, excluded.{name})" for name in NUTRIENTS)
    database.executemany(
        f"INSERT INTO nutrients (fdc_id, {names})"  # noqa: S608 (names of our own)
        f" VALUES (?{', ?' * len(NUTRIENTS)})"
        f" ON CONFLICT (fdc_id) DO UPDATE SET {merged}",
        _nutrients_of_foods(files),
    )


def _nutrients_of_foods(files: Files) -> Iterator[list[str | None]]:
    """Yield the id of a food and its amounts in the order of `NUTRIENTS`; a food may come again."""
    columns = "fdc_id nutrient_id amount"
    current = ""
    amounts: list[str | None] = []
    for fdc_id, nutrient_id, amount in _whole_rows(files, "food_nutrient.csv", columns):
        place = PLACES.get(nutrient_id)
        if place is None:
            continue
        if fdc_id != current:
            if is_id(current):
                yield [current, *amounts]
            current, amounts = fdc_id, [None] * len(NUTRIENTS)
        amounts[place] = amount or None
    if is_id(current):
        yield [current, *amounts]


def _load_branded(database: sqlite3.Connection, files: Files) -> None:
    """Keep what `branded_food.csv` says, and which of its foods were published anew since.

    A food that its owner changes gets a new id, which is greater than the earlier ones.
    """
    columns = (
        "fdc_id brand_name brand_owner gtin_upc serving_size serving_size_unit"
        " household_serving_fulltext"
    )
    database.executemany(
        "INSERT OR REPLACE INTO branded VALUES (?, ?, ?, ?, ?, ?)",
        (
            (fdc_id, brand.strip() or owner, gtin, *serving)
            for fdc_id, brand, owner, gtin, *serving in _whole_rows(
                files, "branded_food.csv", columns
            )
            if is_id(fdc_id)
        ),
    )
    database.execute(
        """
        INSERT INTO outdated SELECT fdc_id FROM (
            SELECT fdc_id, max(fdc_id) OVER (PARTITION BY ltrim(gtin, '0')) AS newest
            FROM branded WHERE ltrim(gtin, '0') <> ''
        ) WHERE fdc_id < newest
        """
    )


def _load_portions(database: sqlite3.Connection, files: Files) -> None:
    """Keep the portions that have a name."""
    units: dict[str, str] = dict(_whole_rows(files, "measure_unit.csv", "id name"))
    columns = "fdc_id seq_num gram_weight amount measure_unit_id portion_description modifier"
    database.executemany(
        "INSERT INTO portions VALUES (?, CAST(? AS INTEGER), ?, ?)",
        (
            (fdc_id, position, grams, portion_name(amount, units.get(unit, ""), *texts))
            for fdc_id, position, grams, amount, unit, *texts in _whole_rows(
                files, "food_portion.csv", columns
            )
            if is_id(fdc_id)
        ),
    )
    database.execute("DELETE FROM portions WHERE name = ''")
    database.execute("CREATE INDEX portions_of_food ON portions (fdc_id, position)")


def portion_name(amount: str, unit: str, description: str, modifier: str) -> str:
    """Return the name of a portion, as "1 cup, chopped"; empty where it says nothing.

    Survey foods have a description, and a code as modifier; SR Legacy foods have "cup, chopped" as
    modifier and no unit; Foundation foods have "cup" as unit and "chopped" as modifier.
    """
    if description:
        return "" if description == UNKNOWN_QUANTITY else description
    if unit.lower() == UNKNOWN_UNIT:
        unit = ""
    what = ", ".join(filter(None, (unit, modifier)))
    return f"{amount.removesuffix('.0') or 1} {what}" if what else ""


def _foods(database: sqlite3.Connection, files: Files) -> Iterator[Record | Unreadable]:
    columns = "fdc_id data_type description publication_date"
    for row in _rows(files, "food.csv", columns):
        if isinstance(row, Unreadable):
            yield row
            continue
        fdc_id, data_type, description, published = row
        if data_type not in FOOD_TYPES:
            continue
        if not is_id(fdc_id):
            yield Unreadable("no fdc_id", f"food.csv, {description[:50]}")
            continue
        record = Record(
            source_id=fdc_id,
            name=description,
            language="en",
            updated_at=to_time(published),
            place=f"food.csv, fdc_id {fdc_id}",
        )
        _add_nutrients(record, database)
        if data_type != BRANDED:
            record.is_generic = True
            record.portions = database.execute(
                "SELECT name, grams FROM portions WHERE fdc_id = ? ORDER BY position", (fdc_id,)
            ).fetchall()
        elif database.execute("SELECT 1 FROM outdated WHERE fdc_id = ?", (fdc_id,)).fetchone():
            continue
        else:
            record.name = readable(description)
            _add_brand(record, database)
        yield record


def _add_nutrients(record: Record, database: sqlite3.Connection) -> None:
    row = database.execute(
        "SELECT * FROM nutrients WHERE fdc_id = ?", (record.source_id,)
    ).fetchone()
    if row is None:
        return
    amounts: dict[str, str | None] = dict(zip(NUTRIENTS, row[1:], strict=True))

    def first(*names: str) -> str | None:
        return next((amounts[name] for name in names if amounts[name] is not None), None)

    record.kcal = first("kcal", "kcal_specific", "kcal_general")
    record.kj = amounts["kj"] if record.kcal is None else None
    record.alcohol = amounts["alcohol"]
    sodium = to_number(amounts["sodium_mg"])
    record.values = {
        "protein": amounts["protein"],
        "carbs": amounts["carbs"],
        "fat": first("fat", "fat_nlea"),
        "fiber": amounts["fiber"],
        "sugars": first("sugars", "sugars_nlea"),
        "saturated_fat": amounts["saturated_fat"],
        "salt": None if sodium is None else sodium / SODIUM_MG_PER_SALT,
    }


def _add_brand(record: Record, database: sqlite3.Connection) -> None:
    row = database.execute(
        "SELECT brand, gtin, serving_size, serving_unit, serving_name FROM branded"
        " WHERE fdc_id = ?",
        (record.source_id,),
    ).fetchone()
    if row is None:
        return
    record.brand, record.barcode, size, unit, name = row
    if (known := SERVING_UNITS.get(unit.strip().lower())) is not None:
        record.unit, divisor = known
        number = to_number(size)
        record.portions = [(serving_name(name), number and number / divisor)]


def serving_name(text: str) -> str:
    """Return the name of a branded food's serving, in small letters if it is in capitals."""
    if text.isupper():
        text = " ".join(HOUSEHOLD_UNITS.get(word, word) for word in text.lower().split())
    return text.strip() or "serving"


def readable(name: str) -> str:
    """Return a name in capitals, as most branded foods have it, with one to start each word."""
    return string.capwords(name) if name.isupper() else name
