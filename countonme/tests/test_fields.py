"""Strict fields: no type is converted, in bodies and in queries."""

from __future__ import annotations

import json
import math
import unicodedata
from datetime import UTC, date
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from typing import Any, ClassVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.serializers import Field

from countonme.api import fields
from countonme.api.json import JSONParser, dumps
from tests.helpers.api import Api

ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
# Any double, more often one that a field of 0 to 100 decides about; Kotlin's Float as JSON too.
DOUBLES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-1, 101)
    | st.floats(-1, 101, width=32)
    | st.builds(lambda thousandths: thousandths / 1000, st.integers(-100, 100_100))
)
# How far from an integer, around a millionth.
NEAR = st.floats(-2e-6, 2e-6)


def parsed(text: str) -> Any:
    """Return a JSON value as the API's parser reads it."""
    return JSONParser().parse(BytesIO(f'{{"value": {text}}}'.encode()))["value"]


def code(field: Field[Any, Any, Any, Any], value: Any) -> str:
    """Return the code by which a field refuses a value."""
    with pytest.raises(ValidationError) as refusal:
        field.run_validation(value)
    assert isinstance(refusal.value.detail, list)
    (detail,) = refusal.value.detail
    assert isinstance(detail, ErrorDetail)
    return str(detail.code)


def test_it_works(phone: Api) -> None:
    body = b'{"name": " Rice ", "kcal_100g": 130, "protein_100g": 2.70, "barcode": null}'
    product = phone.post("/v1/products", body).json()
    assert (product["name"], product["kcal_100g"], product["protein_100g"]) == ("Rice", 130, 2.7)


class TestWire:
    """The same through the API, where the promise is made."""

    def test_decimals_are_exact(self, phone: Api) -> None:
        for cents in (1, 7, 29, 57, 58, 9_999):
            text = f"{cents // 100}.{cents % 100:02}"
            body = f'{{"name": "x", "kcal_100g": 1, "fat_100g": {text}}}'.encode()
            response = phone.post("/v1/products", body)
            assert response.status_code == 201
            assert f'"fat_100g":{json.dumps(float(text))},'.encode() in response.content

    def test_days_are_never_converted(self, phone: Api) -> None:
        entry = phone.entry(date="2025-02-05", eaten_at="2025-02-05T23:30:00-11:00")
        assert (entry["date"], entry["eaten_at"]) == ("2025-02-05", "2025-02-06T10:30:00Z")


