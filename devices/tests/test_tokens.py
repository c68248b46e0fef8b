"""`devices.tokens`: what a token is and how it is checked."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from devices import tokens
from devices.models import Device

DEVICE_ID = uuid.UUID("0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f")
DEVICE = "C3ofPlpXTF6fSw17jhwqPw"
SECRET = "qZrJkoENB2KwFiyvDywN4MCbFTqJt7xPdcmKvTvg1Wo"
TOKEN = f"{DEVICE}.{SECRET}"


def test_it_works() -> None:
    token = tokens.generate(DEVICE_ID)
    assert tokens.parse(token) == DEVICE_ID
    assert tokens.check_secret(token, tokens.hash_secret(token))
    assert tokens.check_signature(token, tokens.sign(token))


def test_a_token_is_the_device_id_and_32_random_bytes() -> None:
    device, _, secret = tokens.generate(DEVICE_ID).partition(".")
    assert device == DEVICE
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)


def test_no_two_tokens_are_alike() -> None:
    assert len({tokens.generate(DEVICE_ID) for _ in range(100)}) == 100


@pytest.mark.parametrize("device_id", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), DEVICE_ID])
def test_any_id_makes_a_token(device_id: uuid.UUID) -> None:
    assert tokens.parse(tokens.generate(device_id)) == device_id


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        DEVICE,
        f"{DEVICE}.",
        f".{SECRET}",
        f"{SECRET}.{DEVICE}",
        f"{DEVICE}.{SECRET[:-1]}",
        f"{DEVICE}.{SECRET}A",
        f"{DEVICE[:-1]}.{SECRET}",
        f"{DEVICE}A.{SECRET}",
        f" {TOKEN}",
        f"{TOKEN}\n",
        f"{TOKEN}=",
        f"{DEVICE}==.{SECRET}",
        f"{TOKEN}.",
        f"{TOKEN}.{SECRET}",
        f"{DEVICE}.é{SECRET[1:]}",
        f"{DEVICE}.\ud800{SECRET[1:]}",
        f"{DEVICE}.+{SECRET[1:]}",
        f"{DEVICE}./{SECRET[1:]}",
        f"{DEVICE[:-1]}x.{SECRET}",
        f"{DEVICE}.{SECRET[:-1]}p",
        str(DEVICE_ID),
    ],
)
def test_only_the_canonical_spelling_is_parsed(token: str) -> None:
    assert tokens.parse(token) is None


def test_only_the_secret_is_hashed_for_bcrypt_sees_72_bytes_at_most() -> None:
    hashed = tokens.hash_secret(TOKEN)
    assert tokens.check_secret(f"whatever.{SECRET}", hashed)
    assert not tokens.check_secret(f"{DEVICE}.{SECRET[:-1]}p", hashed)


@pytest.mark.parametrize("rounds", [4, 5])
def test_the_cost_of_bcrypt_is_a_setting(settings: Any, rounds: int) -> None:
    settings.BCRYPT_ROUNDS = rounds
    assert tokens.hash_secret(TOKEN).startswith(f"$2b$0{rounds}$")


def test_a_hash_has_its_own_salt() -> None:
    assert tokens.hash_secret(TOKEN) != tokens.hash_secret(TOKEN)


def test_the_signature_covers_the_device_id() -> None:
    swapped = tokens.generate(uuid.uuid4()).partition(".")[0]
    assert not tokens.check_signature(f"{swapped}.{SECRET}", tokens.sign(TOKEN))


def test_the_signature_depends_on_the_key(settings: Any) -> None:
    first = tokens.sign(TOKEN)
    settings.SECRET_KEY = "another one, " * 5
    assert tokens.sign(TOKEN) != first
    assert not tokens.check_signature(TOKEN, first)


def test_the_key_id_alone_makes_no_signature() -> None:
    key_id, _, mac = tokens.sign(TOKEN).partition(":")
    assert not tokens.check_signature(TOKEN, f"{key_id}:")
    assert not tokens.check_signature(TOKEN, f"{key_id}:{'0' * 64}")
    assert not tokens.check_signature(TOKEN, f"{'0' * 8}:{mac}")


def test_neither_key_nor_secret_stands_in_what_is_stored(settings: Any) -> None:
    stored = tokens.sign(TOKEN) + tokens.hash_secret(TOKEN)
    assert SECRET not in stored
    assert settings.SECRET_KEY not in stored


def test_a_signature_tells_whose_key_made_it(settings: Any) -> None:
    old_key, old = settings.SECRET_KEY, tokens.sign(TOKEN)
    settings.SECRET_KEY = "another one, " * 5
    assert (tokens.is_known(old), tokens.is_current(old)) == (False, False)
    settings.SECRET_KEY_FALLBACKS = [old_key]
    assert (tokens.is_known(old), tokens.is_current(old)) == (True, False)
    assert tokens.check_signature(TOKEN, old)
    new = tokens.sign(TOKEN)
    assert (tokens.is_known(new), tokens.is_current(new)) == (True, True)


def test_what_is_stored_fits_its_columns() -> None:
    columns = {field.name: field.max_length for field in Device._meta.fields}
    assert len(tokens.hash_secret(TOKEN)) == columns["token_hash"]
    assert len(tokens.sign(TOKEN)) == columns["token_hmac"]
