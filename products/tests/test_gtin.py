"""Barcodes: what is one, which are the same, and that the database knows it as well."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from products import gtin

KNOWN = [
    "96385074",  # GTIN-8, GS1 General Specifications
    "73513537",  # GTIN-8, Wikipedia's example of an EAN-8
    "50184385",  # GTIN-8, a bar of chocolate
    "036000291452",  # GTIN-12, Wikipedia's example of a UPC-A
    "614141000036",  # GTIN-12, GS1 US
    "4006381333931",  # GTIN-13, a text marker
    "6291041500213",  # GTIN-13, GS1's example of the check digit
    "9780201379624",  # GTIN-13, a book
    "10614141000415",  # GTIN-14, GS1 US
    "00012345600012",  # GTIN-14, GS1
    "00000000",
    "99999999999997",
]
# A UPC-E and the UPC-A that it stands for, both with their check digit.
UPC_E = {
    "01234558": "012345000058",  # BWIPP's example
    "04252614": "042100005264",  # DevExpress's examples, of number systems 0 and 1
    "14252611": "142100005261",
    "01245608": "012000004568",  # Printronix's table: one for each way to leave zeros out
    "02758314": "027100005834",
    "04120229": "041200002029",
    "08765438": "087600000548",
    "07537743": "075370000073",
    "02137568": "021375000068",
    "05170197": "051701000097",
    "17537740": "175370000070",
    "18765435": "187600000545",
}


def test_it_works() -> None:
    assert gtin.to_gtin_14("4006381333931") == "04006381333931"


def is_valid(code: str) -> bool:
    """Return whether a text is a barcode."""
    return gtin.to_gtin_14(code) is not None


@pytest.mark.parametrize("code", KNOWN)
def test_known_gtins_are_right(code: str) -> None:
    assert is_valid(code)
    gtin.validate(code)


@pytest.mark.parametrize("code", KNOWN)
def test_of_ten_check_digits_one_is_right(code: str) -> None:
    assert [is_valid(code[:-1] + digit) for digit in "0123456789"].count(True) == 1


@pytest.mark.parametrize(
    "code",
    [
        "",
        "0",
        "0000000",
        "000000000",
        "0000000000",
        "00000000000",
        "000000000000000",
        "4006381333932",
        "4006381339331",
        " 96385074",
        "96385074\n",
        "9638507x",
        "-9638507",
        "+96385074",
        "9638 5074",
        "٩٦٣٨٥٠٧٤",
        "９６３８５０７４",
        "9638507²",
    ],
)
def test_what_is_no_barcode_is_refused(code: str) -> None:
    assert not is_valid(code)
    with pytest.raises(ValidationError):
        gtin.validate(code)


@settings(deadline=None)
@given(code=st.from_regex(r"([2-9][0-9]{6}|[0-9]{11,13})", fullmatch=True), data=st.data())
def test_one_wrong_digit_is_always_found(code: str, data: st.DataObject) -> None:
    (right,) = (code + digit for digit in "0123456789" if is_valid(code + digit))
    place = data.draw(st.integers(0, len(right) - 1))
    # A GTIN-8 of another first digit could be a UPC-E.
    digits = "0123456789" if place or len(right) > 8 else "23456789"
    digit = data.draw(st.sampled_from(digits).filter(lambda digit: digit != right[place]))
    assert not is_valid(right[:place] + digit + right[place + 1 :])


@pytest.mark.parametrize("code", KNOWN)
def test_leading_zeros_leave_it_right_and_the_same(code: str) -> None:
    for length in (8, 12, 13, 14):
        longer = code.zfill(length)
        assert is_valid(longer)
        assert gtin.to_gtin_14(longer) == code.zfill(14)


@pytest.mark.parametrize(("upc_e", "upc_a"), UPC_E.items())
def test_a_upc_e_is_the_upc_a_that_it_stands_for(upc_e: str, upc_a: str) -> None:
    assert is_valid(upc_a)
    assert gtin.to_gtin_14(upc_e) == gtin.to_gtin_14(upc_a) == upc_a.zfill(14)


@pytest.mark.parametrize("upc_e", ["07537743", "17537740", "08765438", "14252611"])
def test_a_upc_e_has_the_check_digit_of_its_upc_a(upc_e: str) -> None:
    others = (upc_e[:-1] + digit for digit in "0123456789" if digit != upc_e[-1])
    as_gtin_8 = [code for code in others if is_valid(code)]
    assert [gtin.to_gtin_14(code) for code in as_gtin_8] == [as_gtin_8[0].zfill(14)]


@pytest.mark.parametrize("code", ["27537743", "97537740", "0753774", "007537743"])
def test_a_upc_e_has_8_digits_and_the_number_system_0_or_1(code: str) -> None:
    assert not is_valid(code)


@pytest.mark.parametrize(
    ("code", "gtin_14"),
    [
        ("01245608", "00012000004568"),
        ("05170197", "00051701000097"),
        ("11245605", "00000011245605"),
        ("15170194", "00000015170194"),
    ],
)
def test_a_code_valid_as_upc_e_and_gtin_8_is_a_upc_e_if_it_starts_with_0(
    code: str, gtin_14: str
) -> None:
    assert is_valid(f"0000{code}")
    assert gtin.to_gtin_14(code) == gtin_14


@pytest.mark.parametrize(
    "typed",
    [
        "4006381333931",
        "4 006381 333931",
        "400-6381-33393-1",
        " 4006381333931\n",
        "4\u00a0006381\u2009333931\u3000",
        "4\u2010006381\u2011333931\u2013\u2212",
        "4006381\u00ad333931",
    ],
)
def test_white_space_and_hyphens_of_every_kind_are_taken_out(typed: str) -> None:
    assert gtin.compact(typed) == "4006381333931"


@pytest.mark.parametrize(
    "typed", ["4006.381", "4_006", "+4006", "40\x1c06", "4\u200b006", "40ー06"]
)
def test_nothing_else_is_taken_out(typed: str) -> None:
    assert gtin.compact(typed) == typed


def test_the_database_normalizes_alike(db: None) -> None:
    chance = random.Random(1)  # noqa: S311  # any digits
    short = ["".join(digits) for digits in product("01", *["039"] * 3, "04", "04", "0123456789")]
    codes = [code + digit for code in short for digit in "0123456789"]
    # All that have a right check digit, and a few of the many that have none.
    codes = [code for code in codes if gtin.to_gtin_14(code) or chance.random() < 0.05]
    for length in (7, 8, 9, 11, 12, 13, 14, 15):
        codes += ["".join(chance.choices("0123456789", k=length)) for _ in range(500)]
    codes += ["", "abcdefgh", "9638507x", " 96385074", "96385074\n", "９６３８５０７４", "-9638507"]
    with connection.cursor() as cursor:
        query = "SELECT code, to_gtin_14(code) FROM unnest(%s::text[]) AS code"
        cursor.execute(query, [codes])
        found: dict[str, Any] = dict(cursor.fetchall())
    assert found == {code: gtin.to_gtin_14(code) for code in codes}
    # Valid as a GTIN-8 and as another UPC-E.
    for start, is_gtin_8 in (("0", False), ("1", True)):
        both = {c for c in found if len(c) == 8 and c[0] == start and is_valid(f"0000{c}")}
        upc_a = {c: gtin.expand_upc_e(c) for c in both}
        both = {c for c in both if is_valid(upc_a[c]) and upc_a[c] != f"0000{c}"}
        assert len(both) > 100
        assert {found[code] == code.zfill(14) for code in both} == {is_gtin_8}
