"""Open Food Facts: each way in which its files say something, and each kind of dirt in them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from catalog.formats import openfoodfacts
from catalog.formats.files import BrokenFile
from catalog.formats.openfoodfacts import read
from catalog.records import CleanFood, Record, Refused, Unreadable, clean_food

CODE = "4006381333931"
OLD = {"energy-kcal_100g": 372, "fat_100g": 7}


def product(**values: Any) -> dict[str, Any]:
    """Return a product in the old schema, with these values."""
    return {"code": CODE, "product_name": "Oats", "nutriments": OLD} | values


def new(nutrients: dict[str, Any], per: str = "100g", **values: Any) -> dict[str, Any]:
    """Return a set of nutrients in the new schema: of each its value, and its unit if not grams."""
    units = {"energy-kcal": "kcal", "energy-kj": "kJ", "energy": "kJ", "alcohol": "% vol"}
    return {
        "per": per,
        "preparation": "as_sold",
        "nutrients": {
            name: value
            if isinstance(value, dict)
            else {"value": value, "unit": units.get(name, "g"), "source": "packaging"}
            for name, value in nutrients.items()
        },
    } | values


def read_lines(folder: Path, *lines: bytes | dict[str, Any]) -> list[Record | Unreadable]:
    """Read a file with these lines."""
    file = folder / "products.jsonl"
    written = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    file.write_bytes(b"".join(line + b"\n" for line in written))
    return list(read(str(file), lambda size: None))


@pytest.fixture
def record(tmp_path: Path) -> Any:
    """A function that returns the record of a product with these values."""

    def record(**values: Any) -> Record:
        (found,) = read_lines(tmp_path, product(**values))
        assert isinstance(found, Record)
        return found

    return record


@pytest.fixture
def food(record: Any) -> Any:
    """A function that returns the food of a product with these values."""

    def food(**values: Any) -> CleanFood:
        return clean_food(record(**values))

    return food


def nutrients(food: CleanFood) -> tuple[float | None, ...]:
    """Return kcal, protein, carbs, fat, fiber, sugars, saturated fat and salt."""
    return food.kcal, *(None if value is None else float(value) for value in food.values)


def reasons(found: Iterable[Record | Unreadable]) -> list[tuple[str, str]]:
    return [(one.reason, one.place) for one in found if isinstance(one, Unreadable)]


# Nutrients


def test_the_old_schema_is_read(food: Any) -> None:
    made = food(
        nutriments={
            "energy-kcal_100g": 372, "energy-kj_100g": 1556, "energy_100g": 1556,
            "proteins_100g": 13.5, "carbohydrates_100g": "58.7", "fat_100g": 7, "fiber_100g": 10,
            "sugars_100g": 0.7, "saturated-fat_100g": 1.3, "salt_100g": 0.02,
        }
    )  # fmt: skip
    assert nutrients(made) == (372, 13.5, 58.7, 7, 10, 0.7, 1.3, 0.02)


def test_the_new_schema_is_read(food: Any) -> None:
    nutrition = {
        "aggregated_set": new(
            {
                "energy-kcal": 372, "energy-kj": 1556, "proteins": 13.5, "carbohydrates": 58.7,
                "fat": 7, "fiber": 10, "sugars": 0.7, "saturated-fat": 1.3, "salt": 0.02,
            }
        )
    }  # fmt: skip
    made = food(nutriments=None, nutrition=nutrition)
    assert nutrients(made) == (372, 13.5, 58.7, 7, 10, 0.7, 1.3, 0.02)


def test_of_both_schemas_the_new_one_counts(food: Any) -> None:
    made = food(nutrition={"aggregated_set": new({"energy-kcal": 380})})
    assert nutrients(made) == (380, *[None] * 7)


@pytest.mark.parametrize("nutrition", [{}, None, [], {"aggregated_set": new({"fat": 5})}])
def test_the_old_schema_counts_where_the_new_one_has_no_energy(food: Any, nutrition: Any) -> None:
    assert nutrients(food(nutrition=nutrition))[:4] == (372, None, None, 7)


@pytest.mark.parametrize("name", ["energy-kj_100g", "energy_100g"])
def test_energy_in_kj_alone_becomes_kcal(food: Any, name: str) -> None:
    assert food(nutriments={name: 1556}).kcal == 372


def test_kj_in_the_column_of_kcal_become_kcal(food: Any) -> None:
    assert food(nutriments={"energy-kcal_100g": 2255, "energy-kj_100g": 2252}).kcal == 538


def test_a_unit_of_the_value_as_it_was_entered_does_not_count_for_100_g(food: Any) -> None:
    nutriments = {
        "energy_value": 89, "energy_unit": "kcal", "energy_100g": 1556,
        "salt_value": 640, "salt_unit": "mg", "salt_100g": 0.64,
    }  # fmt: skip
    made = food(nutriments=nutriments)
    assert (made.kcal, float(made.values[-1])) == (372, 0.64)


def test_where_only_the_value_as_entered_is_there_its_unit_counts(food: Any) -> None:
    nutriments = {
        "energy_value": 372, "energy_unit": "kcal", "salt_value": 640, "salt_unit": "mg",
    }  # fmt: skip
    made = food(nutriments=nutriments, nutrition_data_per="100g")
    assert (made.kcal, float(made.values[-1])) == (372, 0.64)


def test_a_value_in_a_unit_that_is_none_of_its_is_unknown(food: Any) -> None:
    salt = {"value": 20, "unit": "% DV", "source": "packaging"}
    made = food(nutrition={"aggregated_set": new({"energy-kcal": 372, "salt": salt})})
    assert made.values[-1] is None


def test_salt_follows_from_sodium(food: Any) -> None:
    made = food(nutriments=OLD | {"sodium_100g": 0.4})
    assert float(made.values[-1]) == 1


def test_salt_counts_before_sodium(food: Any) -> None:
    made = food(nutriments=OLD | {"salt_100g": 0.5, "sodium_100g": 0.4})
    assert float(made.values[-1]) == 0.5


@pytest.mark.parametrize(
    "values",
    [
        {"nutriments": {"energy-kcal_100g": 231, "alcohol_100g": 40}},
        {"nutrition": {"aggregated_set": new({"energy-kcal": 231, "alcohol": 40})}},
    ],
)
def test_alcohol_in_percent_by_volume_becomes_grams(record: Any, values: Any) -> None:
    assert record(**values).alcohol == pytest.approx(31.56)


def test_values_of_the_prepared_product_alone_are_no_energy(record: Any) -> None:
    prepared = {"energy-kcal_prepared_100g": 60, "fat_prepared_100g": 2}
    nutrition = {"aggregated_set": new({"energy-kcal": 60}, preparation="prepared")}
    for made in record(nutriments=prepared), record(nutriments=None, nutrition=nutrition):
        with pytest.raises(Refused, match="no energy"):
            clean_food(made)


def test_beside_a_prepared_set_the_one_as_sold_counts(food: Any) -> None:
    nutrition = {
        "aggregated_set": new({"energy-kcal": 60}, preparation="prepared"),
        "input_sets": [
            new({"energy-kcal": 60}, preparation="prepared", source="packaging"),
            new({"energy-kcal": 372}, source="packaging"),
        ],
    }
    assert food(nutriments=None, nutrition=nutrition).kcal == 372


def test_an_input_set_has_units_of_its_own(food: Any) -> None:
    entered = {"value": 640, "unit": "mg"}
    sets = [new({"energy-kj": 15560, "salt": entered}, per="1kg", source="packaging")]
    made = food(nutriments=None, nutrition={"input_sets": sets})
    assert (made.kcal, float(made.values[-1])) == (372, 0.06)


def test_estimates_are_left_out(food: Any, record: Any) -> None:
    estimate = {"value": 9, "unit": "g", "source": "estimate"}
    made = food(nutrition={"aggregated_set": new({"energy-kcal": 372, "fiber": estimate})})
    assert made.values[3] is None
    guessed = new({"energy-kcal": 372}, source="estimate")
    made = record(
        nutriments={},
        nutriments_estimated={"energy-kcal_100g": 372},
        nutrition={"input_sets": [guessed]},
    )
    assert (made.kcal, made.kj) == (None, None)


SERVED = {"energy-kcal_serving": 112, "fat_serving": "2.1"}


@pytest.mark.parametrize(
    "serving",
    [
        {"serving_quantity": 30},
        {"serving_quantity": "30", "serving_size": "1 bowl"},
        {"serving_size": "30 g"},
        {"serving_size": "30g"},
        {"serving_size": "1 bowl (30 g)"},
        {"serving_size": "0,03 kg"},
        {"serving_size": "30 GRM"},
    ],
)
def test_values_per_serving_are_worked_out_to_100_g(food: Any, serving: dict[str, Any]) -> None:
    made = food(nutriments=SERVED, nutrition_data_per="serving", **serving)
    assert (made.kcal, float(made.values[2])) == (373, 7)


@pytest.mark.parametrize("amount", [1, 1000])
def test_a_serving_of_1_to_1000_g_is_worked_out(food: Any, amount: int) -> None:
    assert food(nutriments={"energy-kcal_serving": amount}, serving_quantity=amount).kcal == 100


@pytest.mark.parametrize(
    "serving",
    [
        {},
        {"serving_size": "1 bowl"},
        {"serving_quantity": 0.9},
        {"serving_quantity": 1001},
        {"serving_quantity": 0},
        {"serving_quantity": "NaN"},
    ],
)
def test_values_of_another_serving_are_no_energy(record: Any, serving: dict[str, Any]) -> None:
    assert record(nutriments=SERVED, nutrition_data_per="serving", **serving).kcal is None


def test_values_that_were_worked_out_from_less_than_1_g_are_no_energy(record: Any) -> None:
    made = record(nutriments=OLD, nutrition_data_per="serving", serving_size="1 mint (0.49 g)")
    assert made.kcal is None


def test_values_per_100_g_count_beside_any_serving(record: Any) -> None:
    made = record(nutriments=OLD, nutrition_data_per="100g", serving_size="1 mint (0.49 g)")
    assert made.kcal == 372


def test_an_input_set_per_serving_is_worked_out(food: Any) -> None:
    found = new({"energy-kcal": 112}, "serving", per_quantity=30, per_unit="g", source="packaging")
    assert food(nutriments={}, nutrition={"input_sets": [found]}).kcal == 373


@pytest.mark.parametrize(
    "dirt", [[], "text", 5, {"energy-kcal_100g": {}}, {"energy-kcal_100g": "a lot"}]
)
def test_nutriments_of_another_kind_are_no_energy(record: Any, dirt: Any) -> None:
    with pytest.raises(Refused, match="no energy"):
        clean_food(record(nutriments=dirt))


@pytest.mark.parametrize("dirt", [{"per": []}, {"per": "cup"}, {"nutrients": []}])
def test_a_set_of_another_kind_does_not_count(food: Any, dirt: dict[str, Any]) -> None:
    assert food(nutrition={"aggregated_set": new({"energy-kcal": 60}) | dirt}).kcal == 372


# Units and portions


@pytest.mark.parametrize(
    ("values", "unit"),
    [
        ({}, "g"),
        ({"quantity": "500 g"}, "g"),
        ({"quantity": "33 cl"}, "ml"),
        ({"quantity": "6 x 1,5 L"}, "ml"),
        ({"quantity": "2 large ones"}, "g"),
        ({"product_quantity_unit": "ml"}, "ml"),
        ({"product_quantity_unit": "g", "serving_size": "30 ml"}, "g"),
        ({"serving_quantity_unit": "ml", "serving_quantity": 200}, "ml"),
        ({"serving_size": "1 cup (240 ml)"}, "ml"),
        ({"nutrition_data_per": "100ml", "quantity": "500 g"}, "ml"),
        ({"nutrition_data_per": "serving", "quantity": "500 g", "serving_size": "30 ml"}, "ml"),
        ({"nutrition": {"aggregated_set": new({"energy-kcal": 40}, per="100ml")}}, "ml"),
    ],
)
def test_the_unit_is_what_the_products_amounts_are_in(
    record: Any, values: dict[str, Any], unit: str
) -> None:
    assert record(**values).unit == unit


@pytest.mark.parametrize(
    ("serving", "portion"),
    [
        ({"serving_size": "1 bowl (30 g)"}, ("1 bowl", 30)),
        ({"serving_size": "30 g (1 bowl)"}, ("1 bowl", 30)),
        ({"serving_size": "3 BALLS (36 g)"}, ("3 balls", 36)),
        ({"serving_size": "17 PIECES | ABOUT (40 g)"}, ("17 pieces", 40)),
        ({"serving_size": "1 ONZ (28 g)"}, ("1 oz", 28)),
        ({"serving_size": "8 OZA (240 ml)"}, ("8 fl oz", 240)),
        ({"serving_size": "30 g"}, ("30g", 30)),
        ({"serving_size": "28.000000000000004g"}, ("28g", 28)),
        ({"serving_size": "40 g (40 g)"}, ("40g", 40)),
        ({"serving_size": "1l"}, ("1000ml", 1000)),
        ({"serving_quantity": "30"}, ("30g", 30)),
        ({"serving_size": "2 Kekse", "serving_quantity": 25}, ("2 Kekse", 25)),
        ({"serving_size": "Portion de 30 g"}, ("Portion de 30 g", 30)),
        ({"serving_size": "15 ml (14 g)", "serving_quantity": 14}, ("14g", 14)),
        ({"serving_size": "1 bowl"}, None),
        ({"serving_size": "30 ml", "quantity": "500 g"}, None),
    ],
)
def test_the_serving_becomes_a_portion(food: Any, serving: Any, portion: Any) -> None:
    expected = [{"name": portion[0], "grams": portion[1]}] if portion else []
    assert food(**serving).portions == expected


# Names, codes and the rest


@pytest.mark.parametrize(
    ("values", "name", "language"),
    [
        ({"product_name": "Oats", "lang": "en"}, "Oats", "en"),
        ({"lang": "nl", "product_name_en": "Oats", "product_name_nl": "Haver"}, "Haver", "nl"),
        ({"lang": "nl", "product_name_de": "Hafer", "product_name_en": "Oats"}, "Oats", "en"),
        ({"lang": "de", "product_name_fr": "Avoine", "product_name_de": " "}, "Avoine", "fr"),
        ({"lang": "de", "generic_name": "Hafer"}, "Hafer", "de"),
        ({"lang": "de", "generic_name_fr": "Avoine"}, "Avoine", "fr"),
        ({"lang": "xx", "product_name_fr_debug_tags": ["a"]}, None, None),
        ({"lang": "english", "product_name": 7}, "7", None),
        ({"lang": ["en"], "product_name": ["Oats"]}, None, None),
    ],
)
def test_the_name_is_that_of_the_main_language_or_any(
    record: Any, values: dict[str, Any], name: str | None, language: str | None
) -> None:
    made = record(**{"product_name": ""} | values)
    assert (made.name, made.language) == (name, language)


@pytest.mark.parametrize(
    ("brands", "brand"),
    [
        ("Mill, Mill Ltd.", "Mill"),
        (" , Mill", "Mill"),
        ("", None),
        (None, None),
        (["Mill"], "Mill"),
    ],
)
def test_the_brand_is_the_first(record: Any, brands: Any, brand: str | None) -> None:
    assert record(brands=brands).brand == brand


@pytest.mark.parametrize(
    ("code", "source_id"),
    [
        (CODE, CODE),
        (f"0{CODE}", CODE),
        (f"000{CODE}", CODE),
        ("36000291452", "0036000291452"),
        ("036000291452", "0036000291452"),
        ("0000096385074", "96385074"),
        ("12345", "00012345"),
        (36000291452, "0036000291452"),
        ("14006381333938", "14006381333938"),
        ("400638133393140063813339", "400638133393140063813339"),
        ("4006-3813 33931", CODE),
    ],
)
def test_the_id_is_the_code_whatever_zeros_it_came_with(
    record: Any, code: Any, source_id: str
) -> None:
    assert record(code=code).source_id == source_id


def test_a_code_in_scientific_notation_costs_the_barcode_and_no_food(tmp_path: Path) -> None:
    names = ["Oats", "Rye"]
    lines = [product(code="3.05E+12", product_name=name) for name in names]
    found = read_lines(tmp_path, *lines)
    made = [clean_food(one) for one in found if isinstance(one, Record)]
    assert [(one.name, one.barcode) for one in made] == [("Oats", None), ("Rye", None)]
    assert len({one.source_id for one in made}) == 2


@pytest.mark.parametrize("code", ["", " ", None, "none", [], True])
def test_what_is_no_code_is_unreadable(tmp_path: Path, code: Any) -> None:
    found = read_lines(tmp_path, product(), product(code=code))
    assert reasons(found) == [("no code", "line 2")]


def test_the_code_is_found_in_the_databases_id(record: Any) -> None:
    assert record(code=None, _id=CODE).source_id == CODE


def test_countries_are_words(record: Any) -> None:
    tags = ["en:france", "en:united-kingdom", "fr:Pays imaginaire", None, 5]
    assert record(countries_tags=tags).countries == [
        "france", "united-kingdom", "pays-imaginaire", "5",
    ]  # fmt: skip
    assert record(countries="France, United Kingdom").countries == ["france", "united-kingdom"]
    assert record(countries_tags={"en": 1}).countries == []


@pytest.mark.parametrize(
    ("given", "time"),
    [
        (1767312000, datetime(2026, 1, 2, tzinfo=UTC)),
        ("1767312000", datetime(2026, 1, 2, tzinfo=UTC)),
        (10**11 * 9, None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_time_of_the_change_is_read(record: Any, given: Any, time: datetime | None) -> None:
    assert record(last_modified_t=given).updated_at == time


@pytest.mark.parametrize(("scans", "popularity"), [(12, 12), ("12", 12), (None, 0), ("many", 0)])
def test_popularity_is_how_many_scanned_it(record: Any, scans: Any, popularity: int) -> None:
    assert record(unique_scans_n=scans).popularity == popularity


# JSON lines


def test_bad_lines_are_named_and_others_read(tmp_path: Path) -> None:
    found = read_lines(
        tmp_path,
        product(),
        json.dumps(product()).encode()[:-20],
        b"",
        b"[1, 2]",
        b'"text"',
        b'{"code": "1", "product_name": "Caf\xe9"}',
        b"[" * 100_000,
        product(code="2"),
    )
    assert reasons(found) == [
        ("not JSON", "line 2"),
        ("empty line", "line 3"),
        ("no object", "line 4"),
        ("no object", "line 5"),
        ("not UTF-8", "line 6"),
        ("not JSON", "line 7"),
    ]
    read = [one for one in found if isinstance(one, Record)]
    assert [(one.source_id, one.place) for one in read] == [
        (CODE, "line 1"),
        ("00000002", "line 8"),
    ]


def test_nan_and_half_of_a_surrogate_pair_in_json_cost_no_food(tmp_path: Path) -> None:
    line = rb'{"code": "1", "product_name": "Oats\ud83d", "nutriments": {"fat_100g": NaN,'
    (found,) = read_lines(tmp_path, line + b' "energy-kcal_100g": 372}}')
    assert isinstance(found, Record)
    made = clean_food(found)
    assert (made.name, made.kcal, made.values[2]) == ("Oats", 372, None)


def test_a_line_longer_than_any_product_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(openfoodfacts, "MAX_LINE", 1000)
    found = read_lines(tmp_path, product(), product(link="a" * 2000), product())
    assert reasons(found) == [("not JSON", "line 2")]
    assert len(found) == 3


@pytest.mark.parametrize("end", [b'{"code": "2", "product_na', b'{"code": "2"}\n{"code'])
def test_a_file_whose_last_line_is_cut_off_is_broken(tmp_path: Path, end: bytes) -> None:
    file = tmp_path / "cut.jsonl"
    file.write_bytes(json.dumps(product()).encode() + b"\n" + end)
    found = read(str(file), lambda size: None)
    assert isinstance(next(found), Record)
    with pytest.raises(BrokenFile, match="ends too early"):
        list(found)


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    file = tmp_path / "whole.jsonl"
    file.write_bytes(json.dumps(product()).encode())
    assert len(list(read(str(file), lambda size: None))) == 1


def test_gzipped_lines_are_read_and_their_size_is_told(tmp_path: Path) -> None:
    file = tmp_path / "products.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(product()).encode() + b"\n"))
    sizes: list[int] = []
    assert len(list(read(str(file), sizes.append))) == 1
    assert sum(sizes) == file.stat().st_size


def test_a_gzipped_file_that_is_cut_off_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(product()).encode() + b"\n")[:-10])
    with pytest.raises(BrokenFile, match="ends too early"):
        list(read(str(file), lambda size: None))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"id,name\n1,Oats\n", b"[{}]\n", b"\xff\x00" * 99_999, b"code\tname\n"],
)
def test_a_file_that_is_none_of_open_food_facts_is_broken(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(BrokenFile, match=r"is empty\.|is not of Open Food Facts"):
        list(read(str(file), lambda size: None))


def test_a_file_that_is_not_there_is_broken(tmp_path: Path) -> None:
    with pytest.raises(BrokenFile, match="can't be read"):
        list(read(str(tmp_path / "nothing"), lambda size: None))


# Tables


@pytest.fixture
def table(tmp_path: Path) -> Any:
    """A function that reads a table with these lines."""

    def table(*lines: bytes | str, end: bytes = b"\n") -> list[Record | Unreadable]:
        file = tmp_path / "products.csv"
        written = (line.encode() if isinstance(line, str) else line for line in lines)
        file.write_bytes(b"\n".join(written) + end)
        return list(read(str(file), lambda size: None))

    return table


DUMP = "\t".join(
    (
        *("code", "product_name", "brands", "countries_tags", "serving_size"),
        *("energy-kcal_100g", "fat_100g", "salt_100g"),
    )
)


def test_the_dumps_table_is_read_and_its_quotes_mean_nothing(table: Any) -> None:
    (found,) = table(
        DUMP, f'{CODE}\t"Real" 5" oats\tMill,Co\ten:france,en:italy\t30 g\t372\t\t0.02'
    )
    made = clean_food(found)
    assert (made.name, made.brand, made.kcal) == ('"Real" 5" oats', "Mill", 372)
    assert made.values[2] is None
    assert made.values[-1] == Decimal("0.02")
    assert found.countries == ["france", "italy"]
    assert (made.portions, made.language) == ([{"name": "30g", "grams": 30}], None)


def test_a_byte_order_mark_and_windows_line_ends_are_no_dirt(table: Any) -> None:
    (found,) = table("\ufeff" + DUMP + "\r", f"{CODE}\tOats\t\t\t\t372\t\t0.02\r")
    assert (found.source_id, found.values["salt"]) == (CODE, "0.02")


def test_bad_rows_of_the_dump_are_named_and_others_read(table: Any) -> None:
    found = table(DUMP, "1\tOats", "", b"2\tCaf\xe9" + b"\t" * 6, f"{CODE}\tOats" + "\t" * 6)
    assert reasons(found) == [
        ("wrong number of columns", "line 2"),
        ("empty line", "line 3"),
        ("not UTF-8", "line 4"),
    ]
    assert found[-1].source_id == CODE


@pytest.mark.parametrize("header", [DUMP, "code,product_name,energy-kcal_value"])
def test_a_table_whose_last_row_is_cut_off_is_broken(table: Any, header: str) -> None:
    with pytest.raises(BrokenFile, match="ends too early, in line 2"):
        table(header, f"{CODE}", end=b"")


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_the_sites_export_is_read_with_its_quotes(table: Any, separator: str) -> None:
    row = {
        "code": CODE, "lc": "de", "product_name_de": 'Hafer "fein"\nmit ; , \t Honig',
        "brands": "Mill, Co", "countries": "Deutschland", "serving_size": "30 g",
        "nutrition_data_per": "serving", "energy-kcal_value": "112", "energy-kcal_unit": "kcal",
        "salt_value": "200", "salt_unit": "mg",
    }  # fmt: skip
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows([row, row.values()])
    (found,) = table(text.getvalue(), end=b"")
    made = clean_food(found)
    assert (made.name, made.brand, made.language) == ('Hafer "fein" mit ; , Honig', "Mill", "de")
    assert (made.kcal, made.values[-1]) == (373, Decimal("0.67"))
    assert found.countries == ["deutschland"]


def test_the_sites_export_of_the_new_schema_is_read(table: Any) -> None:
    path = "nutrition.input_sets.packaging"
    columns = {
        "code": CODE,
        "product_name_en": "Soup",
        "tags_sources.brands.packaging.tags": "xx:Mill,xx:Co",
        "tags_sources.countries.packaging.tags": "en:france",
        f"{path}.prepared.100g.nutrients.energy-kcal.value": "60",
        f"{path}.as_sold.100g.per_quantity": "100",
        f"{path}.as_sold.100g.nutrients.energy-kcal.unit": "kcal",
        f"{path}.as_sold.100g.nutrients.energy-kcal.value": "372",
        f"{path}.as_sold.100g.nutrients.salt.unit": "mg",
        f"{path}.as_sold.100g.nutrients.salt.value": "640",
        "nutrition.input_sets.odd": "1",
    }
    (found,) = table("\t".join(columns), "\t".join(columns.values()))
    made = clean_food(found)
    assert (made.brand, made.kcal, made.values[-1]) == ("Mill", 372, Decimal("0.64"))
    assert found.countries == ["france"]


def test_bad_rows_of_the_sites_export_are_named_and_others_read(table: Any) -> None:
    found = table(
        "code,product_name,energy-kcal_value",
        b"1,Caf\xe9,5",
        "2,Oats",
        "",
        f'3,"{"a" * 200_000}",5',
        "4,Oats,372",
    )
    assert [reason for reason, _ in reasons(found)] == [
        "not UTF-8", "wrong number of columns", "empty line", "not CSV",
    ]  # fmt: skip
    assert found[-1].source_id == "00000004"


def test_records_say_where_they_stand(table: Any) -> None:
    found = table("code,product_name", '1,"two\nlines"', "2,Oats")
    assert [one.place for one in found] == ["line 2", "line 4"]
