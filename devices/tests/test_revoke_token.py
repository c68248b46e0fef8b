from __future__ import annotations

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.helpers.api import Api


def test_it_works(phone: Api) -> None:
    phone.product()
    assert phone.device is not None
    call_command("revoke_token", str(phone.device.pk), stdout=StringIO())
    assert phone.get("/v1/products").status_code == 401


def test_it_refuses_an_unknown_device(db: None) -> None:
    with pytest.raises(CommandError, match="No device"):
        call_command("revoke_token", str(uuid.uuid4()))


def test_it_refuses_what_is_no_id(db: None) -> None:
    with pytest.raises(CommandError, match="No device"):
        call_command("revoke_token", "phone")


def test_it_refuses_an_erased_device(phone: Api) -> None:
    phone.delete("/v1/auth/device")
    assert phone.device is not None
    with pytest.raises(CommandError, match="is erased"):
        call_command("revoke_token", str(phone.device.pk))
