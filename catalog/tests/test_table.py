from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.formats import table
from catalog.formats.files import BrokenFile
from catalog.records import Record, Unreadable, clean_food

HEADER = "source_id,name,kcal_100g"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "foods.csv"


def read(file: Path, text: str | bytes) -> list[Record | Unreadable]:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(table.read(str(file), lambda size: None))


def record(file: Path, text: str | bytes) -> Record:
    (found,) = read(file, text)
    assert isinstance(found, Record)
    return found


def test_every_column_is_read(file: Path) -> None:
    columns = {
        "source_id": "A1",
        "name": "Cider, dry",
        "brand": "Orchard",
        "unit": "ml",
        "language": "EN",
        "kcal_100g": "36",
        "kj_100g": "151",
        "protein_100g": "0.1",
        "carbs_100g": "2.6",
        "fat_100g": "0",
        "fiber_100g": "0.2",
        "sugars_100g": "2.5",
        "saturated_fat_100g": "0.01",
        "salt_100g": "0.02",
        "alcohol_100g": "3.8",
        "barcode": "4006381333931",
        "serving_name": "1 glass",
        "serving_grams": "250",
        "portions": "1 bottle=330; 1 pint=568",
        "popularity": "7",
        "generic": "1",
        "doubtful": "0",
        "updated_at": "2026-03-01T12:00:00+02:00",
        "countries": "de fr",
    }
    values = ",".join(f'"{value}"' for value in columns.values())
    assert record(file, f"{','.join(columns)}\n{values}\n") == Record(
        source_id="A1",
        name="Cider, dry",
        brand="Orchard",
        unit="ml",
        language="en",
        kcal="36",
        kj="151",
        values={
            "protein": "0.1",
            "carbs": "2.6",
            "fat": "0",
            "fiber": "0.2",
            "sugars": "2.5",
            "saturated_fat": "0.01",
            "salt": "0.02",
        },
        alcohol="3.8",
        barcode="4006381333931",
        portions=[("1 glass", "250"), ("1 bottle", "330"), ("1 pint", "568")],
        is_generic=True,
        doubtful=False,
        popularity=7,
        countries=["de", "fr"],
        updated_at=datetime(2026, 3, 1, 10, tzinfo=UTC),
        place="line 2",
    )


def test_documented_columns_are_those_that_are_read() -> None:
    documented = {
        name
        for line in (table.__doc__ or "").splitlines()
        if line.startswith("| `")
        for name in line.split("|")[1].replace("`", "").replace(" ", "").split(",")
    }
    assert documented == {*table.COLUMNS, *table.NUTRIENT_COLUMNS}


def test_columns_may_stand_in_any_order_beside_others(file: Path) -> None:
    found = record(file, "note,kcal_100g,Name,source_id\nx,52,Apple,1\n")
    assert (found.source_id, found.name, found.kcal) == ("1", "Apple", "52")


def test_what_is_empty_is_unknown(file: Path) -> None:
    found = record(file, f"{HEADER},fat_100g,brand,updated_at\n1,Apple,52,,,\n")
    assert (found.values, found.updated_at, found.portions) == ({}, None, ())
    assert clean_food(found).brand is None


def test_semicolons_come_with_decimal_commas(file: Path) -> None:
    found = record(file, "source_id;name;kj_100g;fat_100g\n1;Quark, 20 %;458,5;4,4\n")
    food = clean_food(found)
    assert (food.name, food.kcal, str(food.values[2])) == ("Quark, 20 %", 110, "4.40")


def test_byte_order_mark_and_gzip_are_taken_off(file: Path) -> None:
    packed = gzip.compress(f"\ufeff{HEADER}\r\n1,Äpfel,52\r\n".encode())
    assert record(file, packed).name == "Äpfel"


def test_serving_without_a_name_is_called_serving(file: Path) -> None:
    found = record(file, f"{HEADER},serving_grams\n1,Apple,52,150\n")
    assert found.portions == [("serving", "150")]


