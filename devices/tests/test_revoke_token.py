from __future__ import annotations

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.helpers.api import Api
from tests.helpers.phones import another_phone, get_code, id_of, sign_out, status, try_pair


def revoke(phone: Api, *args: str) -> str:
    assert phone.device is not None
    out = StringIO()
    call_command("revoke_token", str(phone.device.pk), *args, stdout=out)
    return out.getvalue()


def test_it_works(phone: Api) -> None:
    phone.product()
    revoke(phone)
    assert phone.get("/v1/products").status_code == 401


def test_it_signs_out_all_phones_of_the_device(phone: Api, other: Api) -> None:
    second = another_phone(phone)
    sign_out(another_phone(phone))
    assert revoke(phone) == f"Phones of device {phone.device} that were signed out: 2.\n"
    assert (status(phone), status(second), status(other)) == (401, 401, 200)


def test_one_phone_is_named(phone: Api) -> None:
    second = another_phone(phone)
    assert revoke(phone, "--phone", str(id_of(second))).endswith(": 1.\n")
    assert (status(phone), status(second)) == (200, 401)


def test_the_last_phone_may_be_the_one(phone: Api) -> None:
    revoke(phone, "--phone", str(id_of(phone)))
    assert status(phone) == 401


def test_the_phones_code_goes_with_it(phone: Api) -> None:
    code = get_code(phone)
    revoke(phone)
    assert try_pair(code).status_code == 404


def test_a_second_time_nobody_is_left(phone: Api) -> None:
    revoke(phone)
    assert revoke(phone).endswith(": 0.\n")


def test_it_refuses_a_phone_of_another_device(phone: Api, other: Api) -> None:
    with pytest.raises(CommandError, match="has no phone with the id"):
        revoke(phone, "--phone", str(id_of(other)))
    assert (status(phone), status(other)) == (200, 200)


def test_it_refuses_an_unknown_device(db: None) -> None:
    with pytest.raises(CommandError, match="No device"):
        call_command("revoke_token", str(uuid.uuid4()))


def test_it_refuses_what_is_no_id(db: None) -> None:
    with pytest.raises(CommandError, match="No device"):
        call_command("revoke_token", "phone")


def test_it_refuses_an_erased_device(phone: Api) -> None:
    phone.delete("/v1/auth/device")
    with pytest.raises(CommandError, match="is erased"):
        revoke(phone)
