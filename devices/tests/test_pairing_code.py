"""`POST /v1/auth/pairing-code`; what a code is good for is in `test_pair.py`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from devices import codes
from devices.models import PairingCode
from tests.helpers.api import Api, offences, request_body
from tests.helpers.phones import (
    PAIRING_CODE,
    another_phone,
    device_of,
    get_code,
    id_of,
    pair,
    status,
    try_pair,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_it_works(phone: Api) -> None:
    with time_machine.travel(NOW, tick=False):
        response = phone.post(PAIRING_CODE, {"move": False})
    assert response.status_code == 201
    assert list(response.json()) == ["code", "expires_at"]
    assert response.json()["expires_at"] == "2026-03-01T12:10:00.250000Z"
    letters = f"[{codes.CONSONANTS}]{{4}}"
    assert re.fullmatch(rf"{letters}-{letters}-{letters}", response.json()["code"])


def test_another_phone_joins_by_it(phone: Api) -> None:
    product = phone.product()
    assert pair(get_code(phone)).get("/v1/products").json() == [product]


@pytest.mark.parametrize("body", [None, {}, {"move": False}, {"to": "my tablet"}])
def test_nothing_has_to_be_sent(phone: Api, body: Any) -> None:
    assert phone.post(PAIRING_CODE, body).status_code == 201
    assert PairingCode.objects.get().is_move is False


def test_a_move_is_asked_for(phone: Api) -> None:
    assert phone.post(PAIRING_CODE, {"move": True}).status_code == 201
    assert PairingCode.objects.get().is_move is True


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("null", "null"),
        ("1", "invalid"),
        ("0", "invalid"),
        ('"true"', "invalid"),
        ('""', "invalid"),
        ("[]", "invalid"),
        ("{}", "invalid"),
    ],
)
def test_move_is_true_or_false(phone: Api, text: str, kind: str) -> None:
    response = phone.post(PAIRING_CODE, request_body({}, move=text))
    assert offences(response) == [(["body", "move"], kind)]
    assert not PairingCode.objects.exists()


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff"])
def test_a_body_is_an_object(phone: Api, body: bytes) -> None:
    assert phone.post(PAIRING_CODE, body).status_code == 400


def test_no_two_codes_are_alike(phone: Api) -> None:
    assert len({get_code(phone) for _ in range(20)}) == 20


def test_a_new_one_takes_the_place_of_the_one_before(phone: Api) -> None:
    first = get_code(phone, move=True)
    second = get_code(phone)
    assert try_pair(first).status_code == 404
    assert PairingCode.objects.get().is_move is False
    assert status(pair(second)) == 200


def test_it_takes_the_place_of_another_phones(phone: Api) -> None:
    second = another_phone(phone)
    first = get_code(second)
    get_code(phone)
    assert try_pair(first).status_code == 404
    assert PairingCode.objects.get().phone_id == id_of(phone)


def test_codes_of_other_devices_stay(phone: Api, other: Api) -> None:
    code = get_code(other)
    get_code(phone)
    assert pair(code).device == other.device


def test_any_phone_of_the_device_may_ask(phone: Api) -> None:
    second = another_phone(phone)
    assert pair(get_code(second)).device == phone.device


def test_a_phone_that_joined_by_a_code_may_ask(phone: Api) -> None:
    second = pair(get_code(phone))
    assert pair(get_code(second)).device == phone.device


def test_the_code_is_stored_nowhere(phone: Api) -> None:
    code = get_code(phone)
    stored = PairingCode.objects.values().get()
    for spelt in (code, code.replace("-", ""), code.lower()):
        assert not any(spelt in str(value) for value in stored.values())
    assert stored["digest"] == codes.signer.sign(code.replace("-", ""))


def test_no_log_has_it(phone: Api, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        code = get_code(phone)
        pair(code)
    # Django logs SQL with its parameters to a logger of its own, which is off outside of tests.
    texts = [r.getMessage() for r in caplog.records if not r.name.startswith("django.db")]
    for spelt in (code, code.replace("-", "")):
        assert not any(spelt in text for text in texts)


def test_the_revision_stays(phone: Api) -> None:
    before = device_of(phone).revision
    get_code(phone)
    assert device_of(phone).revision == before


def test_the_answer_is_kept_by_no_cache(phone: Api) -> None:
    assert phone.post(PAIRING_CODE).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_is_allowed(phone: Api, method: str) -> None:
    response = phone.request(method, PAIRING_CODE)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
