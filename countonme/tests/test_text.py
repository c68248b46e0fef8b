"""Names: folded for order and search, and what the database holds of their rules."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Upper
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Api
from countonme.text import WordsField, fold, words
from products.models import Portion, Product

# Hypothesis would keep what it finds in a folder of the working tree.
without_files = settings(database=None, deadline=None)
texts = st.text(max_size=40)


def test_it_works() -> None:
    assert fold("Crème Brûlée") == "creme brulee"
    assert words("Crème Brûlée (2%)") == ["creme", "brulee", "2"]


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
            ("カﾞ", "カ"),
            ("がぎ", "かき"),
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
    @given(texts, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
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
            ("7-Up", ["7", "up"]),
            ("M&M's", ["m", "m", "s"]),
            ("3,5% Milk", ["3", "5", "milk"]),
            ("Chicken  Breast", ["chicken", "breast"]),
            ("snake_case", ["snake", "case"]),
            ("½ Brot", ["1", "2", "brot"]),
            ("日本茶", ["日本茶"]),
            ("हिन्दी", ["हिनदी"]),
            ("ข้าวผัด", ["ขาวผัด"]),
            ("👨‍🍳 Soup", ["soup"]),
        ],
    )
    def test_they_are_runs_of_letters_digits_and_marks(
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
        "name", ["", " ", " a", "a ", "a\nb", "\ta", "a\x7f", "a\x80b", "a\x9f", "a\x01"]
    )
    def test_an_unclean_name_is_refused(self, model: Any, name: str, phone: Api) -> None:
        phone.product()
        with pytest.raises(IntegrityError, match="name_is_clean"), transaction.atomic():
            model.objects.across_devices().update(name=name)

    @pytest.mark.parametrize("name", ["a", "a b", "é", "🍎", "a\u00a0b", "a\u200db", "$^\\", "'"])
    def test_any_other_text_is_kept(self, model: Any, name: str, phone: Api) -> None:
        phone.product()
        model.objects.across_devices().update(name=name)
        assert model.objects.across_devices().get().name == name
