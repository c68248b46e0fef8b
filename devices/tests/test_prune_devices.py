from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import time_machine
from django.core.management import call_command

from devices.models import Phone
from tests.helpers.api import Api, new_phone
from tests.helpers.phones import another_phone, device_of, id_of, row_of, sign_out, status

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def prune(*args: str) -> str:
    out = StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command("prune_devices", *args, stdout=out)
    return out.getvalue()


def called(phone: Api, joined: timedelta, seen: timedelta | None) -> Api:
    """Have a phone have joined and called last so long ago."""
    Phone.objects.filter(device=phone.device, id=id_of(phone)).update(
        created_at=NOW - joined, last_seen_at=None if seen is None else NOW - seen
    )
    return phone


def phone_of(registered: timedelta, seen: timedelta | None) -> Api:
    phone = new_phone()
    assert phone.device is not None
    phone.device.created_at = NOW - registered
    phone.device.save(update_fields=["created_at"])
    return called(phone, registered, seen)


def is_erased(phone: Api) -> bool:
    return device_of(phone).erased_at is not None


def test_it_works(db: None) -> None:
    phone = phone_of(timedelta(days=400), timedelta(days=366))
    assert "Devices erased: 1." in prune("--inactive", "365d")
    assert is_erased(phone)
    assert phone.get("/v1/auth/device").status_code == 401


def test_it_keeps_who_was_seen_since(db: None) -> None:
    phone = phone_of(timedelta(days=400), timedelta(days=364))
    prune("--inactive", "365d")
    assert not is_erased(phone)


def test_it_keeps_who_registered_since(db: None) -> None:
    phone = phone_of(timedelta(days=364), None)
    prune("--inactive", "365d")
    assert not is_erased(phone)


def test_it_erases_who_registered_long_ago_and_never_called(db: None) -> None:
    phone = phone_of(timedelta(days=366), None)
    prune("--inactive", "365d")
    assert is_erased(phone)


def test_a_dry_run_counts_and_erases_nobody(db: None) -> None:
    phone = phone_of(timedelta(days=400), None)
    assert "Devices that would be erased: 1." in prune("--inactive", "365d", "--dry-run")
    assert not is_erased(phone)


def test_a_second_run_finds_nobody(db: None) -> None:
    phone_of(timedelta(days=400), None)
    prune("--inactive", "365d")
    assert "Devices erased: 0." in prune("--inactive", "365d")


def test_it_keeps_a_device_of_which_one_phone_was_seen_since(db: None) -> None:
    phone = phone_of(timedelta(days=500), timedelta(days=400))
    called(another_phone(phone), timedelta(days=450), timedelta(days=364))
    called(another_phone(phone), timedelta(days=440), timedelta(days=430))
    prune("--inactive", "365d")
    assert not is_erased(phone)


def test_it_keeps_a_device_that_a_phone_joined_since(db: None) -> None:
    phone = phone_of(timedelta(days=500), timedelta(days=400))
    called(another_phone(phone), timedelta(days=364), None)
    prune("--inactive", "365d")
    assert not is_erased(phone)


def test_it_keeps_a_device_whose_phone_was_seen_since_and_signed_out(db: None) -> None:
    phone = phone_of(timedelta(days=500), timedelta(days=400))
    second = called(another_phone(phone), timedelta(days=450), timedelta(days=364))
    sign_out(second)
    assert row_of(second).last_seen_at == NOW - timedelta(days=364)
    prune("--inactive", "365d")
    assert not is_erased(phone)


def test_it_erases_a_device_none_of_whose_phones_was_seen_since(db: None) -> None:
    phone = phone_of(timedelta(days=500), timedelta(days=400))
    second = called(another_phone(phone), timedelta(days=450), timedelta(days=366))
    assert "Devices erased: 1." in prune("--inactive", "365d")
    assert is_erased(phone)
    assert (status(phone), status(second)) == (401, 401)
