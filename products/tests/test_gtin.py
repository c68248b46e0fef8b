"""GTINs: what is one, and which are the same."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError
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


def test_it_works() -> None:
    assert gtin.is_valid("4006381333931")


@pytest.mark.parametrize("code", KNOWN)
def test_known_gtins_are_right(code: str) -> None:
    assert gtin.is_valid(code)
    gtin.validate(code)


@pytest.mark.parametrize("code", KNOWN)
def test_of_ten_check_digits_one_is_right(code: str) -> None:
    assert [gtin.is_valid(code[:-1] + digit) for digit in "0123456789"].count(True) == 1


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
def test_what_is_none_is_refused(code: str) -> None:
    assert not gtin.is_valid(code)
    with pytest.raises(ValidationError):
        gtin.validate(code)


@settings(deadline=None)
@given(code=st.from_regex(r"([0-9]{7}|[0-9]{11,13})", fullmatch=True), data=st.data())
def test_one_wrong_digit_is_always_found(code: str, data: st.DataObject) -> None:
    (right,) = (code + digit for digit in "0123456789" if gtin.is_valid(code + digit))
    place = data.draw(st.integers(0, len(right) - 1))
    digit = data.draw(st.sampled_from("0123456789").filter(lambda digit: digit != right[place]))
    assert not gtin.is_valid(right[:place] + digit + right[place + 1 :])


@pytest.mark.parametrize("code", KNOWN)
def test_leading_zeros_leave_it_right_and_the_same(code: str) -> None:
    for length in (8, 12, 13, 14):
        longer = code.zfill(length)
        assert gtin.is_valid(longer)
        assert gtin.normalize(longer) == code.zfill(14)
