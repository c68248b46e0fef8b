"""`devices.signing`: HMACs under keys that are derived from SECRET_KEY."""

from __future__ import annotations

import re
from typing import Any

import pytest

from devices.signing import Signer

SIGNER = Signer("a purpose")
TEXT = "what is signed"
ANOTHER_KEY = "another one, " * 5


def test_it_works() -> None:
    assert SIGNER.check(TEXT, SIGNER.sign(TEXT))
    assert not SIGNER.check("another text", SIGNER.sign(TEXT))


def test_a_signature_is_a_key_id_and_an_hmac() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}:[0-9a-f]{64}", SIGNER.sign(TEXT))
    assert SIGNER.sign(TEXT) == SIGNER.sign(TEXT)


def test_a_signature_for_one_purpose_is_worth_nothing_for_another() -> None:
    assert not Signer("another purpose").check(TEXT, SIGNER.sign(TEXT))
    assert not Signer("another purpose").is_known(SIGNER.sign(TEXT))


def test_the_signature_depends_on_the_key(settings: Any) -> None:
    first = SIGNER.sign(TEXT)
    settings.SECRET_KEY = ANOTHER_KEY
    assert SIGNER.sign(TEXT) != first
    assert not SIGNER.check(TEXT, first)


def test_the_key_id_alone_makes_no_signature() -> None:
    key_id, _, mac = SIGNER.sign(TEXT).partition(":")
    assert not SIGNER.check(TEXT, f"{key_id}:")
    assert not SIGNER.check(TEXT, f"{key_id}:{'0' * 64}")
    assert not SIGNER.check(TEXT, f"{'0' * 8}:{mac}")


@pytest.mark.parametrize("signature", ["", ":", "no signature", "é:é"])
def test_what_is_no_signature_fits_nothing(signature: str) -> None:
    assert not SIGNER.check(TEXT, signature)
    assert not SIGNER.is_known(signature)
    assert not SIGNER.is_current(signature)


def test_a_signature_tells_whose_key_made_it(settings: Any) -> None:
    old_key, old = settings.SECRET_KEY, SIGNER.sign(TEXT)
    settings.SECRET_KEY = ANOTHER_KEY
    assert (SIGNER.is_known(old), SIGNER.is_current(old)) == (False, False)
    settings.SECRET_KEY_FALLBACKS = [old_key]
    assert (SIGNER.is_known(old), SIGNER.is_current(old)) == (True, False)
    assert SIGNER.check(TEXT, old)
    new = SIGNER.sign(TEXT)
    assert (SIGNER.is_known(new), SIGNER.is_current(new)) == (True, True)


def test_the_signatures_of_all_keys_begin_with_the_current_ones(settings: Any) -> None:
    old_key, old = settings.SECRET_KEY, SIGNER.sign(TEXT)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = ANOTHER_KEY, [old_key]
    assert SIGNER.signatures(TEXT) == [SIGNER.sign(TEXT), old]


def test_the_key_is_not_in_the_signature(settings: Any) -> None:
    assert settings.SECRET_KEY not in SIGNER.sign(TEXT)
