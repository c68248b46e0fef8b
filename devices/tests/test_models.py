"""Device: what the database holds of its rules, and what an operator may do to it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction

from countonme.scope.exceptions import Conflict, DeviceGone
from devices.models import TOKEN_FIELDS, Device
from tests.helpers.api import Api

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HASH, HMAC = "h" * 60, "m" * 73

pytestmark = pytest.mark.django_db


def registered() -> Device:
    return Device.objects.register(uuid.uuid4())[0]


def stored(device: Device) -> Device:
    return Device.objects.get(pk=device.pk)


def update(device: Device, **values: Any) -> None:
    """Write past the model's own methods, as straight SQL would."""
    with transaction.atomic():
        Device.objects.filter(pk=device.pk).update(**values)


def test_it_works() -> None:
    device, token = Device.objects.register(uuid.uuid4())
    assert stored(device).is_usable
    assert stored(device).match_signature(token) is not None


def test_an_id_is_registered_once() -> None:
    device = registered()
    with pytest.raises(Conflict, match=r"^Device already registered$"):
        Device.objects.register(device.pk)


class TestConstraints:
    @pytest.mark.parametrize(
        "values",
        [
            {"token_hash": None},
            {"token_hmac": None},
            {"token_hash": None, "token_hmac": None, "previous_token_hash": HASH},
            {"previous_token_hash": HASH},
            {"previous_token_hmac": HMAC},
            {
                "token_hash": None,
                "token_hmac": None,
                "previous_token_hash": HASH,
                "previous_token_hmac": HMAC,
            },
        ],
    )
    def test_a_token_is_stored_whole_or_not_at_all(self, values: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError, match="token_is_whole"):
            update(registered(), **values)

    @pytest.mark.parametrize(
        "values",
        [
            {"revision": 0, "purged_revision": 0},
            {"purged_revision": -1},
            {"revision": 5, "purged_revision": 6},
        ],
    )
    def test_what_was_purged_is_no_later_than_the_revision(self, values: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError, match="devices_revision_counts_up"):
            update(registered(), **values)

    def test_everything_may_be_purged(self) -> None:
        update(registered(), revision=5, purged_revision=5)

    @pytest.mark.parametrize(
        "values",
        [
            {"created_at": NOW},
            {"last_seen_at": NOW},
            {"token_hash": HASH, "token_hmac": HMAC},
            {"blocked_at": NOW},
            {"blocked_reason": "spam"},
            {"revised_at": NOW},
            {"revised_in": 1},
        ],
    )
    def test_an_erased_device_is_blank(self, values: dict[str, Any]) -> None:
        device = registered()
        device.erase()
        with pytest.raises(IntegrityError, match="devices_erased_is_blank"):
            update(device, **values)

    def test_a_device_that_is_not_erased_has_a_time_of_registering(self) -> None:
        with pytest.raises(IntegrityError, match="devices_erased_is_blank"):
            update(registered(), created_at=None)


class TestErase:
    def test_only_id_and_time_stay(self) -> None:
        device = registered()
        device.block("spam")
        update(
            device,
            last_seen_at=NOW,
            previous_token_hash=HASH,
            previous_token_hmac=HMAC,
            revision=9,
            purged_revision=3,
            revised_at=NOW,
            revised_in=77,
        )
        with time_machine.travel(NOW, tick=False):
            device.erase()
        row: dict[str, Any] = dict(Device.objects.values().get(pk=device.pk))
        assert (row.pop("id"), row.pop("erased_at")) == (device.pk, NOW)
        empty = {"revision": 1, "purged_revision": 0, "blocked_reason": ""}
        assert row == dict.fromkeys(row) | empty

    def test_a_second_time_changes_nothing(self) -> None:
        device = registered()
        with time_machine.travel(NOW, tick=False):
            device.erase()
        device.erase()
        assert stored(device).erased_at == NOW

    def test_the_instance_knows_it(self) -> None:
        device = registered()
        device.erase()
        assert not device.is_usable

    def test_an_erased_device_gets_no_token(self) -> None:
        device = registered()
        stale = stored(device)
        device.erase()
        with pytest.raises(DeviceGone):
            stale.issue_token()
        assert not stored(device).is_usable

    @pytest.mark.parametrize("method", ["locked", "writing"])
    def test_an_erased_device_is_written_to_no_more(self, method: str) -> None:
        device = registered()
        stale = stored(device)
        device.erase()
        with pytest.raises(DeviceGone), getattr(stale, method)():
            pytest.fail("the block must not run")


