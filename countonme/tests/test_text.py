"""Text: cleaned, folded, split into words, and what the database holds of the rules of names."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Upper
from hypothesis import given, settings
from hypothesis import strategies as st

from countonme.api.text import clean, fold, words
from products.models import Portion, Product
from products.names import WordsField, name_constraint
from tests.helpers.api import Api

# Hypothesis would keep what it finds in a folder of the working tree.
without_files = settings(database=None, deadline=None)
texts = st.text(max_size=40)


# Unicode's PropList.txt, White_Space.
WHITE_SPACE = {
    *range(0x09, 0x0E),
    *range(0x2000, 0x200B),
    *(0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
}
# NFKD makes a blank with an accent of these apostrophes.
spelt_otherwise = st.characters(exclude_characters="\u00b4\u1fbd\u1fbf\u1ffd")


def test_it_works() -> None:
    assert fold("Crème Brûlée") == "creme brulee"
    assert words("Crème Brûlée (2%)") == ["creme", "brulee", "2"]
    assert clean(" Crème  Brûlée ") == "Crème Brûlée"


def is_refused(text: str) -> bool:
    """Return whether a text can't be kept."""
    try:
        clean(text)
    except ValidationError:
        return True
    return False


@cache
def cleaned() -> dict[int, str | None]:
    """Return what cleaning makes of each character between two letters; None where it refuses."""
    texts = ((code, f"a{chr(code)}b") for code in range(0x110000))
    return {code: None if is_refused(text) else clean(text) for code, text in texts}


class TestClean:
    def test_all_white_space_is_one_blank_and_no_other_character_is(self) -> None:
        assert {code for code, kept in cleaned().items() if kept == "a b"} == WHITE_SPACE

    def test_other_control_characters_and_half_pairs_of_surrogates_are_refused(self) -> None:
        refused = {code for code, kept in cleaned().items() if kept is None}
        assert {unicodedata.category(chr(code)) for code in refused} == {"Cc", "Cs"}
        assert len(refused) == 65 + 2048 - len([*range(0x09, 0x0E), 0x85])

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("", ""),
            (" \t\u3000", ""),
            (" a ", "a"),
            ("a  b", "a b"),
            ("a\r\n\tb", "a b"),
            ("a\u00a0\u2009 b", "a b"),
            ("抹茶\u3000アイス", "抹茶 アイス"),
            ("Cre\u0300me", "Crème"),
            ("a\u200bb\ufeff", "a\u200bb\ufeff"),
        ],
    )
    def test_it_is_stripped_with_single_blanks_and_in_nfc(self, text: str, kept: str) -> None:
        assert clean(text) == kept

    @without_files
    @given(texts)
    def test_cleaning_again_changes_nothing(self, text: str) -> None:
        if not is_refused(text):
            assert clean(clean(text)) == clean(text)


