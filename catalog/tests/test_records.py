"""Each kind of dirt in a record: what it costs, and what it must not cost."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from catalog.records import CleanFood, Record, Refused, clean_food
from products import gtin
from products.nutrients import OPTIONAL

BARCODE = "4006381333931"


def food(**values: Any) -> CleanFood:
    """Return the food of a record of 372 kcal without macros, with these values."""
    given: dict[str, Any] = {"source_id": "1", "name": "Oats", "kcal": 372} | values
    return clean_food(Record(**given))


def value(nutrient: str, given: Any) -> Decimal | None:
    """Return what becomes of a nutrient's value."""
    return food(values={nutrient: given}).values[OPTIONAL.index(nutrient)]


def reason(**values: Any) -> str:
    """Return why a record is refused."""
    with pytest.raises(Refused) as refused:
        food(**values)
    return str(refused.value)


def barcode(code: str | None) -> str | None:
    return food(barcode=code).barcode


# Energy


def test_energy_in_kj_alone_becomes_kcal() -> None:
    assert food(kcal=None, kj=1556).kcal == 372


def test_kcal_count_before_kj() -> None:
    assert food(kcal=370, kj=1500).kcal == 370


def test_energy_is_rounded_half_up() -> None:
    assert food(kcal="52.5").kcal == 53


def test_kj_written_as_kcal_over_1000_are_read_as_kj() -> None:
    assert food(kcal=1556).kcal == 372


def test_kj_written_as_kcal_are_known_by_the_macros() -> None:
    yoghurt = {"protein": 5, "carbs": 12, "fat": 3}
    assert food(kcal=402, values=yoghurt).kcal == 96


@pytest.mark.parametrize(
    ("macros", "kcal"),
    [
        pytest.param({"protein": 0, "carbs": 0, "fat": 0}, 231, id="vodka"),
        pytest.param({"protein": 0, "carbs": 14, "fat": 0}, 160, id="sweet wine"),
        pytest.param({"protein": 0, "carbs": 35, "fat": 0}, 300, id="liqueur"),
    ],
)
def test_energy_of_unknown_alcohol_is_not_read_as_kj(macros: dict[str, int], kcal: int) -> None:
    assert food(kcal=kcal, values=macros).kcal == kcal


def test_kcal_that_cannot_be_give_way_to_kj_that_can() -> None:
    assert food(kcal=12, kj=1556, values={"protein": 13, "carbs": 59, "fat": 7}).kcal == 372


@pytest.mark.parametrize(
    ("number", "macros", "kcal"),
    [
        (1946, {"protein": 6, "carbs": 69, "fat": 17}, 466),
        (400, {"protein": 5, "carbs": 12, "fat": 3}, 96),
        (400, {}, 96),
        (96, {"protein": 5, "carbs": 12, "fat": 3}, 96),
    ],
)
def test_one_number_for_kcal_and_kj_is_read_as_the_macros_say(
    number: int, macros: dict[str, int], kcal: int
) -> None:
    assert food(kcal=number, kj=number + 2, values=macros).kcal == kcal


def test_0_kcal_are_an_energy() -> None:
    assert food(kcal=0, kj=0, values={"protein": 0, "carbs": 0, "fat": 0}).kcal == 0


@pytest.mark.parametrize("kcal", [4190, "40000"])
def test_energy_over_1000_kcal_in_any_unit_is_refused(kcal: Any) -> None:
    assert reason(kcal=kcal) == "energy over 1000 kcal"


def test_energy_below_0_is_refused() -> None:
    assert reason(kcal=-5) == "energy below 0"


def test_a_record_without_energy_is_refused() -> None:
    assert reason(kcal=None) == "no energy"


NO_NUMBERS: list[Any] = [
    "NaN", float("nan"), float("inf"), "-Infinity", "sNaN", "traces", "", "1.2.3", "1e9999999",
    "9" * 60, True, [12], {"value": 12}, None,
]  # fmt: skip


@pytest.mark.parametrize("given", NO_NUMBERS)
def test_what_is_no_number_is_unknown(given: Any) -> None:
    assert value("fat", given) is None
    assert reason(kcal=given) == "no energy"


@pytest.mark.parametrize("given", ["1,5", " 1.5 ", 1.5, Decimal("1.5"), "1.495"])
def test_numbers_may_be_text_with_a_point_or_comma(given: Any) -> None:
    assert value("fat", given) == Decimal("1.50")


def test_numbers_equal_in_python_are_kept_apart() -> None:
    assert value("fat", 1) == 1
    assert value("fat", True) is None


