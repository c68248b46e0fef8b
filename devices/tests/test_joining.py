"""Phones that have joined a device and have not used their token yet."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from devices.models import RecoveryKey
from tests.helpers.api import Api

PHONE_ID = "3d0f1f52-7a54-4a53-9c1b-2f8f0b5c7e11"


@pytest.fixture
def key(phone: Api) -> str:
    """The device's recovery key, by which a phone has joined and not called."""
    key = str(phone.post("/v1/auth/recovery-key").json()["recovery_key"])
    assert pair(key).status_code == 200
    return key


def pair(code: str, **body: Any) -> Any:
    return Api().post("/v1/auth/pair", {"code": code, "phone_id": PHONE_ID} | body)


def ask_for_code(phone: Api) -> str:
    return str(phone.post("/v1/auth/pairing-code").json()["code"])


def status(token: str) -> int:
    return int(Api(token=token).get("/v1/auth/device").status_code)


def end(key: str) -> None:
    """Let seven days pass since the key was replaced."""
    RecoveryKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert pair(key, phone_id=str(uuid.uuid4())).status_code == 404


class TestAskingAgain:
    def test_it_signs_the_others_out_if_the_second_attempt_says_so(
        self, phone: Api, key: str
    ) -> None:
        code = ask_for_code(phone)
        response = pair(key, revoke_others=True)
        assert response.status_code == 200
        assert status(phone.token) == 401
        assert pair(code, phone_id=str(uuid.uuid4())).status_code == 404
        (only,) = Api(token=response.json()["token"]).get("/v1/auth/phones").json()
        assert only["id"] == PHONE_ID

    def test_it_then_makes_the_key_the_present_one(self, phone: Api, key: str) -> None:
        later = str(phone.post("/v1/auth/recovery-key").json()["recovery_key"])
        assert pair(key, revoke_others=True).status_code == 200
        assert pair(later, phone_id=str(uuid.uuid4())).status_code == 404
        assert RecoveryKey.objects.get().expires_at is None

    def test_a_key_that_has_ended_gives_another_token(self, phone: Api, key: str) -> None:
        end(key)
        assert pair(key).status_code == 200

    def test_a_key_that_has_ended_signs_nobody_out(self, phone: Api, key: str) -> None:
        end(key)
        assert pair(key, revoke_others=True).status_code == 404
        assert status(phone.token) == 200

    def test_it_does_not_sign_the_phone_itself_out(self, phone: Api, key: str) -> None:
        assert pair(key, revoke_others=True).status_code == 200
        token = pair(key, revoke_others=True).json()["token"]
        assert status(token) == 200


class TestTheLastPhone:
    def test_it_may_leave_the_device_to_one_that_asks_again_after_a_lost_answer(
        self, phone: Api
    ) -> None:
        assert phone.device is not None
        code = ask_for_code(phone)
        assert pair(code).status_code == 200
        assert phone.delete(f"/v1/auth/phones/{phone.device.pk}").status_code == 204
        assert status(pair(code).json()["token"]) == 200

    def test_it_leaves_it_to_one_that_has_called(self, phone: Api) -> None:
        assert phone.device is not None
        assert status(pair(ask_for_code(phone)).json()["token"]) == 200
        assert phone.delete(f"/v1/auth/phones/{phone.device.pk}").status_code == 204

    def test_it_may_sign_out_one_that_never_called(self, phone: Api) -> None:
        token = pair(ask_for_code(phone)).json()["token"]
        assert phone.delete(f"/v1/auth/phones/{PHONE_ID}").status_code == 204
        assert status(token) == 401
