from __future__ import annotations

import csv
import gzip
import io
import tempfile
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from catalog.formats import fdc
from catalog.formats.files import BrokenFile
from catalog.records import Record, Unreadable, clean_food

FOOD = ("fdc_id", "data_type", "description", "food_category_id", "publication_date")
NUTRIENT = ("id", "fdc_id", "nutrient_id", "amount", "data_points")
BRANDED = (
    "fdc_id",
    "brand_owner",
    "brand_name",
    "gtin_upc",
    "ingredients",
    "serving_size",
    "serving_size_unit",
    "household_serving_fulltext",
)
PORTION = (
    "id",
    "fdc_id",
    "seq_num",
    "amount",
    "measure_unit_id",
    "portion_description",
    "modifier",
    "gram_weight",
)
APPLE = (1, "sr_legacy_food", "Apples, raw", "9", "2019-04-01")
SODA = (2, "branded_food", "FINE SODA, LEMON", "", "2021-10-28")


def table(*rows: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def nutrients(*amounts: tuple[int, int | str, Any]) -> str:
    return table(NUTRIENT, *((0, *amount, "") for amount in amounts))


def download(*foods: Iterable[Any], **others: str) -> dict[str, str]:
    """Return the files of a small download, by their names."""
    files = {"food.csv": table(FOOD, *foods), "food_nutrient.csv": nutrients((1, 1008, 52))}
    return files | {f"{name}.csv": text for name, text in others.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fdc.zip"


def read(path: Path, files: dict[str, str]) -> list[Record | Unreadable]:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"FoodData_Central_csv/{name}", text)
    return list(fdc.read(str(path), lambda size: None))


def record(path: Path, files: dict[str, str]) -> Record:
    (found,) = read(path, files)
    assert isinstance(found, Record)
    return found


def test_generic_food_is_read(path: Path) -> None:
    amounts = nutrients(
        (1, 1008, "52"),
        (1, 1003, "0.26"),
        (1, 1005, "13.81"),
        (1, 1004, "0.17"),
        (1, 1079, "2.4"),
        (1, 2000, "10.39"),
        (1, 1258, "0.028"),
        (1, 1093, "1"),
        (1, 1018, "0"),
        (1, 1162, "4.6"),
    )
    assert record(path, download(APPLE, food_nutrient=amounts)) == Record(
        source_id="1",
        name="Apples, raw",
        language="en",
        kcal="52",
        values={
            "protein": "0.26",
            "carbs": "13.81",
            "fat": "0.17",
            "fiber": "2.4",
            "sugars": "10.39",
            "saturated_fat": "0.028",
            "salt": 0.0025,
        },
        alcohol="0",
        portions=[],
        is_generic=True,
        updated_at=datetime(2019, 4, 1, tzinfo=UTC),
        place="food.csv, fdc_id 1",
    )


def test_branded_food_is_read(path: Path) -> None:
    soda = (2, "Drinks Inc.", "", "12345670", "WATER", "355.0", "ml", "1 CAN")
    found = record(path, download(SODA, branded_food=table(BRANDED, soda)))
    assert (found.name, found.brand, found.is_generic) == ("Fine Soda, Lemon", "Drinks Inc.", False)
    assert (found.unit, found.portions) == ("ml", [("1 can", 355)])
    assert found.barcode == "12345670"


def test_brand_goes_before_its_owner(path: Path) -> None:
    soda = (2, "Drinks Inc.", "Fizz", "", "", "", "", "")
    assert record(path, download(SODA, branded_food=table(BRANDED, soda))).brand == "Fizz"


@pytest.mark.parametrize(
    ("size", "unit", "name", "expected"),
    [
        ("30", "g", "", ("g", "serving", 30)),
        ("28", "GRM", "1 ONZ", ("g", "1 oz", 28)),
        ("500", "MG", "1 tablet", ("g", "1 tablet", 0.5)),
        ("240", "MLT", "8 OZA", ("ml", "8 fl oz", 240)),
    ],
)
def test_serving_has_a_name_and_an_amount(
    path: Path, size: str, unit: str, name: str, expected: tuple[str, str, float]
) -> None:
    soda = (2, "", "", "", "", size, unit, name)
    amounts = nutrients((2, 1008, 40))
    files = download(SODA, branded_food=table(BRANDED, soda), food_nutrient=amounts)
    food = clean_food(record(path, files))
    assert (food.unit, food.portions) == (
        expected[0],
        [{"name": expected[1], "grams": expected[2]}],
    )


def test_serving_in_another_unit_is_left_out(path: Path) -> None:
    soda = (2, "", "", "", "", "5", "IU", "1 drop")
    found = record(path, download(SODA, branded_food=table(BRANDED, soda)))
    assert (found.unit, found.portions) == ("g", ())


def test_other_types_are_no_foods(path: Path) -> None:
    sample = (3, "sub_sample_food", "Apples, Fuji", "", "2019-04-01")
    bought = (4, "market_acquisition", "Apples, Fuji, 11F-8000", "", "2019-04-01")
    assert len(read(path, download(sample, APPLE, bought))) == 1


@pytest.mark.parametrize("kind", ["foundation_food", "sr_legacy_food", "survey_fndds_food"])
def test_all_but_branded_foods_are_generic(path: Path, kind: str) -> None:
    assert record(path, download((1, kind, "Apple", "", ""))).is_generic


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        ([(1, 1062, 218), (1, 2047, 54), (1, 2048, 53), (1, 1008, 52)], ("52", None)),
        ([(1, 1062, 218), (1, 2047, 54), (1, 2048, 53)], ("53", None)),
        ([(1, 1062, 218), (1, 2047, 54)], ("54", None)),
        ([(1, 1062, 218)], (None, "218")),
        ([(1, 208, 52)], ("52", None)),
    ],
)
def test_energy_is_the_best_that_there_is(
    path: Path, amounts: list[tuple[int, int, int]], expected: tuple[str | None, str | None]
) -> None:
    found = record(path, download(APPLE, food_nutrient=nutrients(*amounts)))
    assert (found.kcal, found.kj) == expected


