from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.helpers.api import Api


def issue(phone: Api) -> str:
    assert phone.device is not None
    out = StringIO()
    call_command("issue_token", str(phone.device.pk), stdout=out)
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
    assert phone.device is not None
    phone.device.revoke_token()
    phone.token = issue(phone).strip()
    assert phone.get("/v1/auth/device").status_code == 200


def test_it_refuses_an_erased_device(phone: Api) -> None:
    phone.delete("/v1/auth/device")
    with pytest.raises(CommandError, match="is erased"):
        issue(phone)
