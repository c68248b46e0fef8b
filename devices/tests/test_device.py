"""`GET` and `DELETE /v1/auth/device`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from devices.models import Device, PairingCode, Phone, RecoveryKey
from tests.helpers.api import Api, new_phone
from tests.helpers.phones import another_phone, get_code, get_key, id_of, sign_out, status

PATH = "/v1/auth/device"
NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def stored(phone: Api) -> dict[str, Any]:
    assert phone.device is not None
    return dict(Device.objects.values().get(pk=phone.device.pk))


class TestGet:
    @pytest.mark.django_db
    def test_it_works(self) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
        with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
            response = phone.get(PATH)
        assert response.status_code == 200
        assert phone.device is not None
        assert response.json() == {
            "id": str(phone.device.pk),
            "phone_id": str(phone.device.pk),
            "created_at": "2026-03-01T12:00:00.250000Z",
            "last_seen_at": "2026-03-01T12:05:00.250000Z",
            "recovery_key_created_at": None,
        }
        fields = "id phone_id created_at last_seen_at recovery_key_created_at"
        assert list(response.json()) == fields.split()

    @pytest.mark.django_db
    def test_it_says_which_phone_asks_and_when_that_one_called(self) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
        with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
            second = another_phone(phone)
            answer = second.get(PATH).json()
        assert answer["id"] == phone.get(PATH).json()["id"]
        assert answer["phone_id"] == str(id_of(second)) != answer["id"]
        assert answer["created_at"] == "2026-03-01T12:00:00.250000Z"
        assert answer["last_seen_at"] == "2026-03-01T12:01:00.250000Z"

    def test_the_first_call_is_seen_already(self, nobody: Api) -> None:
        device_id = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
        answer = nobody.post("/v1/auth/register", {"device_id": device_id})
        assert Api(token=answer.json()["token"]).get(PATH).json()["last_seen_at"] is not None

    def test_it_is_one_query(self, phone: Api, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(1):
            assert phone.get(PATH).status_code == 200

    def test_the_answer_is_kept_by_no_cache(self, phone: Api) -> None:
        response = phone.get(PATH)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers

    def test_it_needs_a_token(self, nobody: Api) -> None:
        assert nobody.get(PATH).status_code == 401


class TestDelete:
    def test_it_works(self, phone: Api) -> None:
        response = phone.delete(PATH)
        assert response.status_code == 204
        assert response.content == b""

    def test_of_the_device_only_id_and_time_stay(self, phone: Api) -> None:
        phone.product()
        with time_machine.travel(NOW, tick=False):
            phone.delete(PATH)
        row = stored(phone)
        assert phone.device is not None
        assert (row.pop("id"), row.pop("erased_at")) == (phone.device.pk, NOW)
        untouched = {"revision": 1, "purged_revision": 0, "blocked_reason": "", "sign_outs": 0}
        assert row == dict.fromkeys(row) | untouched

    def test_of_phones_codes_and_keys_nothing_stays(self, phone: Api, other: Api) -> None:
        for each in (phone, other):
            second = another_phone(each)
            sign_out(another_phone(each))
            get_code(second)
            get_key(each)
            get_key(each)
        phone.delete(PATH)
        for model, left in ((Phone, 3), (PairingCode, 1), (RecoveryKey, 2)):
            owners = list(model.objects.values_list("device", flat=True))
            assert owners == [other.device and other.device.pk] * left

    def test_any_phone_may(self, phone: Api) -> None:
        second = another_phone(phone)
        assert second.delete(PATH).status_code == 204
        assert (status(phone), status(second)) == (401, 401)

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", PATH, None),
            ("DELETE", PATH, None),
            ("POST", "/v1/auth/rotate", None),
            ("GET", "/v1/products", None),
            ("POST", "/v1/products", {"name": "Rice", "kcal_100g": 130}),
        ],
    )
    def test_the_token_is_refused_at_once(
        self, phone: Api, method: str, path: str, body: Any
    ) -> None:
        phone.delete(PATH)
        assert phone.request(method, path, body).status_code == 401

    def test_the_token_before_the_last_rotation_is_refused_too(self, phone: Api) -> None:
        token = phone.post("/v1/auth/rotate").json()["token"]
        assert Api(token=token).delete(PATH).status_code == 204
        assert phone.post("/v1/auth/rotate").status_code == 401

    def test_a_kept_answer_is_not_confirmed_any_more(self, phone: Api) -> None:
        phone.product()
        tag = phone.get("/v1/products").headers["ETag"]
        phone.delete(PATH)
        assert phone.get("/v1/products", **{"If-None-Match": tag}).status_code == 401

    def test_other_devices_are_left_alone(self, phone: Api, other: Api) -> None:
        product = other.product()
        before = stored(other)
        phone.delete(PATH)
        assert stored(other) == before
        assert other.get("/v1/products").json() == [product]

    def test_a_blocked_device_cannot(self, phone: Api) -> None:
        assert phone.device is not None
        phone.device.block("spam")
        assert phone.delete(PATH).status_code == 401

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/v1/products", {"name": "Rice", "kcal_100g": 130}),
            ("DELETE", PATH, None),
        ],
    )
    def test_a_call_that_was_under_way_is_refused_or_harmless(
        self, phone: Api, method: str, path: str, body: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # The last that authentication does: between it and the call's own work the erasing falls.
        monkeypatch.setattr(Phone, "seen", lambda self: Device(pk=self.device_id).erase())
        with time_machine.travel(NOW, tick=False):
            assert phone.request(method, path, body).status_code in (204, 401)
        assert stored(phone)["erased_at"] == NOW
        assert phone.device is not None
        assert sum(phone.device.owned_rows().values()) == 0

    def test_a_phone_that_is_signed_out_meanwhile_erases_nothing(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        thief = another_phone(phone)
        monkeypatch.setattr(Phone, "seen", lambda self: sign_out(thief))
        assert thief.delete(PATH).status_code == 401
        monkeypatch.undo()
        assert status(phone) == 200