class TestSave:
    """An instance that was read a while ago is saved, as Django's admin does."""

    @pytest.mark.parametrize(
        "values",
        [
            {"revision": 7, "revised_at": NOW, "revised_in": 77},
            {"revision": 7, "purged_revision": 6},
            {"last_seen_at": NOW},
            {"token_hash": HASH, "token_hmac": HMAC},
            {"previous_token_hash": HASH, "previous_token_hmac": HMAC},
        ],
    )
    def test_it_keeps_what_triggers_and_requests_wrote_meanwhile(
        self, values: dict[str, Any]
    ) -> None:
        device = registered()
        update(device, **values)
        device.blocked_reason = "seen by an operator"
        device.save()
        row = stored(device)
        assert {name: getattr(row, name) for name in values} == values

    def test_it_keeps_a_device_erased(self) -> None:
        device = registered()
        stored(device).erase()
        device.save()
        assert stored(device).erased_at is not None
        assert not stored(device).is_usable

    def test_it_saves_what_an_operator_writes(self) -> None:
        device = registered()
        device.blocked_at, device.blocked_reason = NOW, "spam"
        device.save()
        assert (stored(device).blocked_at, stored(device).blocked_reason) == (NOW, "spam")


class TestTokens:
    def test_issuing_refuses_older_ones(self, phone: Api) -> None:
        assert phone.device is not None
        token = phone.device.issue_token()
        assert phone.get("/v1/auth/device").status_code == 401
        assert phone.post("/v1/auth/rotate").status_code == 401
        assert Api(token=token).get("/v1/auth/device").status_code == 200

    def test_issuing_readmits_a_device_whose_token_was_revoked(self, phone: Api) -> None:
        assert phone.device is not None
        phone.device.revoke_token()
        token = phone.device.issue_token()
        assert Api(token=token).get("/v1/auth/device").status_code == 200

    def test_revoking_leaves_no_token(self) -> None:
        device = registered()
        update(device, previous_token_hash=HASH, previous_token_hmac=HMAC)
        device.revoke_token()
        row = stored(device)
        assert [getattr(row, name) for name in TOKEN_FIELDS] == [None] * 4

    def test_blocking_keeps_the_token_and_what_the_device_owns(self, phone: Api) -> None:
        product = phone.product()
        assert phone.device is not None
        phone.device.block("spam")
        phone.device.unblock()
        assert phone.get("/v1/products").json() == [product]


class TestInactiveSince:
    @pytest.mark.parametrize(
        ("created", "seen", "inactive"),
        [
            (-2, None, True),
            (-2, -1, True),
            (-2, 0, False),
            (0, None, False),
            (0, -1, False),
        ],
    )
    def test_neither_registered_nor_seen(
        self, created: int, seen: int | None, inactive: bool
    ) -> None:
        device = registered()
        last = None if seen is None else NOW + timedelta(seconds=seen)
        update(device, created_at=NOW + timedelta(seconds=created), last_seen_at=last)
        assert Device.objects.inactive_since(NOW).exists() == inactive

    def test_erased_ones_are_left_out(self) -> None:
        registered().erase()
        assert not Device.objects.inactive_since(datetime.now(UTC) + timedelta(days=1)).exists()


def test_what_a_device_owns_is_counted_deleted_rows_included(phone: Api, other: Api) -> None:
    phone.product()
    phone.delete(f"/v1/products/{phone.product()['id']}")
    phone.entry()
    other.entry()
    assert phone.device is not None
    owned = phone.device.owned_rows()
    counted = {name: owned[name] for name in ("products", "portions", "food entries")}
    assert counted == {"products": 2, "portions": 2, "food entries": 1}
