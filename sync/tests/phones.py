"""Phones of one device on a live server: how they join and how they go."""

from __future__ import annotations

import uuid
from typing import Any

from attacks.client import Phone


def join(phone: Phone, **body: Any) -> Phone:
    """Return another phone, which joined the device of this one.

    Args:
        body: of the request for the code.
    """
    asked = phone.post("/v1/auth/pairing-code", body)
    assert asked.status == 201, asked
    joined = Phone(phone.connection.port)
    sent = {"code": asked.json()["code"], "phone_id": str(uuid.uuid4())}
    answer = joined.post("/v1/auth/pair", sent)
    assert answer.status == 200, answer
    joined.token, joined.device_id = answer.json()["token"], answer.json()["device_id"]
    assert joined.device_id == phone.device_id
    return joined


def sign_out(phone: Phone, by: Phone) -> None:
    """Sign a phone out, as another phone of its device does."""
    found = phone.get("/v1/auth/device")
    assert found.status == 200, found
    answer = by.delete(f"/v1/auth/phones/{found.json()['phone_id']}")
    assert answer.status == 204, answer