def test_fat_and_sugars_have_a_second_id(path: Path) -> None:
    amounts = nutrients((1, 1085, "0.2"), (1, 1063, "10"))
    values = record(path, download(APPLE, food_nutrient=amounts)).values
    assert (values["fat"], values["sugars"]) == ("0.2", "10")


def test_rows_of_a_food_need_not_stand_together(path: Path) -> None:
    amounts = nutrients((1, 1008, 52), (7, 1008, 99), (1, 1003, "0.3"), (1, 1008, ""))
    found = record(path, download(APPLE, food_nutrient=amounts))
    assert (found.kcal, found.values["protein"]) == ("52", "0.3")


def test_newest_food_of_a_barcode_wins(path: Path) -> None:
    foods = [(key, "branded_food", f"Soda {key}", "", "") for key in (20, 21, 22, 23)]
    codes = {20: "012345670", 22: "12345670", 21: "012345670", 23: ""}
    branded = table(BRANDED, *((key, "", "", code, "", "", "", "") for key, code in codes.items()))
    found = read(path, download(*foods, branded_food=branded))
    assert [food.source_id for food in found] == ["22", "23"]


def test_branded_foods_without_a_barcode_stay_apart(path: Path) -> None:
    foods = [(key, "branded_food", f"Soda {key}", "", "") for key in (20, 21)]
    branded = table(BRANDED, *((key, "", "", "0000", "", "", "", "") for key in (20, 21)))
    assert len(read(path, download(*foods, branded_food=branded))) == 2


