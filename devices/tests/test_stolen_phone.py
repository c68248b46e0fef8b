"""What a phone's thief asked for does not outlive the token that he asked with.

All orders of what a thief may do are tried on a live server, by attacks/test_thieves.py.
"""

from __future__ import annotations

import uuid
from io import StringIO
from typing import Any

from django.core.management import call_command

from devices.models import Phone
from tests.helpers.api import Api


def ask_for_code(phone: Api) -> str:
    return str(phone.post("/v1/auth/pairing-code").json()["code"])


def pair(code: str, **body: Any) -> Any:
    return Api().post("/v1/auth/pair", {"code": code, "phone_id": str(uuid.uuid4())} | body)


def issue_token(phone: Api) -> str:
    assert phone.device is not None
    out = StringIO()
    call_command("issue_token", str(phone.device.pk), stdout=out)
    return out.getvalue().strip()


def test_a_code_is_void_once_its_phone_got_another_token(phone: Api) -> None:
    code = ask_for_code(phone)
    issue_token(phone)
    assert pair(code).status_code == 404


def test_a_code_stays_void_when_its_phone_is_signed_in_again(phone: Api) -> None:
    code = ask_for_code(phone)
    assert phone.device is not None
    phone.device.sign_out_all()
    issue_token(phone)
    assert pair(code).status_code == 404


def test_a_code_that_another_phone_asked_for_stays_good(phone: Api) -> None:
    assert phone.device is not None
    another = Api(phone.device, pair(ask_for_code(phone)).json()["token"])
    code = ask_for_code(another)
    out = StringIO()
    call_command("issue_token", str(phone.device.pk), phone=str(phone.device.pk), stdout=out)
    assert pair(code).status_code == 200


def test_a_phone_that_gets_another_token_keeps_the_name_that_it_has_by_then(phone: Api) -> None:
    assert phone.device is not None
    loaded = Phone.objects.get(device=phone.device, id=phone.device.pk)
    phone.patch(f"/v1/auth/phones/{loaded.id}", {"name": "Pixel 9"})
    loaded.issue_token()
    loaded.refresh_from_db()
    assert loaded.name == "Pixel 9"