class TestText:
    field = fields.TextField(max_length=5)

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            ("a", "a"),
            (" a ", "a"),
            ("\t\r\na\u00a0\u2003\u3000", "a"),
            ("a b", "a b"),
            ("a\u00a0b", "a b"),
            ("a \t\r\n\u3000b", "a b"),
            ("abcde", "abcde"),
            (" abcde ", "abcde"),
            ("e\u0301" * 5, "é" * 5),
            ("🍎" * 5, "🍎" * 5),
            ("\u200b", "\u200b"),
            ("a\u200db", "a\u200db"),
            ("\ufeffa", "\ufeffa"),
            ("\ue000", "\ue000"),
            ("\ufffe", "\ufffe"),
            ("\U0010ffff", "\U0010ffff"),
            ("\u2028a", "a"),
            ("a\u2028b", "a b"),
            ("a\x85b", "a b"),
        ],
    )
    def test_it_is_judged_as_it_is_kept(self, sent: str, kept: str) -> None:
        assert self.field.run_validation(sent) == kept

    @pytest.mark.parametrize(
        "control", ["\x00", "\x01", "\x07", "\x1b", "\x1c", "\x1f", "\x7f", "\x84", "\x9f"]
    )
    def test_control_characters_are_refused(self, control: str) -> None:
        assert code(self.field, f"a{control}b") == "invalid"

    @pytest.mark.parametrize("text", ["\x00", "a\x00", "\x00a", "a\x01", "\x7fa", "\x1c", "a\x1f"])
    def test_at_the_ends_too(self, text: str) -> None:
        assert code(self.field, text) == "invalid"

    def test_where_a_blank_text_is_taken_too(self) -> None:
        field = fields.TextField(allow_blank=True)
        assert field.run_validation(" \t") == ""
        assert code(field, "\x1c") == "invalid"

    @pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc00\ud800"])
    def test_half_a_pair_of_surrogates_is_refused(self, text: str) -> None:
        assert code(self.field, text) == "invalid"

    @pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000"])
    def test_blank_is_refused(self, text: str) -> None:
        assert code(self.field, text) == "blank"

    @pytest.mark.parametrize(
        ("text", "length"), [("abcdef", 6), ("e\u0301" * 6, 6), ("\u0958" * 3, 6), ("🍎" * 6, 6)]
    )
    def test_the_length_is_that_of_what_is_kept(self, text: str, length: int) -> None:
        assert len(unicodedata.normalize("NFC", text)) == length
        assert code(self.field, text) == "max_length"

    @pytest.mark.parametrize("value", [5, 0, 1.5, True, [], {}, ["a"]])
    def test_nothing_else_is_text(self, value: Any) -> None:
        assert code(self.field, value) == "invalid"

    @settings(database=None, deadline=None)
    @given(st.text(max_size=5))
    def test_what_is_kept_is_kept_again(self, text: str) -> None:
        try:
            kept = self.field.run_validation(text)
        except ValidationError:
            return
        assert self.field.run_validation(kept) == kept


class TestWholeNumber:
    field = fields.WholeNumberField(min_value=-5, max_value=1000)

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("0", 0),
            ("-0", 0),
            ("-0.0", 0),
            ("1000", 1000),
            ("-5", -5),
            ("1.0", 1),
            ("1e3", 1000),
            ("1.5e1", 15),
            ("100e-1", 10),
            ("0e20", 0),
            ("0e99", 0),
            ("-0e99999", 0),
            ("0.000", 0),
            ("999.9999999999999999999", 1000),
            ("1e-99999", 0),
            ("29.999999999999996", 30),
            ("250.00000000000003", 250),
            ("0.999999", 1),
            ("1.000001", 1),
            ("-1e-6", 0),
            ("1000.000001", 1000),
        ],
    )
    def test_it_is_within_a_millionth_of_an_integer(self, text: str, number: int) -> None:
        value = self.field.run_validation(parsed(text))
        assert (value, type(value)) == (number, int)

    @pytest.mark.parametrize(
        "text",
        ["1.5", "0.1", "1e-1", "0.9999989", "1.0000011", '"1"', '""', "true", "[1]", "{}"],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        assert code(self.field, parsed(text)) == "invalid"

    @pytest.mark.parametrize(
        "text",
        [
            "1001",
            "1e18",
            "1e19",
            "9" * 18,
            "9" * 19,
            "9" * 5000,
            "1e400",
            "1e99999",
            "1e99999999",
            "1e9999999999999999999",
        ],
    )
    def test_however_large_it_is_too_large(self, text: str) -> None:
        assert code(self.field, parsed(text)) == "max_value"
        assert code(self.field, parsed(f"-{text}")) == "min_value"


class TestNumber:
    field = fields.NumberField(max_digits=None, decimal_places=2, min_value=0, max_value=100)

    @pytest.mark.parametrize(
        ("text", "number"),
        [
            ("0", "0"),
            ("-0", "0"),
            ("-0.00", "0"),
            ("0.01", "0.01"),
            ("0.1", "0.1"),
            ("0.29", "0.29"),
            ("100", "100"),
            ("100.00", "100"),
            ("1.10000000000000000000000000", "1.1"),
            ("1e2", "100"),
            ("1e-2", "0.01"),
            ("10e-3", "0.01"),
            ("0e-99", "0"),
            ("0e99", "0"),
            ("1.10000000000000000000001", "1.1"),
            ("1e-99999", "0"),
            ("0.30000000000000004", "0.3"),
            ("72.400000000000006", "72.4"),
            ("3.5999999046325684", "3.6"),
            ("81.6466266", "81.65"),
            ("0.3333333333333333", "0.33"),
            ("1.005", "1.01"),
            ("2.675", "2.68"),
            ("99.994999999999999", "100"),
            ("0.004", "0"),
            ("0.005", "0.01"),
            ("-0.004", "0"),
            ("100.004", "100"),
        ],
    )
    def test_it_is_the_shortest_decimal_of_its_double_rounded_half_up(
        self, text: str, number: str
    ) -> None:
        value = self.field.run_validation(parsed(text))
        assert (value, type(value)) == (Decimal(number), Decimal)
        assert not value.is_signed()

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("100.01", "max_value"),
            ("100.005", "max_value"),
            ("1e3", "max_value"),
            ("9" * 5000, "max_value"),
            ("1e99999", "max_value"),
            ("-0.01", "min_value"),
            ("-0.005", "min_value"),
            ("-1e99999", "min_value"),
        ],
    )
    def test_its_bounds_are_those_of_what_is_kept(self, text: str, expected: str) -> None:
        assert code(self.field, parsed(text)) == expected

    @pytest.mark.parametrize("text", ['"1"', "true", "false", "[]", "{}", '""'])
    def test_nothing_else_is_a_number(self, text: str) -> None:
        assert code(self.field, parsed(text)) == "invalid"

    def test_in_answers_it_is_a_json_number(self) -> None:
        assert dumps(Decimal("12.50")) == b"12.5"