class TestFold:
    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("", ""),
            ("ABC", "abc"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("ẞ", "ss"),
            ("Ångström", "angstrom"),
            ("A\u030angstro\u0308m", "angstrom"),
            ("\u212b", "a"),
            ("Smørrebrød", "smorrebrod"),
            ("Łódź", "lodz"),
            ("Đặng", "dang"),
            ("Ħobż", "hobz"),
            ("ŧ", "t"),
            ("Œuf", "oeuf"),
            ("Ærø", "aero"),
            ("ǽ", "ae"),
            ("ISPANAK ıspanak", "ispanak ispanak"),
            ("İzmir", "izmir"),
            ("ﬁsh", "fish"),
            ("½", "1\u20442"),
            ("Ⅷ", "viii"),
            ("①", "1"),
            ("ＡＢＣ", "abc"),
            ("ΣΊΣΥΦΟΣ", "σισυφοσ"),
            ("Σίσυφος", "σισυφοσ"),
            ("Ёлка", "елка"),
            ("カﾞ", "ガ"),
            ("がぎ", "がぎ"),
            ("パン", "パン"),
            ("は\u309aん", "ぱん"),
            ("ハ\u0301\u309a", "パ"),
            ("a\u3099", "a"),
            ("\u1100\u1165\u1111\u1175", "\uac70\ud53c"),
            ("\uac70\ud53c", "\uac70\ud53c"),
            ("葛\U000e0100", "葛"),
            ("❤\ufe0f 1\u20e3", "❤ 1"),
            ("Kellogg\u2019s Kellogg\u00b4s", "kellogg's kellogg's"),
            ("Coca\u2010Cola\u2013Light", "coca-cola-light"),
            ("a\u3000 b", "a b"),
            ("قَهْوَة", "قهوة"),
            ("שׁוֹקוֹ", "שוקו"),
            ("🍎", "🍎"),
            ("Choco\u00adlate", "chocolate"),
            ("\ufeffTea\u200b", "tea"),
            ("کتاب\u200cخانه", "کتابخانه"),
        ],
    )
    def test_case_and_accents_are_gone(self, text: str, folded: str) -> None:
        assert fold(text) == folded

    @without_files
    @given(texts)
    def test_folding_again_changes_nothing(self, text: str) -> None:
        assert fold(fold(text)) == fold(text)

    @without_files
    @given(st.text(spelt_otherwise, max_size=40), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
    def test_the_form_of_the_text_does_not_matter(self, text: str, form: Any) -> None:
        assert fold(unicodedata.normalize(form, text)) == fold(text)

    @without_files
    @given(texts)
    def test_case_does_not_matter(self, text: str) -> None:
        assert fold(text.upper()) == fold(text.lower()) == fold(text.swapcase()) == fold(text)

    @without_files
    @given(st.text(st.characters(categories=["L"]), min_size=1, max_size=40))
    def test_letters_never_vanish(self, text: str) -> None:
        assert fold(text)

    @without_files
    @given(texts)
    def test_no_combining_mark_is_left(self, text: str) -> None:
        assert not any(unicodedata.combining(character) for character in fold(text))

    def test_every_letter_folds_alike_in_every_case(self) -> None:
        cased = [c for c in map(chr, range(0x20000)) if c.upper() != c or c.lower() != c]
        assert len(cased) > 2000
        assert [c for c in cased if not fold(c) == fold(c.upper()) == fold(c.lower())] == []


class TestWords:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", []),
            (" \t ", []),
            ("!?%", []),
            ("🍎", []),
            ("❤\ufe0f", []),
            ("\u0940", []),
            ("3,5% Milk", ["3", "5", "milk"]),
            ("Chicken  Breast", ["chicken", "breast"]),
            ("snake_case", ["snake", "case"]),
            ("½ Brot", ["1", "2", "brot"]),
            ("हिन्दी", ["हिनदी"]),
            ("👨\u200d🍳 Soup", ["soup"]),
        ],
    )
    def test_they_are_runs_of_letters_digits_and_marks(
        self, text: str, expected: list[str]
    ) -> None:
        assert words(text) == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Coca-Cola", ["coca", "cocacola", "cola"]),
            ("M&M's", ["m", "mms", "m", "ms", "s"]),
            ("L'eau", ["l", "leau", "eau"]),
            ("80's", ["80", "80s", "s"]),
            ("rock-'n'-roll", ["rock", "rocknroll", "n", "nroll", "roll"]),
            ("7-Up", ["7", "up"]),
            ("B-12", ["b", "12"]),
            ("3-5", ["3", "5"]),
            ("२-४", ["२", "४"]),
            ("salt - pepper", ["salt", "pepper"]),
            ("salt & pepper", ["salt", "pepper"]),
            ("a--b", ["a", "b"]),
            ("-a- 'b' &", ["a", "b"]),
            ("कोका-कोला", ["कोका", "कोकाकोला", "कोला"]),
            ("コカ・コーラ", ["コカ", "コカコーラ", "コーラ"]),
        ],
    )
    def test_what_is_joined_has_each_piece_and_all_from_it_to_the_end(
        self, text: str, expected: list[str]
    ) -> None:
        assert words(text) == expected

    @pytest.mark.parametrize(
        "apostrophe",
        "'\u0060\u00b4\u02b9\u02bb\u02bc\u02bd\u02be\u02bf\u02c8\u02ca\u02cb\u055a\u05f3\u1fbd"
        "\u1fbf\u1ffd\u2018\u2019\u201a\u201b\u2032\u2035\ua78c\uff07\uff40",
    )
    def test_every_apostrophe_is_one(self, apostrophe: str) -> None:
        assert words(f"Kellogg{apostrophe}s") == words("Kellogg's")

    @pytest.mark.parametrize(
        "hyphen",
        "-\u058a\u05be\u1400\u1806\u2010\u2011\u2012\u2013\u2014\u2015\u2053\u207b\u208b\u2212"
        "\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d\u301c\u3030\u30a0\u30fb\ufe31\ufe32\ufe58\ufe63"
        "\uff0d\uff65\U00010ead",
    )
    def test_every_hyphen_is_one(self, hyphen: str) -> None:
        assert words(f"Coca{hyphen}Cola") == words("Coca-Cola")

    def test_every_ampersand_is_one(self) -> None:
        assert words("M﹠M") == words("M＆M") == words("M&M")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("日本茶", ["日本茶"]),
            ("LOVE抹茶", ["love", "抹茶"]),
            ("抹茶latte", ["抹茶", "latte"]),
            ("抹茶-latte", ["抹茶", "latte"]),
            ("100円", ["100", "円"]),
            ("おにぎりツナ", ["おにぎりツナ"]),
            ("ｱｲｽBar", ["アイス", "bar"]),
            ("커피우유500ml", ["커피우유", "500ml"]),
            ("ข้าวผัดThai", ["ขาวผัด", "thai"]),
            ("ເຂົ້າlao", ["ເຂົາ", "lao"]),
            ("បាយkhmer", ["បាយ", "khmer"]),
            ("ထမင်းbm", ["ထမငး", "bm"]),
            ("\U00020bb7野家x", ["\U00020bb7野家", "x"]),
        ],
    )
    def test_a_word_ends_where_a_script_without_blanks_does(
        self, text: str, expected: list[str]
    ) -> None:
        assert words(text) == expected

    @without_files
    @given(texts)
    def test_none_is_empty_or_holds_a_space(self, text: str) -> None:
        assert all(word and word.split() == [word] for word in words(text))

    @without_files
    @given(texts, texts)
    def test_a_space_separates(self, one: str, two: str) -> None:
        assert words(f"{one} {two}") == words(one) + words(two)

    @without_files
    @given(texts)
    def test_folding_before_changes_nothing(self, text: str) -> None:
        assert words(fold(text)) == words(text)

    @without_files
    @given(texts)
    def test_the_start_of_any_word_finds_the_text(self, text: str) -> None:
        derived = WordsField().derive(text)
        starts = (word[:length] for word in words(text) for length in range(1, len(word) + 1))
        assert all(f" {start}" in derived for start in starts)


