"""`devices.tokens`: what a token is. How its signature is checked is in `test_signing.py`."""

from __future__ import annotations

import base64
import re
import uuid
from typing import Any

import pytest

from devices import tokens
from devices.models import Phone
from devices.tokens import signer

DEVICE_ID = uuid.UUID("0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f")
DEVICE = "C3ofPlpXTF6fSw17jhwqPw"
PHONE_ID = uuid.UUID("f1c1e0a4-8f3b-4c61-9a57-3d2b1c0f9e8d")
BOTH = "C3ofPlpXTF6fSw17jhwqP_HB4KSPO0xhmlc9KxwPno0"
SECRET = "qZrJkoENB2KwFiyvDywN4MCbFTqJt7xPdcmKvTvg1Wo"
TOKEN = f"{DEVICE}.{SECRET}"
TOKEN_OF_ANOTHER_PHONE = f"{BOTH}.{SECRET}"


def test_it_works() -> None:
    token = tokens.generate(DEVICE_ID, PHONE_ID)
    assert tokens.parse(token) == (DEVICE_ID, PHONE_ID)
    assert tokens.check_secret(token, tokens.hash_secret(token))
    assert signer.check(token, signer.sign(token))


def test_the_token_of_a_first_phone_is_the_device_id_and_32_random_bytes() -> None:
    device, _, secret = tokens.generate(DEVICE_ID, DEVICE_ID).partition(".")
    assert device == DEVICE
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)


def test_the_token_of_another_phone_names_the_phone_too() -> None:
    ids, _, secret = tokens.generate(DEVICE_ID, PHONE_ID).partition(".")
    assert ids == BOTH
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)


def test_a_token_that_was_issued_before_there_were_phones_is_the_first_phones() -> None:
    assert tokens.parse(TOKEN) == (DEVICE_ID, DEVICE_ID)


def test_no_two_tokens_are_alike() -> None:
    assert len({tokens.generate(DEVICE_ID, PHONE_ID) for _ in range(100)}) == 100


@pytest.mark.parametrize("phone_id", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), PHONE_ID])
@pytest.mark.parametrize("device_id", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), DEVICE_ID])
def test_any_ids_make_a_token(device_id: uuid.UUID, phone_id: uuid.UUID) -> None:
    assert tokens.parse(tokens.generate(device_id, phone_id)) == (device_id, phone_id)


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
        f"{BOTH[:-1]}.{SECRET}",
        f"{BOTH}A.{SECRET}",
        f"{BOTH[:-1]}1.{SECRET}",
        f"{BOTH}.{SECRET[:-1]}",
        f"{BOTH}.{SECRET[:-1]}p",
        f"{BOTH}=.{SECRET}",
        f"{BOTH}.{BOTH}.{SECRET}",
        f" {TOKEN_OF_ANOTHER_PHONE}",
        f"{TOKEN_OF_ANOTHER_PHONE}\n",
    ],
)
def test_only_the_canonical_spelling_is_parsed(token: str) -> None:
    assert tokens.parse(token) is None


def test_the_id_of_a_first_phone_is_not_written_out() -> None:
    twice = base64.urlsafe_b64encode(DEVICE_ID.bytes * 2).rstrip(b"=").decode()
    assert tokens.parse(f"{twice}.{SECRET}") is None


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


def test_the_signature_covers_the_ids() -> None:
    signature = signer.sign(TOKEN)
    assert not signer.check(f"{tokens.generate(uuid.uuid4(), PHONE_ID)[:-43]}{SECRET}", signature)
    assert not signer.check(TOKEN_OF_ANOTHER_PHONE, signature)


def test_neither_key_nor_secret_stands_in_what_is_stored(settings: Any) -> None:
    stored = signer.sign(TOKEN) + tokens.hash_secret(TOKEN)
    assert SECRET not in stored
    assert settings.SECRET_KEY not in stored


def test_what_is_stored_fits_its_columns() -> None:
    columns = {field.name: field.max_length for field in Phone._meta.fields}
    for name in ("token", "previous_token"):
        assert len(tokens.hash_secret(TOKEN)) == columns[f"{name}_hash"]
        assert len(signer.sign(TOKEN)) == columns[f"{name}_hmac"]
