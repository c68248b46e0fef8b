"""Codes and keys as people type them, where it is judged whether a text is a key."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from devices import codes
from tests.helpers.api import Api


def pair(code: str, **body: Any) -> Any:
    return Api().post("/v1/auth/pair", {"code": code, "phone_id": str(uuid.uuid4())} | body)


@pytest.mark.parametrize("hyphen", ["-", " ", "\N{FULLWIDTH HYPHEN-MINUS}", "\N{EN DASH}"])
def test_others_are_signed_out_by_a_key_however_it_is_written(phone: Api, hyphen: str) -> None:
    key = str(phone.post("/v1/auth/recovery-key").json()["recovery_key"])
    assert pair(key.replace("-", hyphen), revoke_others=True).status_code == 200
    assert phone.get("/v1/auth/device").status_code == 401


def test_a_code_of_as_many_characters_as_a_key_signs_nobody_out(phone: Api) -> None:
    # Ten hyphens stand between the letters, and four at the end.
    letters = str(phone.post("/v1/auth/pairing-code").json()["code"]).replace("-", "")
    written = "\N{FULLWIDTH HYPHEN-MINUS}".join(letters) + "\N{FULLWIDTH HYPHEN-MINUS}" * 3
    assert len(written) == codes.KEY_LENGTH
    assert pair(written, revoke_others=True).status_code == 422
    assert pair(written).status_code == 200
