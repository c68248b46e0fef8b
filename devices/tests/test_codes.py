"""`devices.codes`: how pairing codes and recovery keys are written, and what of them is stored."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes, tokens
from devices.models import PairingCode, Phone, RecoveryKey

CODE = "BCDFGHJKLMNP"
KEY = "7Z3MK0QH9RXT5WC2VJ8N6PBFG" + codes.check_character("7Z3MK0QH9RXT5WC2VJ8N6PBFG")
DIGEST_OF_KEY = hashlib.sha256(KEY.encode()).hexdigest()
# What people and keyboards put between groups.
SEPARATORS = [
    " ",
    "-",
    " - ",
    "\t",
    "\n",
    "\u00a0",
    "\u3000",
    "\u00ad",
    *"\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "\uff0d",
]
# Hypothesis would keep what it finds in a folder of the working tree, and time is not its business.
without_files = settings(database=None, deadline=None)
codes_of_people = st.text(codes.CONSONANTS, min_size=12, max_size=12)
randoms = st.text(codes.CROCKFORD, min_size=25, max_size=25)


def written(data: Any, text: str) -> str:
    """Return a text in some case, with separators anywhere."""
    choices = st.sampled_from(["", "", "", *SEPARATORS])
    spelt = [
        data.draw(choices) + (character.lower() if data.draw(st.booleans()) else character)
        for character in text
    ]
    return "".join(spelt) + data.draw(choices)


def test_it_works() -> None:
    assert codes.digests(codes.printed_code(CODE)) == codes.digests(CODE) != []
    assert codes.digests(codes.printed_key(KEY)) == [DIGEST_OF_KEY]


class TestCode:
    def test_a_code_is_twelve_of_the_twenty_consonants_of_rfc_8628(self) -> None:
        assert codes.CONSONANTS == "BCDFGHJKLMNPQRSTVWXZ"
        assert all(re.fullmatch(rf"[{codes.CONSONANTS}]{{12}}", codes.new_code()) for _ in range(9))

    def test_every_consonant_occurs(self) -> None:
        found = set("".join(codes.new_code() for _ in range(200)))
        assert found == set(codes.CONSONANTS)

    def test_no_two_codes_are_alike(self) -> None:
        assert len({codes.new_code() for _ in range(100)}) == 100

    def test_it_is_printed_in_three_groups_of_four(self) -> None:
        assert codes.printed_code(CODE) == "BCDF-GHJK-LMNP"

    @without_files
    @given(st.data(), codes_of_people)
    def test_case_blanks_and_hyphens_do_not_matter(self, data: Any, code: str) -> None:
        assert (
            codes.digests(written(data, code)) == codes.digests(code) == [codes.signer.sign(code)]
        )

    @without_files
    @given(codes_of_people, codes_of_people)
    def test_another_code_has_another_digest(self, one: str, another: str) -> None:
        assert (codes.digests(one) == codes.digests(another)) == (one == another)

    def test_letters_of_full_width_are_letters(self) -> None:
        wide = "".join(chr(ord(letter) + 0xFEE0) for letter in CODE)
        assert codes.digests(wide) == codes.digests(CODE)

    @pytest.mark.parametrize(
        "typed",
        [
            "",
            "-",
            CODE[:-1],
            f"{CODE}B",
            CODE.replace("P", "A"),
            CODE.replace("P", "Y"),
            CODE.replace("P", "0"),
            CODE.replace("P", "É"),
            CODE.replace("P", "\u200b"),
            CODE.replace("P", "."),
            f"{CODE}.",
            f"{CODE}_",
        ],
    )
    def test_anything_else_is_no_code(self, typed: str) -> None:
        assert codes.digests(typed) == []

    def test_there_is_a_digest_for_each_known_secret_key(self, settings: Any) -> None:
        old_key, old = settings.SECRET_KEY, codes.digests(CODE)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another one, " * 5, [old_key]
        assert codes.digests(CODE) == [codes.signer.sign(CODE), *old]

    def test_the_digest_is_no_tokens_signature(self) -> None:
        assert tokens.signer.sign(CODE) not in codes.digests(CODE)


class TestKey:
    def test_a_key_is_26_characters_of_crockfords_base_32(self) -> None:
        assert codes.CROCKFORD == "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
        for _ in range(9):
            key = codes.new_key()
            assert re.fullmatch(rf"[{codes.CROCKFORD}]{{26}}", key)
            assert codes.check_character(key[:-1]) == key[-1]

    def test_every_character_occurs(self) -> None:
        found = set("".join(codes.new_key()[:-1] for _ in range(200)))
        assert found == set(codes.CROCKFORD)

    def test_no_two_keys_are_alike(self) -> None:
        assert len({codes.new_key() for _ in range(100)}) == 100

    def test_it_is_printed_in_groups_of_five_and_one_of_six(self) -> None:
        groups = codes.printed_key(KEY).split("-")
        assert [len(group) for group in groups] == [5, 5, 5, 5, 6]
        assert "".join(groups) == KEY

    @pytest.mark.parametrize(
        ("random", "check"),
        [
            ("0" * 25, "0"),
            ("1" + "0" * 24, "1"),
            ("Z" + "0" * 24, "Z"),
            ("01" + "0" * 23, "3"),
            ("0" * 24 + "1", "H"),
            ("1" * 25, "H"),
        ],
    )
    def test_the_check_character_is_the_weighted_sum(self, random: str, check: str) -> None:
        assert codes.check_character(random) == check

    @without_files
    @given(st.data(), randoms)
    def test_case_blanks_hyphens_and_lookalikes_do_not_matter(self, data: Any, random: str) -> None:
        key = random + codes.check_character(random)
        lookalikes = {"0": "0O", "1": "1IL"}
        typed = "".join(data.draw(st.sampled_from(lookalikes.get(c, c))) for c in key)
        expected = hashlib.sha256(key.encode()).hexdigest()
        assert codes.digests(written(data, typed)) == [expected]
        assert codes.key_digest(written(data, typed)) == expected

    @without_files
    @given(randoms)
    def test_every_wrong_character_is_noticed(self, random: str) -> None:
        key = random + codes.check_character(random)
        for place, right in enumerate(key):
            for wrong in codes.CROCKFORD:
                changed = key[:place] + wrong + key[place + 1 :]
                assert (codes.key_digest(changed) is not None) == (wrong == right), changed

    @without_files
    @given(randoms)
    def test_nearly_every_swap_of_neighbours_is_noticed(self, random: str) -> None:
        key = random + codes.check_character(random)
        for place, (one, two) in enumerate(pairwise(key[:25])):
            swapped = key[:place] + two + one + key[place + 2 :]
            # The sum changes by twice the difference of their values, which is 0 modulo 32 at 16.
            apart = abs(codes.CROCKFORD.index(one) - codes.CROCKFORD.index(two))
            assert (codes.key_digest(swapped) is None) == (apart not in (0, 16)), swapped

    @pytest.mark.parametrize(
        "typed",
        ["", KEY[:-1], f"{KEY}0", KEY[:-1] + "U", KEY[:-1] + "é", f"{KEY}.", KEY[:-1] + "\u200b"],
    )
    def test_anything_else_is_no_key(self, typed: str) -> None:
        assert codes.digests(typed) == []
        assert codes.key_digest(typed) is None

    def test_the_digest_outlives_secret_keys(self, settings: Any) -> None:
        settings.SECRET_KEY = "another one, " * 5
        assert codes.digests(KEY) == [DIGEST_OF_KEY]

    @pytest.mark.parametrize(
        ("typed", "is_key"),
        [
            (KEY, True),
            (codes.printed_key(KEY).lower(), True),
            (KEY[:-1] + ("0" if KEY[-1] != "0" else "1"), True),
            (CODE, False),
            ("", False),
            (KEY[:-1], False),
            (f"{KEY}0", False),
        ],
    )
    def test_what_is_written_as_a_key_is_told_by_its_length(self, typed: str, is_key: bool) -> None:
        assert codes.is_key(typed) == is_key


@without_files
@given(st.text())
def test_whatever_is_typed_is_one_code_or_key_or_neither(typed: str) -> None:
    assert len(codes.digests(typed)) <= 1


def test_what_is_stored_fits_its_columns() -> None:
    columns = {
        model: model._meta.get_field("digest").max_length for model in (PairingCode, RecoveryKey)
    }
    (of_code,), (of_key,) = codes.digests(CODE), codes.digests(KEY)
    assert len(of_code) == columns[PairingCode] == Phone._meta.get_field("joined_by").max_length
    assert len(of_key) == columns[RecoveryKey] == 64
