"""What is done to a device while a call or a command that was let in is under way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from devices import maintenance
from devices.models import Device, Phone
from tests.helpers.api import Api, new_phone
from tests.helpers.threads import at_once


def test_a_phone_that_was_signed_out_does_not_erase_the_device(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert phone.device is not None
    device = Device.objects.get(pk=phone.device.pk)
    # The last line of authentication.
    monkeypatch.setattr(Phone, "seen", lambda phone: device.sign_out_all())
    assert phone.delete("/v1/auth/device").status_code == 401
    device.refresh_from_db()
    assert device.erased_at is None


@pytest.mark.django_db(transaction=True)
def test_a_phone_that_calls_after_a_year_is_not_erased_with_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    phones = sorted([new_phone(), new_phone()], key=lambda phone: str(phone.device))
    long_ago = timezone.now() - timedelta(days=366)
    Device.objects.update(created_at=long_ago)
    Phone.objects.update(created_at=long_ago, last_seen_at=long_ago)
    erase = Device.erase

    def erase_while_the_other_calls(device: Device) -> None:
        erase(device)
        (answer,) = at_once(lambda: phones[1].get("/v1/auth/device"))
        assert answer.status_code == 200

    monkeypatch.setattr(Device, "erase", erase_while_the_other_calls)
    assert list(maintenance.erase_inactive(timezone.now() - timedelta(days=365))) == [1]
    assert phones[1].get("/v1/auth/device").status_code == 200