class TestAnyDouble:
    """Against an independent computation, in fractions."""

    @staticmethod
    def shortest(double: float) -> Fraction:
        """Return the number that the shortest text of a double says."""
        return Fraction(json.dumps(double))

    @settings(database=None, deadline=None, max_examples=500)
    @given(DOUBLES)
    def test_a_number_is_rounded_half_up_and_then_judged(self, double: float) -> None:
        cents = math.floor(abs(self.shortest(double)) * 100 + Fraction(1, 2))
        kept = Fraction(-cents if double < 0 else cents, 100)
        value = parsed(json.dumps(double))
        if kept < 0:
            assert code(TestNumber.field, value) == "min_value"
        elif kept > 100:
            assert code(TestNumber.field, value) == "max_value"
        else:
            assert Fraction(TestNumber.field.run_validation(value)) == kept

    @settings(database=None, deadline=None, max_examples=500)
    @given(DOUBLES | st.builds(lambda whole, off: whole + off, st.integers(-7, 1002), NEAR))
    def test_an_integer_is_the_one_within_a_millionth(self, double: float) -> None:
        number = self.shortest(double)
        whole = math.floor(number + Fraction(1, 2))
        value = parsed(json.dumps(double))
        if abs(number - whole) > Fraction(1, 1_000_000):
            assert code(TestWholeNumber.field, value) == "invalid"
        elif -5 <= whole <= 1000:
            assert TestWholeNumber.field.run_validation(value) == whole
        else:
            expected = "min_value" if whole < 0 else "max_value"
            assert code(TestWholeNumber.field, value) == expected

    @settings(database=None, deadline=None)
    @given(st.floats(0, 100), st.integers(17, 40))
    def test_however_long_it_is_spelt_it_is_the_same(self, double: float, digits: int) -> None:
        short, long = parsed(json.dumps(double)), parsed(f"{double:.{digits}g}")
        assert TestNumber.field.run_validation(short) == TestNumber.field.run_validation(long)


class TestBoolean:
    field = fields.StrictBooleanField()

    @pytest.mark.parametrize("value", [True, False])
    def test_true_and_false_are(self, value: bool) -> None:
        assert self.field.run_validation(value) is value

    @pytest.mark.parametrize("value", [1, 0, "true", "True", "", "t", "on", [], {}, 1.0])
    def test_nothing_else_is(self, value: Any) -> None:
        assert code(self.field, value) == "invalid"

    def test_null_is_refused_as_such(self) -> None:
        assert code(self.field, None) == "null"


