"""Device and Phone: what the database holds of their rules, and what an operator may do to them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, transaction

from countonme.scope.exceptions import Conflict, DeviceGone
from devices.models import Device, PairingCode, Phone, RecoveryKey
from devices.models.phone import OF_SIGNED_IN
from tests.helpers.api import Api
from tests.helpers.phones import another_phone, device_of, fill_up, id_of, row_of, sign_out, status
from tests.helpers.sql import execute

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HASH, HMAC = "h" * 60, "m" * 73

pytestmark = pytest.mark.django_db


def registered() -> Device:
    return Phone.register(uuid.uuid4())[0].device


def stored(device: Device) -> Device:
    return Device.objects.get(pk=device.pk)


def update(device: Device, **values: Any) -> None:
    """Write past the model's own methods, as straight SQL would."""
    with transaction.atomic():
        Device.objects.filter(pk=device.pk).update(**values)


def update_phone(phone: Phone, **values: Any) -> None:
    """Likewise for a phone."""
    with transaction.atomic():
        Phone.objects.filter(device=phone.device_id, id=phone.id).update(**values)


def test_it_works() -> None:
    phone, token = Phone.register(uuid.uuid4())
    found = Phone.by_ids(phone.device_id, phone.id)
    assert found.is_usable
    assert found.match_signature(token) is not None


def test_an_id_is_registered_once() -> None:
    device = registered()
    with pytest.raises(Conflict, match=r"^Device already registered$"):
        Phone.register(device.pk)


class TestConstraints:
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
            {"recovery_key_created_at": NOW},
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


class TestConstraintsOfPhones:
    @pytest.mark.parametrize(
        "values",
        [
            {"token_hash": None},
            {"token_hmac": None},
            {"token_hash": None, "token_hmac": None},
            {"signed_out_at": NOW},
        ],
    )
    def test_a_phone_that_is_signed_in_has_a_token(self, values: dict[str, Any]) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        with pytest.raises(IntegrityError, match="phones_token_while_signed_in"):
            update_phone(phone, **values)

    @pytest.mark.parametrize(
        "values",
        [
            {"token_hash": HASH},
            {"token_hmac": HMAC},
            {"token_hash": HASH, "token_hmac": HMAC},
            {"previous_token_hash": HASH, "previous_token_hmac": HMAC},
            {"name": "Pixel 9"},
            {"joined_by": HMAC},
            {"joined_by": HMAC, "replaces": uuid.UUID(int=1)},
        ],
    )
    def test_of_a_phone_that_signed_out_no_secret_and_no_name_stays(
        self, values: dict[str, Any]
    ) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        phone.device.sign_out_all()
        with pytest.raises(IntegrityError, match="phones_token_while_signed_in"):
            update_phone(phone, **values)

    @pytest.mark.parametrize(
        "values", [{"previous_token_hash": HASH}, {"previous_token_hmac": HMAC}]
    )
    def test_a_previous_token_is_stored_whole_or_not_at_all(self, values: dict[str, Any]) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        with pytest.raises(IntegrityError, match="phones_previous_token_is_whole"):
            update_phone(phone, **values)

    def test_a_phone_replaces_another_only_while_it_joins(self) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        update_phone(phone, joined_by=HMAC, replaces=uuid.uuid4())
        with pytest.raises(IntegrityError, match="phones_replaces_on_joining"):
            update_phone(phone, joined_by=None)

    def test_a_name_is_not_blank(self) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        with pytest.raises(IntegrityError, match="phones_name_is_not_blank"):
            update_phone(phone, name="")

    def test_an_id_is_one_phone_of_a_device(self) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        again, _ = Phone.with_new_token(phone.device, phone.id)
        with pytest.raises(IntegrityError, match="phones_pkey"), transaction.atomic():
            again.save(force_insert=True)

    def test_two_devices_may_have_phones_of_the_same_id(self) -> None:
        phone_id = uuid.uuid4()
        for device in (registered(), registered()):
            Phone.with_new_token(device, phone_id)[0].save(force_insert=True)
        assert Phone.objects.filter(id=phone_id).count() == 2

    def test_a_phone_has_a_device(self) -> None:
        nobody, _ = Phone.with_new_token(Device(), uuid.uuid4())
        nobody.save(force_insert=True)
        with pytest.raises(IntegrityError, match="phones_device_id"), transaction.atomic():
            execute("SET CONSTRAINTS ALL IMMEDIATE")
        nobody.delete()

    def test_a_device_has_one_pairing_code(self) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        code = {"device": phone.device, "phone_id": phone.id, "is_move": False, "expires_at": NOW}
        PairingCode.objects.create(**code, digest="a")
        with pytest.raises(IntegrityError, match="pairing_codes_pkey"), transaction.atomic():
            PairingCode.objects.create(**code, digest="b")

    def test_a_code_is_of_a_phone_of_the_same_device(self) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        another, _ = Phone.register(uuid.uuid4())
        with pytest.raises(IntegrityError, match="pairing_codes_phone_fk"), transaction.atomic():
            PairingCode.objects.create(
                device=phone.device, phone_id=another.id, is_move=False, digest="a", expires_at=NOW
            )

    def test_a_code_goes_with_what_is_left_of_its_phone(self) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        PairingCode.objects.create(
            device=phone.device, phone_id=phone.id, is_move=False, digest="a", expires_at=NOW
        )
        execute("DELETE FROM phones WHERE device_id = %s", phone.device_id)
        assert not PairingCode.objects.exists()

    def test_a_device_has_one_recovery_key_without_an_end(self) -> None:
        device = registered()
        RecoveryKey.objects.create(device=device, id=1, digest="a", expires_at=NOW)
        RecoveryKey.objects.create(device=device, id=2, digest="b", expires_at=NOW)
        RecoveryKey.objects.create(device=device, id=3, digest="c")
        RecoveryKey.objects.create(device=registered(), id=1, digest="d")
        with pytest.raises(IntegrityError, match="recovery_keys_one_present"), transaction.atomic():
            RecoveryKey.objects.create(device=device, id=4, digest="e")


