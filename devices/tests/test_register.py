"""`POST /v1/auth/register`; its throttle is in `test_throttling.py`."""

from __future__ import annotations

import re
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.db import connection

from devices import tokens
from devices.models import Device, Phone
from tests.helpers.api import Api, offences, request_body
from tests.helpers.values import NAMES_KEPT

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEVICE_ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"


def register(client: Api, device_id: object = DEVICE_ID) -> Any:
    return client.post("/v1/auth/register", {"device_id": device_id})


def test_it_works(nobody: Api) -> None:
    response = register(nobody)
    assert response.status_code == 200
    assert list(response.json()) == ["token"]
    device = Api(token=response.json()["token"]).get("/v1/auth/device")
    assert device.status_code == 200
    assert device.json()["id"] == DEVICE_ID


def test_the_token_is_url_safe_and_at_most_200_characters(nobody: Api) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._~-]{1,200}", register(nobody).json()["token"])


def test_the_token_is_stored_nowhere(nobody: Api) -> None:
    secret = register(nobody).json()["token"].partition(".")[2]
    rows = (Device.objects.values().get(), Phone.objects.values().get())
    assert not any(secret in str(value) for row in rows for value in row.values())


def test_the_device_starts_unseen_at_revision_1(nobody: Api) -> None:
    with time_machine.travel(NOW, tick=False):
        register(nobody)
    device = Device.objects.get(pk=DEVICE_ID)
    assert device.created_at == NOW
    assert (device.revision, device.purged_revision, device.sign_outs) == (1, 0, 0)


def test_the_first_phone_has_the_id_of_its_device(nobody: Api) -> None:
    with time_machine.travel(NOW, tick=False):
        register(nobody)
    phone = Phone.objects.get()
    assert (phone.device_id, phone.id) == (uuid.UUID(DEVICE_ID), uuid.UUID(DEVICE_ID))
    assert (phone.created_at, phone.last_seen_at, phone.signed_out_at) == (NOW, None, None)


def test_the_first_phones_token_is_as_short_as_ever(nobody: Api) -> None:
    assert len(register(nobody).json()["token"]) == 66


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('"Pixel 9"', "Pixel 9"),
        ("null", None),
        ('""', None),
        ('" \\t"', None),
        (f'"{"é" * 50}"', "é" * 50),
        (f'"  {"a" * 50}  "', "a" * 50),
        *((text, kept) for text, kept in NAMES_KEPT if len(kept) <= 50),
    ],
)
def test_the_phone_may_have_a_name(nobody: Api, text: str, kept: str | None) -> None:
    body = request_body({"device_id": DEVICE_ID}, name=text)
    token = nobody.post("/v1/auth/register", body).json()["token"]
    (phone,) = Api(token=token).get("/v1/auth/phones").json()
    assert phone["name"] == kept


def test_without_a_name_it_has_none(nobody: Api) -> None:
    register(nobody)
    assert Phone.objects.get().name is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f'"{"a" * 51}"', "max_length"),
        ('"a\\u0000b"', "invalid"),
        ('"a\\u001bb"', "invalid"),
        ('"a\\ud800b"', "invalid"),
        ("5", "invalid"),
        ("true", "invalid"),
        ("[]", "invalid"),
        ("{}", "invalid"),
    ],
)
def test_a_name_is_refused(nobody: Api, text: str, kind: str) -> None:
    body = request_body({"device_id": DEVICE_ID}, name=text)
    assert offences(nobody.post("/v1/auth/register", body)) == [(["body", "name"], kind)]
    assert not Device.objects.exists()


def test_the_answer_is_kept_by_no_cache(nobody: Api) -> None:
    assert register(nobody).headers["Cache-Control"] == "no-store"


def test_it_refuses_an_id_for_ever(nobody: Api) -> None:
    token = register(nobody).json()["token"]
    for _ in range(2):
        again = register(nobody)
        assert again.status_code == 409
        assert again.json() == {"detail": "Device already registered"}
    assert Api(token=token).get("/v1/auth/device").status_code == 200


def test_it_refuses_the_id_of_an_erased_device(nobody: Api) -> None:
    token = register(nobody).json()["token"]
    assert Api(token=token).delete("/v1/auth/device").status_code == 204
    assert register(nobody).json() == {"detail": "Device already registered"}


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_registers(nobody: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    both_asked = threading.Barrier(2, timeout=5)
    make_hash = tokens.hash_secret

    def hash_when_both_asked(token: str) -> str:
        both_asked.wait()
        return make_hash(token)

    def call(_: int) -> int:
        try:
            return int(register(Api()).status_code)
        finally:
            connection.close()

    monkeypatch.setattr(tokens, "hash_secret", hash_when_both_asked)
    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(call, range(2))) == [200, 409]


@pytest.mark.parametrize(
    "device_id",
    [
        DEVICE_ID.replace("-", ""),
        f"{{{DEVICE_ID}}}",
        f"urn:uuid:{DEVICE_ID}",
        f" {DEVICE_ID}",
        f"{DEVICE_ID}\n",
        DEVICE_ID[:-1],
        f"{DEVICE_ID}0",
        DEVICE_ID.replace("0", "g"),
        "",
        "\ud800",
        uuid.UUID(DEVICE_ID).int,
        1.5,
        True,
        [DEVICE_ID],
        {"id": DEVICE_ID},
    ],
)
def test_the_id_is_a_uuid_of_36_characters(nobody: Api, device_id: object) -> None:
    response = register(nobody, device_id)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert (error["loc"], error["type"]) == (["body", "device_id"], "invalid")


@pytest.mark.parametrize(("body", "kind"), [({}, "required"), ({"device_id": None}, "null")])
def test_the_id_is_required(nobody: Api, body: dict[str, Any], kind: str) -> None:
    response = nobody.post("/v1/auth/register", body)
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert (error["loc"], error["type"]) == (["body", "device_id"], kind)


def test_an_id_in_another_case_is_the_same_device(nobody: Api) -> None:
    token = register(nobody, DEVICE_ID.upper()).json()["token"]
    assert Api(token=token).get("/v1/auth/device").json()["id"] == DEVICE_ID
    for device_id in (DEVICE_ID, DEVICE_ID.title()):
        assert register(nobody, device_id).status_code == 409


@pytest.mark.parametrize("version", ["1", "4", "7", "f"])
def test_any_version_of_uuid_will_do(nobody: Api, version: str) -> None:
    device_id = f"{DEVICE_ID[:14]}{version}{DEVICE_ID[15:]}"
    assert register(nobody, device_id).status_code == 200


def test_unknown_fields_are_ignored(nobody: Api) -> None:
    body = {"device_id": DEVICE_ID, "model": "Pixel 12", "revision": 7}
    assert nobody.post("/v1/auth/register", body).status_code == 200
    assert Device.objects.get(pk=DEVICE_ID).revision == 1


def test_a_token_sent_along_does_not_matter(nobody: Api) -> None:
    token = tokens.generate(uuid.UUID(DEVICE_ID), uuid.UUID(DEVICE_ID))
    assert register(Api(token=token)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_is_allowed(nobody: Api, method: str) -> None:
    response = nobody.request(method, "/v1/auth/register")
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
