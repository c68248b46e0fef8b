"""`GET /v1/auth/phones`, `PATCH` and `DELETE /v1/auth/phones/{id}`."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from devices.models import Phone
from tests.helpers.api import Api, new_phone, offences, request_body
from tests.helpers.phones import (
    PHONES,
    another_phone,
    device_of,
    fill_up,
    get_code,
    id_of,
    pair,
    row_of,
    sign_out,
    status,
    try_pair,
)
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import MALFORMED, NAMES_KEPT, WELL_FORMED

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
NOT_FOUND = {"detail": "Phone not found"}


def path(phone: Api) -> str:
    return f"{PHONES}/{id_of(phone)}"


def ids(phone: Api) -> list[str]:
    response = phone.get(PHONES)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()]


class TestList:
    @pytest.mark.django_db
    def test_it_works(self) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
        with time_machine.travel(NOW + timedelta(hours=1), tick=False):
            second = another_phone(phone, name="Pixel 9")
            response = phone.get(PHONES)
        assert response.status_code == 200
        assert response.json() == [
            {
                "id": str(id_of(phone)),
                "name": None,
                "created_at": "2026-03-01T12:00:00.250000Z",
                "last_seen_at": "2026-03-01T13:00:00.250000Z",
                "is_current": True,
            },
            {
                "id": str(id_of(second)),
                "name": "Pixel 9",
                "created_at": "2026-03-01T13:00:00.250000Z",
                "last_seen_at": "2026-03-01T13:00:00.250000Z",
                "is_current": False,
            },
        ]
        fields = ["id", "name", "created_at", "last_seen_at", "is_current"]
        assert list(response.json()[0]) == fields

    def test_the_current_one_is_the_one_that_asks(self, phone: Api) -> None:
        second = another_phone(phone)
        for each in (phone, second):
            current = [row["id"] for row in each.get(PHONES).json() if row["is_current"]]
            assert current == [str(id_of(each))]

    @pytest.mark.django_db
    def test_the_oldest_come_first_and_those_of_one_moment_by_id(self) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
            device = device_of(phone)
            for number in (3, 1, 2):
                row, _ = Phone.with_new_token(device, uuid.UUID(int=number))
                row.save(force_insert=True)
        with time_machine.travel(NOW - timedelta(days=1), tick=False):
            oldest = another_phone(phone)
        with time_machine.travel(NOW + timedelta(days=1), tick=False):
            newest = another_phone(phone)
        of_one_moment = [*(str(uuid.UUID(int=number)) for number in (1, 2, 3)), str(id_of(phone))]
        assert ids(phone) == [str(id_of(oldest)), *of_one_moment, str(id_of(newest))]

    def test_a_phone_that_was_signed_out_is_not_in_it(self, phone: Api) -> None:
        sign_out(another_phone(phone))
        assert ids(phone) == [str(id_of(phone))]

    def test_a_phone_that_never_called_is_in_it(self, phone: Api) -> None:
        new = pair(get_code(phone))
        (_, row) = phone.get(PHONES).json()
        assert (row["id"], row["last_seen_at"]) == (str(id_of(new)), None)

    def test_phones_of_other_devices_are_not_in_it(self, phone: Api, other: Api) -> None:
        another_phone(other)
        assert ids(phone) == [str(id_of(phone))]

    def test_it_is_two_queries_however_many_they_are(
        self, phone: Api, django_assert_num_queries: Any
    ) -> None:
        fill_up(phone)
        with django_assert_num_queries(2):
            assert len(ids(phone)) == 8

    def test_no_secret_is_in_it(self, phone: Api) -> None:
        row = row_of(phone)
        text = phone.get(PHONES).content.decode()
        for secret in (row.token_hash, row.token_hmac, phone.token.partition(".")[2]):
            assert secret not in text

    def test_the_answer_is_kept_by_no_cache(self, phone: Api) -> None:
        response = phone.get(PHONES)
        assert response.headers["Cache-Control"] == "no-store"
        assert "ETag" not in response.headers

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_only_get_is_allowed(self, phone: Api, method: str) -> None:
        response = phone.request(method, PHONES, {})
        assert response.status_code == 405
        assert response.headers["Allow"] == "GET, HEAD"


class TestRename:
    def test_it_works(self, phone: Api) -> None:
        before = phone.get(PHONES).json()[0]
        response = phone.patch(path(phone), {"name": "Pixel 9"})
        assert response.status_code == 200
        assert response.json() == before | {"name": "Pixel 9"}
        assert phone.get(PHONES).json() == [response.json()]

    def test_another_phone_of_the_device_is_renamed_too(self, phone: Api) -> None:
        second = another_phone(phone)
        response = phone.patch(path(second), {"name": "Tablet"})
        assert response.json()["id"] == str(id_of(second))
        assert response.json()["is_current"] is False
        assert [row["name"] for row in second.get(PHONES).json()] == [None, "Tablet"]

    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("null", None),
            ('""', None),
            ('"  "', None),
            ('"a"', "a"),
            (f'"{"a" * 50}"', "a" * 50),
            (f'"{"👩‍🍳" * 16}"', "👩‍🍳" * 16),
            (f'"  {"é" * 50}  "', "é" * 50),
            *((text, kept) for text, kept in NAMES_KEPT if len(kept) <= 50),
        ],
    )
    def test_a_name_is_kept(self, phone: Api, text: str, kept: str | None) -> None:
        phone.patch(path(phone), {"name": "before"})
        response = phone.patch(path(phone), request_body({}, name=text))
        assert response.status_code == 200
        assert response.json()["name"] == row_of(phone).name == kept

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            (f'"{"a" * 51}"', "max_length"),
            (f'"{"é" * 51}"', "max_length"),
            ('"a\\u0000b"', "invalid"),
            ('"a\\u001bb"', "invalid"),
            ('"a\\ud800b"', "invalid"),
            ("5", "invalid"),
            ("true", "invalid"),
            ("[]", "invalid"),
            ("{}", "invalid"),
        ],
    )
    def test_a_name_is_refused(self, phone: Api, text: str, kind: str) -> None:
        phone.patch(path(phone), {"name": "before"})
        response = phone.patch(path(phone), request_body({}, name=text))
        assert offences(response) == [(["body", "name"], kind)]
        assert row_of(phone).name == "before"

    def test_a_name_left_out_is_kept(self, phone: Api) -> None:
        phone.patch(path(phone), {"name": "Pixel 9"})
        response = phone.patch(path(phone), {"model": "Pixel"})
        assert response.status_code == 200
        assert response.json()["name"] == "Pixel 9"

    def test_nothing_else_is_changed(self, phone: Api) -> None:
        before = Phone.objects.values().get()
        body = {"id": WELL_FORMED, "created_at": None, "is_current": False, "signed_out_at": "now"}
        assert phone.patch(path(phone), body | {"name": "Pixel 9"}).status_code == 200
        assert Phone.objects.values().get() == before | {"name": "Pixel 9"}

    def test_two_phones_may_have_the_same_name(self, phone: Api) -> None:
        another_phone(phone, name="Pixel 9")
        assert phone.patch(path(phone), {"name": "Pixel 9"}).status_code == 200

    def test_the_case_of_the_id_does_not_matter(self, phone: Api) -> None:
        url = f"{PHONES}/{str(id_of(phone)).upper()}"
        assert phone.patch(url, {"name": "Pixel 9"}).json()["id"] == str(id_of(phone))

    def test_the_revision_stays(self, phone: Api) -> None:
        before = device_of(phone).revision
        phone.patch(path(phone), {"name": "Pixel 9"})
        assert device_of(phone).revision == before

    def test_a_body_is_validated_before_the_phone_is_looked_up(self, phone: Api) -> None:
        assert phone.patch(f"{PHONES}/{WELL_FORMED}", {"name": 5}).status_code == 422


class TestSignOut:
    def test_it_works(self, phone: Api) -> None:
        second = another_phone(phone)
        response = phone.delete(path(second))
        assert response.status_code == 204
        assert response.content == b""
        assert "Content-Type" not in response.headers
        assert (status(phone), status(second)) == (200, 401)

    def test_ones_own_phone_is_signed_out_too(self, phone: Api) -> None:
        second = another_phone(phone)
        assert phone.delete(path(phone)).status_code == 204
        assert (status(phone), status(second)) == (401, 200)

    def test_the_last_phone_stays(self, phone: Api) -> None:
        sign_out(another_phone(phone))
        response = phone.delete(path(phone))
        assert response.status_code == 409
        assert response.json() == {"detail": "Erase the device instead"}
        assert status(phone) == 200

    def test_the_device_may_be_left_to_one_that_asks_again_after_a_lost_answer(
        self, phone: Api
    ) -> None:
        code, phone_id = get_code(phone), uuid.uuid4()
        pair(code, phone_id)
        assert phone.delete(path(phone)).status_code == 204
        assert status(pair(code, phone_id)) == 200

    def test_one_that_never_called_is_signed_out_too(self, phone: Api) -> None:
        new = pair(get_code(phone))
        assert phone.delete(path(new)).status_code == 204
        assert status(new) == 401

    def test_the_rows_of_the_device_stay(self, phone: Api) -> None:
        second = another_phone(phone)
        product = second.product()
        phone.delete(path(second))
        assert phone.get("/v1/products").json() == [product]

    def test_a_phone_is_signed_out_once(self, phone: Api) -> None:
        second = another_phone(phone)
        phone.delete(path(second))
        response = phone.delete(path(second))
        assert response.status_code == 404
        assert response.json() == NOT_FOUND

    def test_a_token_of_before_the_last_rotation_is_refused_too(self, phone: Api) -> None:
        second = another_phone(phone)
        second.post("/v1/auth/rotate")
        phone.delete(path(second))
        assert second.post("/v1/auth/rotate").status_code == 401

    def test_the_code_that_it_asked_for_goes_with_it(self, phone: Api) -> None:
        second = another_phone(phone)
        code = get_code(second)
        phone.delete(path(second))
        assert try_pair(code).status_code == 404

    def test_the_code_of_another_phone_stays(self, phone: Api) -> None:
        second, code = another_phone(phone), get_code(phone)
        phone.delete(path(second))
        assert status(pair(code)) == 200

    def test_of_the_phone_id_and_times_stay_alone(self, phone: Api) -> None:
        second = another_phone(phone, name="Tablet")
        before = Phone.objects.values().get(id=id_of(second))
        with time_machine.travel(NOW, tick=False):
            phone.delete(path(second))
        after = Phone.objects.values().get(id=id_of(second))
        kept = {name: before[name] for name in ("device_id", "id", "created_at", "last_seen_at")}
        assert after == dict.fromkeys(after) | kept | {"signed_out_at": NOW}

    @pytest.mark.django_db(transaction=True)
    def test_of_two_phones_that_sign_each_other_out_one_stays(self, phone: Api) -> None:
        second = another_phone(phone)
        one, two = as_thread(phone), as_thread(second)
        answers = at_once(lambda: one.delete(path(two)), lambda: two.delete(path(one)))
        assert sorted(answer.status_code for answer in answers) == [204, 401]
        assert sorted([status(phone), status(second)]) == [200, 401]

    @pytest.mark.django_db(transaction=True)
    def test_of_two_phones_that_leave_at_once_one_stays(self, phone: Api) -> None:
        second = another_phone(phone)
        one, two = as_thread(phone), as_thread(second)
        answers = at_once(lambda: one.delete(path(one)), lambda: two.delete(path(two)))
        assert sorted(answer.status_code for answer in answers) == [204, 409]
        assert sorted([status(phone), status(second)]) == [200, 401]


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"name": "Mine now"}), ("DELETE", None)])
class TestOne:
    """What renaming and signing out share."""

    def test_an_unknown_phone_is_not_found(self, phone: Api, method: str, body: Any) -> None:
        response = phone.request(method, f"{PHONES}/{WELL_FORMED}", body)
        assert response.status_code == 404
        assert response.json() == NOT_FOUND

    @pytest.mark.parametrize("id", MALFORMED)
    def test_a_malformed_id_is_not_found(self, phone: Api, method: str, body: Any, id: str) -> None:
        response = phone.request(method, f"{PHONES}/{id}", body)
        assert response.status_code == 404
        assert response.json() == NOT_FOUND

    def test_a_phone_of_another_device_is_not_found(
        self, phone: Api, other: Api, method: str, body: Any
    ) -> None:
        second = another_phone(other, name="Theirs")
        for each in (other, second):
            response = phone.request(method, path(each), body)
            assert response.status_code == 404
            assert response.json() == NOT_FOUND
        assert (status(other), status(second), row_of(second).name) == (200, 200, "Theirs")

    def test_a_phone_that_was_signed_out_is_not_found(
        self, phone: Api, method: str, body: Any
    ) -> None:
        second = another_phone(phone)
        sign_out(second)
        response = phone.request(method, path(second), body)
        assert response.status_code == 404
        assert response.json() == NOT_FOUND

    def test_of_two_devices_with_a_phone_of_the_same_id_each_has_its_own(
        self, phone: Api, other: Api, method: str, body: Any
    ) -> None:
        for each in (phone, other):
            row, _ = Phone.with_new_token(device_of(each), uuid.UUID(WELL_FORMED))
            row.save(force_insert=True)
        assert phone.request(method, f"{PHONES}/{WELL_FORMED}", body).status_code < 300
        theirs = Phone.objects.get(device=device_of(other), id=WELL_FORMED)
        assert (theirs.name, theirs.signed_out_at) == (None, None)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_one_phone_is_renamed_and_signed_out_alone(phone: Api, method: str) -> None:
    response = phone.request(method, path(phone), {})
    assert response.status_code == 405
    assert response.headers["Allow"] == "PATCH, DELETE"