class TestErase:
    def test_only_id_and_time_stay(self) -> None:
        device = registered()
        device.block("spam")
        update(
            device,
            recovery_key_created_at=NOW,
            sign_outs=2,
            revision=9,
            purged_revision=3,
            revised_at=NOW,
            revised_in=77,
        )
        with time_machine.travel(NOW, tick=False):
            device.erase()
        row: dict[str, Any] = dict(Device.objects.values().get(pk=device.pk))
        assert (row.pop("id"), row.pop("erased_at")) == (device.pk, NOW)
        empty = {"revision": 1, "purged_revision": 0, "blocked_reason": "", "sign_outs": 0}
        assert row == dict.fromkeys(row) | empty

    @pytest.mark.parametrize("by_sql", [True, False])
    def test_the_database_forgets_phones_codes_and_keys(self, by_sql: bool) -> None:
        phone, _ = Phone.register(uuid.uuid4())
        kept, _ = Phone.register(uuid.uuid4())
        for each in (phone, kept):
            PairingCode.create(each)
            RecoveryKey.create(each.device)
        if by_sql:
            execute(
                """
                UPDATE devices SET erased_at = now(), created_at = NULL, revised_at = NULL,
                    revised_in = NULL, recovery_key_created_at = NULL WHERE id = %s
                """,
                phone.device_id,
            )
        else:
            phone.device.erase()
        models: list[Any] = [Phone, PairingCode, RecoveryKey]
        for model in models:
            assert [row.device_id for row in model.objects.all()] == [kept.device_id]

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
            Phone(device=stale, id=stale.pk).issue_token()
        assert not stored(device).is_usable
        assert not Phone.objects.exists()

    def test_an_erased_device_is_signed_out_of_no_more(self) -> None:
        device = registered()
        device.erase()
        with pytest.raises(DeviceGone):
            device.sign_out_all()

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
            {"sign_outs": 7},
            {"recovery_key_created_at": NOW},
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
        token = row_of(phone).issue_token()
        assert status(phone) == 401
        assert phone.post("/v1/auth/rotate").status_code == 401
        assert status(Api(token=token)) == 200

    def test_issuing_readmits_a_phone_that_was_signed_out(self, phone: Api) -> None:
        device_of(phone).sign_out_all()
        token = row_of(phone).issue_token()
        assert status(Api(token=token)) == 200

    def test_issuing_leaves_the_other_phones_alone(self, phone: Api) -> None:
        second = another_phone(phone)
        token = row_of(second).issue_token()
        assert [status(each) for each in (phone, second, Api(token=token))] == [200, 401, 200]

    def test_issuing_keeps_name_and_times(self, phone: Api) -> None:
        before = row_of(another_phone(phone, name="Tablet"))
        before.issue_token()
        after = Phone.objects.get(pk=before.pk)
        for name in ("name", "created_at", "last_seen_at"):
            assert getattr(after, name) == getattr(before, name) is not None

    def test_issuing_ends_what_joining_had_begun(self, phone: Api) -> None:
        second = another_phone(phone, joined_by=HMAC, replaces=id_of(phone))
        token = row_of(second).issue_token()
        row = row_of(second)
        assert (row.joined_by, row.replaces) == (None, None)
        assert status(Api(token=token)) == 200

    def test_issuing_keeps_the_limit(self, phone: Api) -> None:
        signed_out = row_of(phone)
        sign_out(phone)
        first, *_ = fill_up(phone)
        row_of(first).issue_token()
        another_phone(first)
        with pytest.raises(Conflict, match="at most 8 phones"):
            signed_out.issue_token()

    def test_issuing_brings_back_a_first_phone_that_was_forgotten(self, phone: Api) -> None:
        device = device_of(phone)
        device.phones.all().delete()
        token = Phone(device=device, id=device.pk).issue_token()
        assert status(Api(token=token)) == 200

    def test_signing_out_leaves_no_token_and_no_name(self, phone: Api) -> None:
        row = row_of(phone)
        update_phone(
            row,
            name="Pixel 9",
            previous_token_hash=HASH,
            previous_token_hmac=HMAC,
            joined_by=HMAC,
            replaces=uuid.uuid4(),
        )
        with time_machine.travel(NOW, tick=False):
            assert device_of(phone).sign_out_all() == 1
        row = Phone.objects.get(pk=row.pk)
        assert [getattr(row, name) for name in OF_SIGNED_IN] == [None] * 7
        assert row.signed_out_at == NOW

    def test_signing_out_a_second_time_changes_nothing(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            device_of(phone).sign_out_all()
        before = stored(device_of(phone)).sign_outs
        assert device_of(phone).sign_out_all() == 0
        assert row_of(phone).signed_out_at == NOW
        assert device_of(phone).sign_outs == before

    def test_signing_out_is_counted(self, phone: Api) -> None:
        sign_out(another_phone(phone))
        another_phone(phone)
        device_of(phone).sign_out_all()
        assert device_of(phone).sign_outs == 2

    def test_blocking_keeps_the_token_and_what_the_device_owns(self, phone: Api) -> None:
        product = phone.product()
        assert phone.device is not None
        phone.device.block("spam")
        phone.device.unblock()
        assert phone.get("/v1/products").json() == [product]


class TestInactiveSince:
    def create(self, created: int, *phones: tuple[int, int | None]) -> None:
        """Create a device, and phones that joined and were seen so many seconds after NOW."""
        device = registered()
        device.phones.all().delete()
        update(device, created_at=NOW + timedelta(seconds=created))
        for joined, seen in phones:
            row, _ = Phone.with_new_token(device, uuid.uuid4())
            row.created_at = NOW + timedelta(seconds=joined)
            row.last_seen_at = None if seen is None else NOW + timedelta(seconds=seen)
            row.save(force_insert=True)

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
        self.create(created, (created, seen))
        assert Device.objects.inactive_since(NOW).exists() == inactive

    @pytest.mark.parametrize(
        ("joined", "seen", "inactive"),
        [(-1, None, True), (-1, -1, True), (-1, 0, False), (0, None, False)],
    )
    def test_the_phone_that_joined_or_was_seen_last_counts(
        self, joined: int, seen: int | None, inactive: bool
    ) -> None:
        self.create(-3, (-3, -2), (joined, seen), (-2, -2))
        assert Device.objects.inactive_since(NOW).exists() == inactive

    def test_a_device_without_a_phone_is_inactive(self) -> None:
        self.create(-1)
        assert Device.objects.inactive_since(NOW).exists()

    def test_erased_ones_are_left_out(self) -> None:
        registered().erase()
        assert not Device.objects.inactive_since(datetime.now(UTC) + timedelta(days=1)).exists()

    def test_each_is_found_once(self) -> None:
        self.create(-3, (-3, -2), (-2, None))
        assert Device.objects.inactive_since(NOW).count() == 1


def test_what_a_device_owns_is_counted_deleted_rows_included(phone: Api, other: Api) -> None:
    phone.product()
    phone.delete(f"/v1/products/{phone.product()['id']}")
    phone.entry()
    other.entry()
    assert phone.device is not None
    owned = phone.device.owned_rows()
    counted = {name: owned[name] for name in ("products", "portions", "food entries")}
    assert counted == {"products": 2, "portions": 2, "food entries": 1}