def test_values_are_rounded_half_up_as_they_are_written() -> None:
    assert value("salt", 1.005) == Decimal("1.01")


def test_a_value_just_below_0_is_0_without_a_sign() -> None:
    assert str(value("salt", -0.001)) == "0.00"


@pytest.mark.parametrize("given", [-3, 101])
def test_an_impossible_value_is_left_out_and_makes_doubtful(given: int) -> None:
    assert value("salt", given) is None
    assert food(values={"salt": given}).doubtful


@pytest.mark.parametrize(
    "macros", [{"carbs": 206}, {"protein": 40, "carbs": 40, "fat": 26}, {"carbs": 150, "fat": -60}]
)
def test_macros_over_105_g_are_refused(macros: dict[str, int]) -> None:
    assert reason(values=macros) == "macros over 105 g"


def test_macros_of_105_g_are_the_rounding_of_a_label() -> None:
    assert not food(kcal=420, values={"protein": 45, "carbs": 60, "fat": 0}).doubtful


def test_energy_that_does_not_fit_the_macros_is_doubtful() -> None:
    assert food(kcal=50, values={"protein": 13, "carbs": 59, "fat": 7}).doubtful


def test_alcohol_explains_energy() -> None:
    macros = {"protein": 0, "carbs": 0, "fat": 0}
    assert food(kcal=231, values=macros).doubtful
    assert not food(kcal=231, values=macros, alcohol=31.6).doubtful


def test_an_unknown_macro_explains_energy() -> None:
    assert not food(kcal=50, values={"protein": 13, "carbs": 59}).doubtful


# Names


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("M&amp;M&#39;s", "M&M's"),
        ("M&amp;amp;M&amp;#39;s", "M&M's"),
        ("Ben & Jerry's", "Ben & Jerry's"),
        ("P&acirc;t&eacute;", "Pâté"),
        ("Caf\x00e au\x1flait", "Caf e au lait"),
        ("Kellogg\x92s \x96 Cr\u00e8me", "Kellogg’s – Crème"),
        ("Ham\x81\x7f", "Ham"),
        ("Fish\ud83d", "Fish"),
        ("  Two\t\n words\u00a0here ", "Two words here"),
        ("Cre\u0300me", "Crème"),
    ],
)
def test_names_are_cleaned(given: str, name: str) -> None:
    assert food(name=given, brand=given).name == name
    assert food(name=given, brand=given).brand == name


def test_a_name_of_5000_letters_is_cut_at_100() -> None:
    assert food(name="a" * 5000).name == "a" * 100


def test_a_long_name_is_cut_at_a_word() -> None:
    assert food(name="word, " * 1000).name == ("word, " * 16).rstrip(" ,")


def test_a_name_of_100_characters_stays() -> None:
    name = "word " * 19 + "final"
    assert food(name=name).name == name


@pytest.mark.parametrize("name", [None, "", "  ", "&nbsp;", "\x00", "...", "?"])
def test_a_name_without_a_letter_or_digit_is_refused(name: str | None) -> None:
    assert reason(name=name) == "no name"


@pytest.mark.parametrize("brand", [None, "", "\x00", "-"])
def test_a_brand_without_a_letter_or_digit_is_none(brand: str | None) -> None:
    assert food(brand=brand).brand is None


@pytest.mark.parametrize("source_id", ["", "9" * 65, "12\x003"])
def test_an_id_that_cannot_be_stored_is_refused(source_id: str) -> None:
    assert reason(source_id=source_id) == "no code"


@pytest.mark.parametrize(
    ("given", "language"),
    [("en", "en"), (" FR ", "fr"), ("eng", None), ("xx", None), ("e1", None), (None, None)],
)
def test_a_language_has_two_letters(given: str | None, language: str | None) -> None:
    assert food(language=given).language == language


# Barcodes


@pytest.mark.parametrize(
    "code", [BARCODE, "0" + BARCODE, "000000" + BARCODE, "4006-3813 33931", f" {BARCODE}\u00a0"]
)
def test_a_barcode_has_one_form_whatever_zeros_it_came_with(code: str) -> None:
    assert barcode(code) == BARCODE


@pytest.mark.parametrize("code", ["036000291452", "36000291452", "0036000291452"])
def test_lost_leading_zeros_are_put_back(code: str) -> None:
    assert barcode(code) == "0036000291452"


@pytest.mark.parametrize("code", ["96385074", "0000096385074"])
def test_a_gtin_8_has_8_digits(code: str) -> None:
    assert barcode(code) == "96385074"


def test_a_gtin_14_of_a_package_keeps_its_14_digits() -> None:
    assert barcode("14006381333938") == "14006381333938"


