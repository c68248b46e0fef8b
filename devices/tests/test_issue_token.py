from __future__ import annotations

import uuid
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from devices import tokens
from tests.helpers.api import Api
from tests.helpers.phones import another_phone, device_of, fill_up, id_of, sign_out, status


def issue(phone: Api, *args: str) -> str:
    assert phone.device is not None
    out = StringIO()
    call_command("issue_token", str(phone.device.pk), *args, stdout=out)
    return out.getvalue()


def test_it_works(phone: Api) -> None:
    product = phone.product()
    phone.token = issue(phone).strip()
    assert [row["id"] for row in phone.get("/v1/products").json()] == [product["id"]]


def test_it_prints_the_token_alone(phone: Api) -> None:
    assert len(issue(phone).splitlines()) == 1


def test_the_old_token_is_refused(phone: Api) -> None:
    issue(phone)
    assert phone.get("/v1/products").status_code == 401
    assert phone.post("/v1/auth/rotate").status_code == 401


def test_it_helps_after_a_revocation(phone: Api) -> None:
    device_of(phone).sign_out_all()
    phone.token = issue(phone).strip()
    assert status(phone) == 200


def test_it_refuses_an_erased_device(phone: Api) -> None:
    phone.delete("/v1/auth/device")
    with pytest.raises(CommandError, match="is erased"):
        issue(phone)


def test_a_phone_is_named(phone: Api) -> None:
    second = another_phone(phone)
    token = issue(phone, "--phone", str(id_of(second)).upper()).strip()
    assert id_of(Api(token=token)) == id_of(second)
    assert [status(each) for each in (phone, second, Api(token=token))] == [200, 401, 200]


def test_without_a_name_it_is_the_one_that_is_signed_in(phone: Api) -> None:
    second = another_phone(phone)
    sign_out(phone)
    assert id_of(Api(token=issue(phone).strip())) == id_of(second)


def test_without_a_name_and_with_none_signed_in_it_is_the_first(phone: Api) -> None:
    another_phone(phone)
    device_of(phone).sign_out_all()
    assert id_of(Api(token=issue(phone).strip())) == id_of(phone)


def test_without_a_name_and_with_none_remembered_it_is_the_first(phone: Api) -> None:
    device_of(phone).phones.all().delete()
    assert id_of(Api(token=issue(phone).strip())) == id_of(phone)


def test_of_several_it_asks_which(phone: Api) -> None:
    second = another_phone(phone, name="Tablet")
    with pytest.raises(CommandError, match="name one by --phone") as error:
        issue(phone)
    assert f"{id_of(phone)} (no name), {id_of(second)} (Tablet)" in str(error.value)
    assert (status(phone), status(second)) == (200, 200)


def test_a_phone_that_was_signed_out_is_signed_in(phone: Api) -> None:
    second = another_phone(phone)
    sign_out(second)
    token = issue(phone, "--phone", str(id_of(second))).strip()
    assert (status(phone), status(Api(token=token))) == (200, 200)


def test_it_keeps_the_limit(phone: Api) -> None:
    signed_out = another_phone(phone)
    sign_out(signed_out)
    fill_up(phone)
    with pytest.raises(CommandError, match=r"A device has at most 8 phones\."):
        issue(phone, "--phone", str(id_of(signed_out)))


def test_it_refuses_what_is_no_phone_of_the_device(phone: Api, other: Api) -> None:
    for given in (str(uuid.uuid4()), "tablet", str(id_of(other))):
        with pytest.raises(CommandError, match=f"has no phone with the id {given}"):
            issue(phone, "--phone", given)
    assert (status(phone), status(other)) == (200, 200)


def test_the_token_names_the_phone(phone: Api) -> None:
    second = another_phone(phone)
    token = issue(phone, "--phone", str(id_of(second))).strip()
    assert tokens.parse(token) == (device_of(phone).pk, id_of(second))
