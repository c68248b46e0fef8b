from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import time_machine
from django.core.management import call_command

from tests.helpers.api import Api, new_phone

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def prune(*args: str) -> str:
    out = StringIO()
    with time_machine.travel(NOW, tick=False):
        call_command("prune_devices", *args, stdout=out)
    return out.getvalue()


def phone_of(registered: timedelta, seen: timedelta | None) -> Api:
    phone = new_phone()
    assert phone.device is not None
    phone.device.created_at = NOW - registered
    phone.device.last_seen_at = None if seen is None else NOW - seen
    phone.device.save(update_fields=["created_at", "last_seen_at"])
    return phone


def is_erased(phone: Api) -> bool:
    assert phone.device is not None
    phone.device.refresh_from_db()
    return phone.device.erased_at is not None


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