class TestUUID:
    field = fields.StrictUUIDField()

    @pytest.mark.parametrize("value", [ID, ID.upper(), ID.title()])
    def test_36_characters_in_either_case_are(self, value: str) -> None:
        assert self.field.run_validation(value) == UUID(ID)
        assert fields.parse_id(value) == UUID(ID)
        assert dumps(self.field.run_validation(value)) == f'"{ID}"'.encode()

    @pytest.mark.parametrize(
        "value",
        [
            ID.replace("-", ""),
            f"{ID}\n",
            f" {ID}",
            f"{{{ID}}}",
            f"urn:uuid:{ID}",
            f"{ID[:8]}{ID[9:]}-",
            "\u0660" + ID[1:],
            "",
            1,
            True,
            [ID],
            UUID(ID).int,
        ],
    )
    def test_nothing_else_is(self, value: Any) -> None:
        assert code(self.field, value) == "invalid"
        if isinstance(value, str):
            assert fields.parse_id(value) is None


class TestDay:
    field = fields.DayField()

    @pytest.mark.parametrize("value", ["2025-02-05", "2024-02-29", "0001-01-01", "9999-12-31"])
    def test_it_is_exactly_yyyy_mm_dd(self, value: str) -> None:
        day = self.field.run_validation(value)
        assert (day, type(day)) == (date.fromisoformat(value), date)
        assert dumps(day) == f'"{value}"'.encode()

    @pytest.mark.parametrize(
        "value",
        [
            "2025-2-5",
            "20250205",
            "2025-W06-3",
            "2025-036",
            "2025-02-30",
            "2025-02-29",
            "2025-13-01",
            "2025-00-01",
            "2025-01-00",
            "0000-01-01",
            "25-02-05",
            "12025-02-05",
            "-2025-02-05",
            "2025/02/05",
            "05-02-2025",
            " 2025-02-05",
            "2025-02-05\n",
            "2025-02-05T00:00:00Z",
            "２０２５-02-05",
            "",
            20250205,
            1738713600,
            True,
            [],
            ["2025-02-05"],
        ],
    )
    def test_nothing_else_is(self, value: Any) -> None:
        assert code(self.field, value) == "invalid"


class TestTimestamp:
    field = fields.TimestampField()

    @pytest.mark.parametrize(
        ("sent", "answered"),
        [
            ("2025-02-05T12:30:00Z", "2025-02-05T12:30:00Z"),
            ("2025-02-05t12:30:00z", "2025-02-05T12:30:00Z"),
            ("2025-02-05T12:30:00+00:00", "2025-02-05T12:30:00Z"),
            ("2025-02-05T12:30:00-00:00", "2025-02-05T12:30:00Z"),
            ("2025-02-05T12:30:00+02:00", "2025-02-05T10:30:00Z"),
            ("2025-02-05T23:30:00-11:00", "2025-02-06T10:30:00Z"),
            ("2025-02-05T12:30:00+23:59", "2025-02-04T12:31:00Z"),
            ("2025-02-05T12:30:00.5Z", "2025-02-05T12:30:00.500000Z"),
            ("2025-02-05T12:30:00.123456Z", "2025-02-05T12:30:00.123456Z"),
            ("2025-02-05T12:30:00.1234567Z", "2025-02-05T12:30:00.123456Z"),
            ("2025-02-05T12:30:00.000Z", "2025-02-05T12:30:00Z"),
            ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ],
    )
    def test_it_is_rfc_3339_with_an_offset(self, sent: str, answered: str) -> None:
        moment = self.field.run_validation(sent)
        assert moment.tzinfo is UTC
        assert dumps(moment) == f'"{answered}"'.encode()

    @pytest.mark.parametrize(
        "value",
        [
            "2025-02-05T12:30:00",
            "2025-02-05 12:30:00Z",
            "2025-02-05T12:30Z",
            "2025-02-05T12Z",
            "2025-02-05",
            "20250205T123000Z",
            "2025-02-05T123000Z",
            "2025-W06-3T12:30:00Z",
            "2025-02-05T12:30:00+02",
            "2025-02-05T12:30:00+0200",
            "2025-02-05T12:30:00+24:00",
            "2025-02-05T12:30:00+02:60",
            "2025-02-05T12:30:00+02:00:00",
            "2025-02-05T12:30:00,5Z",
            "2025-02-05T12:30:00.Z",
            "2025-02-05T24:00:00Z",
            "2025-02-05T12:60:00Z",
            "2025-02-30T12:30:00Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2025-02-05T12:30:00Z\n",
            " 2025-02-05T12:30:00Z",
            "２025-02-05T12:30:00Z",
            "",
            1738758600,
            1738758600.5,
            True,
            [],
        ],
    )
    def test_nothing_else_is(self, value: Any) -> None:
        assert code(self.field, value) == "invalid"

    @pytest.mark.django_db
    def test_a_moment_in_another_zone_is_answered_in_utc(self, phone: Api) -> None:
        entry = phone.entry(eaten_at="2025-02-05T12:30:00+02:00")
        assert entry["eaten_at"] == "2025-02-05T10:30:00Z"
        stored = phone.get(f"/v1/food-entries/{entry['id']}").json()
        assert stored["eaten_at"] == "2025-02-05T10:30:00Z"