@pytest.mark.parametrize("code", ["04252614", "4252614"])
def test_a_upc_e_stays_one_and_is_compared_as_its_upc_a(code: str) -> None:
    made = food(barcode=code)
    assert (made.barcode, made.gtin_14) == ("04252614", "00042100005264")


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("4006381333932", id="wrong check digit"),
        pytest.param("400638133393140063813339", id="24 digits"),
        pytest.param("3.05E+12", id="in scientific notation"),
        pytest.param("4006381333931.0", id="as a decimal"),
        pytest.param("٤٠٠٦٣٨١٣٣٣٩٣١", id="other digits"),
        pytest.param("", id="empty"),
        pytest.param(None, id="none"),
        pytest.param("00000000", id="8 zeros"),
        pytest.param("0000000000000", id="13 zeros"),
        pytest.param("4011", id="number of a fruit in a shop"),
        pytest.param("0200000000004", id="02, by a shop"),
        pytest.param("200000000004", id="02, by a shop, 12 digits"),
        pytest.param("0400000000008", id="04, by a shop"),
        pytest.param("2000000000008", id="20, by a shop"),
        pytest.param("2912345678904", id="29, by a shop"),
        pytest.param("00012348", id="GTIN-8 from 0, by a shop"),
        pytest.param("20000004", id="GTIN-8 from 2, by a shop"),
        pytest.param("00016063", id="GTIN-8 from 0 that is a UPC-E as well"),
    ],
)
def test_a_bad_barcode_or_a_shops_own_costs_the_barcode_alone(code: str | None) -> None:
    made = food(barcode=code)
    assert (made.barcode, made.gtin_14, made.kcal) == (None, None, 372)


@pytest.mark.parametrize("code", [BARCODE, "36000291452", "96385074", "4252614", "14006381333938"])
def test_the_gtin_14_is_that_of_the_barcode(code: str) -> None:
    made = food(barcode=code)
    assert made.barcode is not None
    assert made.gtin_14 == gtin.to_gtin_14(made.barcode)


# Portions and the rest


@pytest.mark.parametrize(
    "portion",
    [
        pytest.param(("", 30), id="no name"),
        pytest.param((None, 30), id="none"),
        pytest.param(("1 cup", "some"), id="no weight"),
        pytest.param(("1 cup", 0.001), id="weightless"),
        pytest.param(("1 cup", 10_001), id="over 10 kg"),
        pytest.param(("100g", 100), id="that all have"),
        pytest.param(("100 G", 100), id="that all have, otherwise written"),
    ],
)
def test_a_portion_that_cannot_be_is_left_out(portion: tuple[Any, Any]) -> None:
    assert food(portions=[portion, ("1 bowl", "40")]).portions == [{"name": "1 bowl", "grams": 40}]


def test_of_portions_with_one_name_the_first_counts() -> None:
    made = food(portions=[("1 cup", 40), ("1 cup", 50)])
    assert made.portions == [{"name": "1 cup", "grams": 40}]


def test_20_portions_are_kept() -> None:
    made = food(portions=[(f"portion {size}", size) for size in range(1, 50)])
    assert len(made.portions) == 20


@pytest.mark.parametrize(("given", "kept"), [(-1, 0), (2**40, 2**31 - 1), (7, 7)])
def test_popularity_fits_its_column(given: int, kept: int) -> None:
    assert food(popularity=given).popularity == kept


def test_a_clean_record_stays_as_it_is() -> None:
    time = datetime(2026, 1, 2, tzinfo=UTC)
    record = Record(
        source_id="4006381333931",
        name="Rolled oats",
        brand="Mill",
        language="en",
        kcal=372,
        kj=1556,
        values={
            "protein": 13.5, "carbs": 58.7, "fat": 7, "fiber": 10, "sugars": 0.7,
            "saturated_fat": 1.3, "salt": 0.02,
        },
        barcode=BARCODE,
        portions=[("1 bowl", 40)],
        popularity=12,
        updated_at=time,
    )  # fmt: skip
    made = clean_food(record)
    assert made.values == tuple(map(Decimal, ["13.5", "58.7", "7", "10", "0.7", "1.3", "0.02"]))
    assert (made.name, made.brand, made.language, made.kcal) == ("Rolled oats", "Mill", "en", 372)
    assert (made.barcode, made.gtin_14) == (BARCODE, "0" + BARCODE)
    assert made.portions == [{"name": "1 bowl", "grams": 40}]
    assert (made.popularity, made.updated_at, made.doubtful) == (12, time, False)
