"""Phones of one device: how they join, and what is stored of them."""

from __future__ import annotations

import uuid
from typing import Any

from devices import tokens
from devices.models import Device, Phone
from tests.helpers.api import Api

PAIR = "/v1/auth/pair"
PHONES = "/v1/auth/phones"
PAIRING_CODE = "/v1/auth/pairing-code"
RECOVERY_KEY = "/v1/auth/recovery-key"
UNKNOWN_CODE = {"detail": "Code not found or expired"}
IN_USE = {"detail": "ID already in use"}
LIMIT = {"detail": "A device has at most 8 phones"}


def device_of(phone: Api) -> Device:
    """Return the device of a phone as it is stored by now."""
    assert phone.device is not None
    return Device.objects.get(pk=phone.device.pk)


def id_of(phone: Api) -> uuid.UUID:
    """Return the phone's id, as its token names it."""
    ids = tokens.parse(phone.token)
    assert ids is not None
    return ids[1]


def row_of(phone: Api) -> Phone:
    """Return the row of a phone as it is stored by now."""
    row: Phone = Phone.objects.get(device=device_of(phone), id=id_of(phone))
    return row


def get_code(phone: Api, **body: Any) -> str:
    """Ask for a pairing code and return it."""
    response = phone.post(PAIRING_CODE, body)
    assert response.status_code == 201, response.content
    return str(response.json()["code"])


def get_key(phone: Api, shown: str | None = None) -> str:
    """Make the device's recovery key, with the present one if it is given, and return it."""
    response = phone.post(RECOVERY_KEY, {"recovery_key": shown} if shown else None)
    assert response.status_code == 201, response.content
    return str(response.json()["recovery_key"])


def try_pair(code: str, phone_id: uuid.UUID | str | None = None, **body: Any) -> Any:
    """Have a phone try to join, a new one if no id is given, and return the answer."""
    return Api().post(PAIR, {"code": code, "phone_id": str(phone_id or uuid.uuid4()), **body})


def pair(code: str, phone_id: uuid.UUID | str | None = None, **body: Any) -> Api:
    """Have a phone join, a new one if no id is given, and return it; it has not called yet."""
    response = try_pair(code, phone_id, **body)
    assert response.status_code == 200, response.content
    answer = response.json()
    return Api(Device.objects.get(pk=answer["device_id"]), answer["token"])


def another_phone(phone: Api, **values: Any) -> Api:
    """Sign another phone in to the device of a phone, past the throttle; it has called before."""
    row, token = Phone.with_new_token(device_of(phone), uuid.uuid4(), **values)
    row.save(force_insert=True)
    row.seen()
    return Api(row.device, token)


def sign_out(phone: Api) -> None:
    """Sign one phone out, past the rule that the last one stays."""
    device = device_of(phone)
    with device.locked():
        device.sign_out(device.phones.filter(id=id_of(phone)))


def fill_up(phone: Api) -> list[Api]:
    """Sign in as many other phones as the device may have, and return them."""
    return [another_phone(phone) for _ in range(7)]


def status(phone: Api) -> int:
    """Return the status of a call: 200 while the phone's token is accepted, then 401."""
    return int(phone.get("/v1/auth/device").status_code)