class TestChoice:
    field = fields.StrictChoiceField(["lunch", "1", "True"])

    @pytest.mark.parametrize("value", ["lunch", "1", "True"])
    def test_it_is_one_of_the_strings(self, value: str) -> None:
        assert self.field.run_validation(value) == value

    @pytest.mark.parametrize("value", ["Lunch", " lunch", "", "dinner", 1, True, ["lunch"], {}])
    def test_nothing_else_is(self, value: Any) -> None:
        assert code(self.field, value) == "invalid_choice"


class TestEmpty:
    """An empty string where a string may be null."""

    FIELDS: ClassVar[list[type[Field[Any, Any, Any, Any]]]] = [
        fields.TextField,
        fields.StrictUUIDField,
        fields.DayField,
        fields.TimestampField,
    ]

    @pytest.mark.parametrize("value", ["", " ", "\t\n", "\u3000"])
    def test_it_is_null(self, value: str) -> None:
        for kind in self.FIELDS:
            assert kind(allow_null=True).run_validation(value) is None, kind
        assert fields.StrictChoiceField(["lunch"], allow_null=True).run_validation(value) is None

    @pytest.mark.parametrize("value", ["", " "])
    def test_it_is_no_number_and_no_boolean(self, value: str) -> None:
        number = fields.NumberField(max_digits=None, decimal_places=2, allow_null=True)
        whole = fields.WholeNumberField(allow_null=True)
        for field in (number, whole, fields.StrictBooleanField(allow_null=True)):
            assert code(field, value) == "invalid", field


class TestQueryInteger:
    field = fields.QueryIntegerField(min_value=0, max_value=200)

    @pytest.mark.parametrize(("text", "number"), [("0", 0), ("200", 200), ("007", 7), ("-0", 0)])
    def test_it_is_digits(self, text: str, number: int) -> None:
        assert self.field.run_validation(text) == number

    @pytest.mark.parametrize(
        "text", ["", " 1", "1 ", "+1", "1.0", "1e1", "1_0", "0x1", "１", "1\n", "--1", "9" * 5000]
    )
    def test_nothing_else_is(self, text: str) -> None:
        assert code(self.field, text) == "invalid"

    @pytest.mark.parametrize(("text", "kind"), [("-1", "min_value"), ("201", "max_value")])
    def test_it_has_bounds(self, text: str, kind: str) -> None:
        assert code(self.field, text) == kind