def test_time_without_a_zone_is_utc(file: Path) -> None:
    found = record(file, f"{HEADER},updated_at\n1,Apple,52,2026-03-01\n")
    assert found.updated_at == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("row", ["1,Apple", "1,Apple,52,3"])
def test_row_of_another_length_is_left_out(file: Path, row: str) -> None:
    wrong, right = read(file, f"{HEADER}\n{row}\n2,Pear,57\n")
    assert wrong == Unreadable("wrong number of columns", "line 2")
    assert isinstance(right, Record)


@pytest.mark.parametrize("end", ["2,Pe", '2,"Pear'])
def test_last_row_that_is_cut_off_breaks_the_file(file: Path, end: str) -> None:
    file.write_text(f"{HEADER}\n1,Apple,52\n{end}")
    rows = table.read(str(file), lambda size: None)
    assert isinstance(next(rows), Record)
    with pytest.raises(BrokenFile, match="ends too early"):
        next(rows)


def test_row_with_wrong_quotes_is_left_out(file: Path) -> None:
    wrong, right = read(file, f'{HEADER}\n1,"App"le,52\n2,Pear,57\n')
    assert wrong == Unreadable("wrong quotes", "line 2")
    assert isinstance(right, Record)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",Apple,52,g", "no source_id"),
        (f"{'1' * 65},Apple,52,g", "source_id over 64 characters"),
        ("1,Apple,52,kg", "unit is neither g nor ml"),
    ],
)
def test_row_that_can_be_no_food_is_left_out(file: Path, row: str, reason: str) -> None:
    (found,) = read(file, f"{HEADER},unit\n{row}\n")
    assert isinstance(found, Unreadable)
    assert (found.reason, found.place) == (reason, "line 2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("name,kcal_100g\n", "no column source_id"),
        ("source_id,kcal_100g\n", "no column name"),
        ("source_id,name\n", "neither of the columns kcal_100g and kj_100g"),
        (f"{HEADER}\n1,Äpfel,52\n".encode("latin-1"), "not in UTF-8"),
    ],
)
def test_file_of_another_form_is_broken(file: Path, content: Any, message: str) -> None:
    with pytest.raises(BrokenFile, match=message):
        read(file, content)


@pytest.mark.parametrize(
    ("text", "portions"),
    [
        ("1 cup=240", [("1 cup", "240")]),
        ("1 cup = 240 ;1 tbsp= 15;", [("1 cup", "240"), ("1 tbsp", "15")]),
        ("1 cup; heaped=240; 1 tbsp=15", [("1 cup; heaped", "240"), ("1 tbsp", "15")]),
        ("a=b=5; c=d; e=6", [("a=b", "5"), ("c=d; e", "6")]),
        ("1 cup", []),
        ("1 cup=some", []),
        (";" * 10_000, []),
    ],
)
def test_portions_are_pairs_of_name_and_grams(
    file: Path, text: str, portions: list[tuple[str, str]]
) -> None:
    found = record(file, f'{HEADER},portions\n1,Milk,64,"{text}"\n')
    assert list(found.portions) == portions


@pytest.mark.parametrize(("flag", "doubtful"), [("1", True), ("0", False), ("", False)])
def test_doubt_that_is_said_counts(file: Path, flag: str, doubtful: bool) -> None:
    found = record(file, f"{HEADER},doubtful\n1,Apple,52,{flag}\n")
    assert clean_food(found).doubtful is doubtful


def test_doubt_that_is_denied_is_not_raised(file: Path) -> None:
    header = f"{HEADER},carbs_100g,protein_100g,fat_100g,doubtful"
    for flag, doubtful in (("0", False), ("", True)):
        found = record(file, f"{header}\n1,Schnapps,220,0,0,0,{flag}\n")
        assert clean_food(found).doubtful is doubtful


def test_the_guide_names_every_column() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text()
    _, _, form = guide.partition("## The form `csv`")
    form, _, _ = form.partition("\n## ")
    columns = [*table.COLUMNS, *table.NUTRIENT_COLUMNS]
    assert [column for column in columns if f"`{column}`" not in form] == []
    assert [column for column in columns if f"`{column}`" not in (table.__doc__ or "")] == []
