"""`POST /v1/auth/rotate`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from devices import tokens
from tests.helpers.api import Api
from tests.helpers.phones import another_phone, device_of, row_of, sign_out, status


def rotate(phone: Api) -> Api:
    """Return the phone with the new token that it gets."""
    response = phone.post("/v1/auth/rotate")
    assert response.status_code == 200, response.content
    return Api(phone.device, response.json()["token"])


def test_it_works(phone: Api) -> None:
    response = phone.post("/v1/auth/rotate")
    assert response.status_code == 200
    assert list(response.json()) == ["token"]
    assert response.json()["token"] != phone.token
    assert status(Api(token=response.json()["token"])) == 200


def test_the_old_token_is_refused_at_once(phone: Api) -> None:
    rotate(phone)
    response = phone.get("/v1/auth/device")
    assert response.status_code == 401
    assert response.json() == {"detail": "Invalid or expired token"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/auth/device", None),
        ("DELETE", "/v1/auth/device", None),
        ("GET", "/v1/products", None),
        ("POST", "/v1/products", {"name": "Rice", "kcal_100g": 130}),
    ],
)
def test_the_old_token_may_only_rotate(phone: Api, method: str, path: str, body: Any) -> None:
    rotate(phone)
    assert phone.request(method, path, body).status_code == 401


def test_the_old_token_may_rotate_until_the_new_one_is_used(phone: Api) -> None:
    rotate(phone)
    rotate(phone)
    assert status(rotate(phone)) == 200


def test_the_new_token_of_a_lost_answer_is_replaced(phone: Api) -> None:
    lost = rotate(phone)
    rotate(phone)
    assert status(lost) == 401
    assert lost.post("/v1/auth/rotate").status_code == 401


def test_once_the_new_token_is_used_the_old_one_is_dead(phone: Api) -> None:
    new = rotate(phone)
    assert status(new) == 200
    assert phone.post("/v1/auth/rotate").status_code == 401
    assert status(new) == 200


@pytest.mark.parametrize("path", ["/v1/products/nonsense", "/v1/products?limit=0"])
def test_a_call_that_fails_uses_the_new_token_too(phone: Api, path: str) -> None:
    assert rotate(phone).get(path).status_code in (404, 422)
    assert phone.post("/v1/auth/rotate").status_code == 401


def test_rotating_uses_the_token_too(phone: Api) -> None:
    second = rotate(phone)
    third = rotate(second)
    assert phone.post("/v1/auth/rotate").status_code == 401
    assert status(rotate(second)) == 200
    assert status(third) == 401


@pytest.mark.parametrize("body", [None, {}, {"token": "mine"}, b"{", b"[]"])
def test_a_body_is_not_asked_for(phone: Api, body: Any) -> None:
    assert phone.post("/v1/auth/rotate", body).status_code == 200


def test_the_answer_is_kept_by_no_cache(phone: Api) -> None:
    assert phone.post("/v1/auth/rotate").headers["Cache-Control"] == "no-store"


def test_the_other_phones_of_the_device_keep_their_tokens(phone: Api) -> None:
    second = another_phone(phone)
    new = rotate(second)
    assert (status(phone), status(second), status(new)) == (200, 401, 200)
    assert (status(rotate(phone)), status(new)) == (200, 200)


def test_a_phone_that_is_not_the_first_may_repeat_it_too(phone: Api) -> None:
    second = another_phone(phone)
    lost, new = rotate(second), rotate(second)
    assert (status(lost), status(new)) == (401, 200)
    assert second.post("/v1/auth/rotate").status_code == 401


def test_the_phone_stays_the_same(phone: Api) -> None:
    second = another_phone(phone, name="Tablet")
    new = rotate(second)
    assert new.get("/v1/auth/phones").json()[1]["name"] == "Tablet"
    assert row_of(new).pk == row_of(second).pk


def test_what_the_device_owns_stays(phone: Api) -> None:
    product = phone.product()
    assert rotate(phone).get("/v1/products").json() == [product]


@pytest.mark.django_db(transaction=True)
def test_the_revision_stays(phone: Api) -> None:
    rotate(rotate(phone))
    assert device_of(phone).revision == 1


def test_it_needs_a_token(nobody: Api) -> None:
    assert nobody.post("/v1/auth/rotate").status_code == 401


def test_other_devices_keep_their_tokens(phone: Api, other: Api) -> None:
    rotate(phone)
    assert status(other) == 200


@pytest.mark.parametrize("act", ["erase", "sign_out_all", "block"])
def test_a_device_that_was_shut_out_meanwhile_gets_no_token(
    phone: Api, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_hash = tokens.hash_secret

    def hash_meanwhile(token: str) -> str:
        getattr(device_of(phone), act)(*["spam"] if act == "block" else [])
        return make_hash(token)

    monkeypatch.setattr(tokens, "hash_secret", hash_meanwhile)
    response = phone.post("/v1/auth/rotate")
    assert response.status_code == 401
    assert response.json() == {"detail": "Invalid or expired token"}


def test_a_phone_that_was_signed_out_meanwhile_gets_no_token(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = another_phone(phone)
    make_hash = tokens.hash_secret

    def hash_meanwhile(token: str) -> str:
        sign_out(second)
        return make_hash(token)

    monkeypatch.setattr(tokens, "hash_secret", hash_meanwhile)
    assert second.post("/v1/auth/rotate").status_code == 401
    assert row_of(second).token_hash is None
    assert status(phone) == 200


def test_a_token_that_was_replaced_meanwhile_gets_no_other(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_hash = tokens.hash_secret
    reissued = ""

    def hash_meanwhile(token: str) -> str:
        nonlocal reissued
        if not reissued:
            reissued = "now"
            reissued = row_of(phone).issue_token()
        return make_hash(token)

    monkeypatch.setattr(tokens, "hash_secret", hash_meanwhile)
    assert phone.post("/v1/auth/rotate").status_code == 401
    assert status(Api(token=reissued)) == 200


@pytest.mark.django_db(transaction=True)
def test_two_at_once_leave_one_good_token(phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    both_authenticated = threading.Barrier(2, timeout=5)
    make_hash = tokens.hash_secret

    def hash_when_both_are_in(token: str) -> str:
        both_authenticated.wait()
        return make_hash(token)

    def call(_: int) -> Api:
        try:
            return rotate(phone)
        finally:
            connection.close()

    monkeypatch.setattr(tokens, "hash_secret", hash_when_both_are_in)
    with ThreadPoolExecutor(2) as threads:
        new = list(threads.map(call, range(2)))
    assert sorted(status(each) for each in new) == [200, 401]