class TestDerivedFields:
    def test_creating_makes_them(self, phone: Api) -> None:
        phone.product(name="Crème Brûlée")
        (row,) = Product.objects.across_devices().values("name_folded", "name_words")
        assert row == {"name_folded": "creme brulee", "name_words": " creme brulee"}

    def test_an_update_makes_them_anew(self, phone: Api) -> None:
        product = phone.product()
        phone.patch(f"/v1/products/{product['id']}", {"name": "Óó Ää"})
        (row,) = Product.objects.across_devices().values("name_folded", "name_words")
        assert row == {"name_folded": "oo aa", "name_words": " oo aa"}

    def test_a_bulk_insert_makes_them(self, phone: Api) -> None:
        Product.objects.bulk_create([Product(device=phone.device, name="Ä", kcal_100g=1)])
        assert Product.objects.across_devices().get().name_folded == "a"

    def test_an_update_of_rows_makes_them_anew(self, phone: Api) -> None:
        phone.product()
        Product.objects.across_devices().update(name="Óó Ää")
        (row,) = Product.objects.across_devices().values("name_folded", "name_words")
        assert row == {"name_folded": "oo aa", "name_words": " oo aa"}

    def test_a_name_that_only_the_database_knows_is_refused(self, phone: Api) -> None:
        product = phone.product()
        with pytest.raises(TypeError, match="derived"):
            Product.objects.across_devices().update(name=Upper("name"))
        assert phone.get("/v1/products").json() == [product]

    def test_the_longest_folding_can_be_stored(self, phone: Api) -> None:
        name = "".join(chr(0xFDFA + n % 2) for n in range(100))
        phone.product(name=name)
        assert [row["name"] for row in phone.get("/v1/products?search=صلى").json()] == [name]

    def test_order_is_by_code_point_of_the_folded_name(self, phone: Api) -> None:
        for name in ("b", "Z", "ä", "A b", "Ab", "~", "1", "語"):
            phone.product(name=name)
        found = [row["name"] for row in phone.get("/v1/products").json()]
        assert found == ["1", "ä", "A b", "Ab", "b", "Z", "~", "語"]


@pytest.mark.parametrize("model", [Product, Portion])
class TestConstraint:
    """The database refuses a name that no serializer lets through."""

    @pytest.mark.parametrize(
        "name",
        [
            "",
            " ",
            " a",
            "a ",
            "a  b",
            "a\nb",
            "\ta",
            "a\x7f",
            "a\x80b",
            "a\x9f",
            "a\x01",
            "a\u3000b",
        ],
    )
    def test_an_unclean_name_is_refused(self, model: Any, name: str, phone: Api) -> None:
        phone.product()
        with pytest.raises(IntegrityError, match="name_is_clean"), transaction.atomic():
            model.objects.across_devices().update(name=name)

    @pytest.mark.parametrize("name", ["a", "a b c", "é", "🍎", "a\u200db", "$^\\", "'"])
    def test_any_other_text_is_kept(self, model: Any, name: str, phone: Api) -> None:
        phone.product()
        model.objects.across_devices().update(name=name)
        assert model.objects.across_devices().get().name == name


def test_the_database_keeps_the_characters_that_cleaning_keeps(db: None) -> None:
    condition: Any = name_constraint("products").condition
    ((_, regex),) = condition.children
    with connection.cursor() as cursor:
        # A surrogate can't be sent, and NUL can't be stored.
        cursor.execute(
            "SELECT code FROM generate_series(1, x'10FFFF'::int) AS code"
            " WHERE code NOT BETWEEN x'D800'::int AND x'DFFF'::int"
            " AND 'a' || chr(code) || 'b' !~ %s",
            [regex],
        )
        refused = {code for (code,) in cursor.fetchall()}
    unclean = {code for code, kept in cleaned().items() if kept in (None, "a b")}
    assert refused == unclean - {0, ord(" "), *range(0xD800, 0xE000)}