@pytest.mark.parametrize(
    ("amount", "unit", "description", "modifier", "expected"),
    [
        ("1", "9999", "", "cup, chopped", "1 cup, chopped"),
        ("0.5", "9999", "", "breast", "0.5 breast"),
        ("1.0", "1000", "", "chopped", "1 cup, chopped"),
        ("2", "1000", "", "", "2 cup"),
        ("", "9999", "1 small apple", "61234", "1 small apple"),
    ],
)
def test_portion_has_a_name(
    path: Path, amount: str, unit: str, description: str, modifier: str, expected: str
) -> None:
    files = download(
        APPLE,
        measure_unit=table(("id", "name"), (1000, "cup"), (9999, "undetermined")),
        food_portion=table(PORTION, (5, 1, 1, amount, unit, description, modifier, "125")),
    )
    assert record(path, files).portions == [(expected, "125")]


@pytest.mark.parametrize("description", ["", "Quantity not specified"])
def test_portion_without_a_name_is_left_out(path: Path, description: str) -> None:
    files = download(
        APPLE, food_portion=table(PORTION, (5, 1, 1, "", "9999", description, "", "125"))
    )
    assert record(path, files).portions == []


def test_portions_keep_their_order(path: Path) -> None:
    portions = [(5, 1, 10, "1", "", "", "slice", "30"), (6, 1, 9, "1", "", "", "cup", "125")]
    found = record(path, download(APPLE, food_portion=table(PORTION, *portions)))
    assert found.portions == [("1 cup", "125"), ("1 slice", "30")]


def test_folder_of_gzipped_files_is_read(tmp_path: Path) -> None:
    files = download(APPLE)
    (tmp_path / "food.csv.gz").write_bytes(gzip.compress(files["food.csv"].encode()))
    (tmp_path / "food_nutrient.csv").write_text(files["food_nutrient.csv"])
    (found,) = fdc.read(str(tmp_path), lambda size: None)
    assert isinstance(found, Record)
    assert found.kcal == "52"


def test_progress_is_the_size_of_what_was_read(path: Path) -> None:
    read(path, download(APPLE))
    sizes: list[int] = []
    list(fdc.read(str(path), sizes.append))
    assert path.stat().st_size <= sum(sizes)


def test_temporary_files_are_removed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    read(path, download(APPLE))
    foods = fdc.read(str(path), lambda size: None)
    next(foods)
    assert list(folder.iterdir())
    foods.close()  # type: ignore[attr-defined]  # is a generator
    assert not list(folder.iterdir())


def test_row_of_another_length_is_left_out(path: Path) -> None:
    files = download(APPLE)
    header, apple = files["food.csv"].splitlines()
    files["food.csv"] = f'{header}\n"7","sr_legacy_food"\n{apple}\n'
    wrong, right = read(path, files)
    assert wrong == Unreadable("wrong number of columns", "food.csv, line 2")
    assert isinstance(right, Record)


def test_food_without_an_id_is_left_out(path: Path) -> None:
    (found,) = read(path, download(("", *APPLE[1:])))
    assert found == Unreadable("no fdc_id", "food.csv, Apples, raw")


@pytest.mark.parametrize("name", ["food.csv", "food_nutrient.csv"])
def test_file_that_ends_too_early_is_broken(path: Path, name: str) -> None:
    files = download(APPLE)
    files[name] = files[name][:-12]
    with pytest.raises(BrokenFile, match=f"{name} ends too early"):
        read(path, files)


@pytest.mark.parametrize("name", ["food.csv", "food_nutrient.csv"])
def test_download_without_a_required_file_is_broken(path: Path, name: str) -> None:
    files = download(APPLE)
    del files[name]
    with pytest.raises(BrokenFile, match=f"has no {name}"):
        read(path, files)


def test_zip_that_is_cut_off_is_broken(path: Path) -> None:
    read(path, download(APPLE))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BrokenFile, match="no ZIP, or damaged"):
        list(fdc.read(str(path), lambda size: None))


def test_zip_with_wrong_bytes_is_broken(path: Path) -> None:
    read(path, download(APPLE))
    content = bytearray(path.read_bytes())
    content[80:100] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(BrokenFile, match="no ZIP, or damaged"):
        list(fdc.read(str(path), lambda size: None))


def test_file_that_is_not_there_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="can't be read: No such file"):
        list(fdc.read(str(tmp_path / "nothing.zip"), lambda size: None))
