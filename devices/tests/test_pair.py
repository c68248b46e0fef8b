"""`POST /v1/auth/pair`.

Its throttle is in `test_throttling.py`, how codes and keys are written in `test_codes.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import bcrypt
import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from devices import codes
from devices.models import PairingCode, Phone, RecoveryKey
from tests.helpers.api import Api, new_phone, offences, request_body
from tests.helpers.phones import (
    IN_USE,
    LIMIT,
    PAIR,
    PHONES,
    UNKNOWN_CODE,
    another_phone,
    device_of,
    fill_up,
    get_code,
    get_key,
    id_of,
    pair,
    row_of,
    sign_out,
    status,
    try_pair,
)
from tests.helpers.threads import at_once
from tests.helpers.values import NAMES_KEPT, NOT_IDS

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
PHONE_ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
OLD_KEY, NEW_KEY = "the key of last year, " * 3, "the key of this year, " * 3
UNKNOWN = "BCDF-GHJK-LMNP"


@pytest.fixture(autouse=True)
def no_throttle(settings: Any) -> None:
    """Pair as often as it takes."""
    settings.PAIR_THROTTLE = ""


def get_either(phone: Api, *, is_key: bool) -> str:
    """Return a new recovery key of a phone's device, or a new pairing code."""
    return get_key(phone) if is_key else get_code(phone)


def is_unknown(response: Any) -> bool:
    """Return whether the code was refused, in the one way that there is."""
    assert response.status_code in (200, 404), response.content
    assert response.status_code == 200 or response.json() == UNKNOWN_CODE
    return bool(response.status_code == 404)


both = pytest.mark.parametrize("is_key", [False, True])


@both
def test_it_works(phone: Api, is_key: bool) -> None:
    product = phone.product()
    response = try_pair(get_either(phone, is_key=is_key), PHONE_ID, name="Pixel 9")
    assert response.status_code == 200
    assert list(response.json()) == ["token", "device_id"]
    assert response.json()["device_id"] == str(device_of(phone).pk)
    second = Api(phone.device, response.json()["token"])
    assert second.get("/v1/products").json() == [product]
    (first, row) = second.get(PHONES).json()
    assert (row["id"], row["name"], row["is_current"]) == (PHONE_ID, "Pixel 9", True)
    assert first["is_current"] is False


def test_the_token_is_a_phones_of_the_device(phone: Api) -> None:
    second = pair(get_code(phone), PHONE_ID)
    assert id_of(second) == uuid.UUID(PHONE_ID)
    assert len(second.token) == 87


def test_the_token_is_stored_nowhere(phone: Api) -> None:
    secret = pair(get_code(phone), PHONE_ID).token.partition(".")[2]
    stored = Phone.objects.values().get(id=PHONE_ID)
    assert not any(secret in str(value) for value in stored.values())


def test_the_phone_starts_unseen_and_its_age_is_from_then(phone: Api) -> None:
    with time_machine.travel(NOW, tick=False):
        row = row_of(pair(get_code(phone), PHONE_ID))
    assert (row.created_at, row.last_seen_at, row.signed_out_at) == (NOW, None, None)


@both
def test_the_phones_that_are_there_stay(phone: Api, is_key: bool) -> None:
    second = another_phone(phone)
    pair(get_either(phone, is_key=is_key)).get(PHONES)
    assert (status(phone), status(second)) == (200, 200)


def test_all_phones_share_the_rows_and_the_revision(phone: Api) -> None:
    second = pair(get_code(phone))
    product = second.product()
    phone.patch(f"/v1/products/{product['id']}", {"name": "Rice"})
    assert second.get("/v1/products").json() == phone.get("/v1/products").json()
    pulled = [each.get("/v1/sync").json() for each in (phone, second)]
    assert pulled[0] == pulled[1]


def test_joining_leaves_the_revision(phone: Api) -> None:
    before = device_of(phone).revision
    status(pair(get_code(phone, move=True)))
    assert device_of(phone).revision == before


def test_the_answer_is_kept_by_no_cache(phone: Api) -> None:
    assert try_pair(get_code(phone)).headers["Cache-Control"] == "no-store"
    assert try_pair(UNKNOWN).headers["Cache-Control"] == "no-store"


def test_a_token_sent_along_does_not_matter(phone: Api, other: Api) -> None:
    body = {"code": get_code(phone), "phone_id": PHONE_ID}
    assert other.post(PAIR, body).json()["device_id"] == str(device_of(phone).pk)
    assert status(other) == 200


def test_a_phone_that_owns_a_device_may_join_another(phone: Api, other: Api) -> None:
    second = pair(get_code(phone), id_of(other))
    assert second.device == phone.device
    assert status(other) == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_only_post_is_allowed(nobody: Api, method: str) -> None:
    response = nobody.request(method, PAIR)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"


class TestSpelling:
    @both
    @pytest.mark.parametrize(
        "change",
        [
            str.lower,
            str.title,
            lambda code: code.replace("-", ""),
            lambda code: code.replace("-", " "),
            lambda code: code.replace("-", " \u2013 "),
            lambda code: code.replace("-", "\u2011"),
            lambda code: f"\t{code}\n",
            lambda code: "-".join(code.replace("-", "")),
        ],
    )
    def test_case_blanks_and_hyphens_do_not_matter(
        self, phone: Api, is_key: bool, change: Callable[[str], str]
    ) -> None:
        typed = change(get_either(phone, is_key=is_key))
        assert status(pair(typed)) == 200

    @pytest.mark.parametrize("letters", ["OI", "ol", "oI"])
    def test_in_a_key_lookalikes_are_digits(
        self, phone: Api, letters: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        random = "01Z3MK0QH9RXT5WC2VJ8N6PBFG"[:25]
        monkeypatch.setattr(codes, "new_key", lambda: random + codes.check_character(random))
        key = get_key(phone)
        assert status(pair(letters + key[2:])) == 200

    @pytest.mark.parametrize("place", [0, 7, -1])
    def test_a_key_with_one_wrong_character_is_unknown(self, phone: Api, place: int) -> None:
        key = list(get_key(phone))
        key[place] = "0" if key[place] != "0" else "1"
        assert is_unknown(try_pair("".join(key)))

    @pytest.mark.parametrize(
        "typed", ["x", "1", "BCDF-GHJK-LMN", "BCDF-GHJK-LMNPQ", "ACDF-GHJK-LMNP", "-", "é" * 5000]
    )
    def test_what_is_neither_code_nor_key_is_unknown(self, phone: Api, typed: str) -> None:
        get_code(phone), get_key(phone)
        assert is_unknown(try_pair(typed))


class TestUnknown:
    """Every reason for which a code or key is refused answers alike."""

    @pytest.mark.django_db
    def test_it_works(self) -> None:
        response = try_pair(UNKNOWN)
        assert response.status_code == 404
        assert response.json() == {"detail": "Code not found or expired"}
        assert not Phone.objects.exists()

    def test_a_code_is_good_once(self, phone: Api) -> None:
        code = get_code(phone)
        pair(code)
        assert is_unknown(try_pair(code))

    @pytest.mark.parametrize(
        ("later", "expected"),
        [(timedelta(minutes=10) - timedelta(microseconds=1), True), (timedelta(minutes=10), False)],
    )
    def test_a_code_is_good_for_ten_minutes(
        self, phone: Api, later: timedelta, expected: bool
    ) -> None:
        with time_machine.travel(NOW, tick=False):
            code = get_code(phone)
        with time_machine.travel(NOW + later, tick=False):
            assert is_unknown(try_pair(code)) != expected

    def test_a_code_that_was_replaced(self, phone: Api) -> None:
        code = get_code(phone)
        get_code(phone)
        assert is_unknown(try_pair(code))

    def test_a_code_whose_phone_was_signed_out(self, phone: Api) -> None:
        second = another_phone(phone)
        code = get_code(second)
        sign_out(second)
        assert is_unknown(try_pair(code))

    def test_a_code_whose_phone_was_signed_out_and_came_back(self, phone: Api) -> None:
        code = get_code(phone)
        sign_out(phone)
        row_of(phone).issue_token()
        assert is_unknown(try_pair(code))

    @both
    def test_of_a_blocked_device(self, phone: Api, is_key: bool) -> None:
        code = get_either(phone, is_key=is_key)
        device_of(phone).block("spam")
        assert is_unknown(try_pair(code))
        device_of(phone).unblock()
        assert not is_unknown(try_pair(code))

    @both
    def test_of_an_erased_device(self, phone: Api, is_key: bool) -> None:
        code = get_either(phone, is_key=is_key)
        phone.delete("/v1/auth/device")
        assert is_unknown(try_pair(code))

    def test_a_digest_is_no_code(self, phone: Api) -> None:
        get_code(phone), get_key(phone)
        for row in (PairingCode.objects.get(), RecoveryKey.objects.get()):
            assert is_unknown(try_pair(row.digest))

    def test_a_key_is_good_while_no_phone_is_signed_in(self, phone: Api) -> None:
        key = get_key(phone)
        device_of(phone).sign_out_all()
        assert status(pair(key)) == 200

    def test_it_is_one_query_and_no_bcrypt_whatever_the_reason(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        used, blocked, erased, signed_out = get_code(phone), new_phone(), new_phone(), new_phone()
        pair(used)
        another_phone(signed_out)
        refused = [
            UNKNOWN,
            "x",
            codes.printed_key(codes.new_key()),
            used,
            *(get_code(each) for each in (blocked, erased, signed_out)),
            *(get_key(each) for each in (blocked, erased)),
        ]
        device_of(blocked).block("spam")
        device_of(erased).erase()
        sign_out(signed_out)
        monkeypatch.setattr(bcrypt, "hashpw", lambda *args: pytest.fail("bcrypt was asked"))
        costs = set()
        for code in refused:
            with CaptureQueriesContext(connection) as queries:
                assert is_unknown(try_pair(code))
            costs.add(len([q for q in queries if "throttle:" not in q["sql"]]))
        assert costs == {1}

    @both
    @pytest.mark.parametrize("act", ["erase", "block"])
    def test_a_device_that_is_shut_out_meanwhile(
        self, phone: Api, is_key: bool, act: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = get_either(phone, is_key=is_key)
        hashpw = bcrypt.hashpw

        def shut_out(*args: Any) -> bytes:
            getattr(device_of(phone), act)(*["spam"] if act == "block" else [])
            return hashpw(*args)

        monkeypatch.setattr(bcrypt, "hashpw", shut_out)
        assert is_unknown(try_pair(code, PHONE_ID))
        assert not Phone.objects.filter(id=PHONE_ID).exists()

    def test_a_code_whose_phone_is_signed_out_meanwhile(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code, hashpw = get_code(phone), bcrypt.hashpw

        def shut_out(*args: Any) -> bytes:
            sign_out(phone)
            return hashpw(*args)

        monkeypatch.setattr(bcrypt, "hashpw", shut_out)
        assert is_unknown(try_pair(code))


class TestOnceMore:
    """The phone asks again, since the answer was lost."""

    @both
    def test_it_works(self, phone: Api, is_key: bool) -> None:
        code = get_either(phone, is_key=is_key)
        lost, new = pair(code, PHONE_ID), pair(code, PHONE_ID)
        assert new.device == phone.device
        assert (status(lost), status(new)) == (401, 200)
        assert [row["id"] for row in phone.get(PHONES).json()] == [str(id_of(phone)), PHONE_ID]

    @both
    def test_the_token_of_the_lost_answer_may_not_even_rotate(
        self, phone: Api, is_key: bool
    ) -> None:
        code = get_either(phone, is_key=is_key)
        lost = pair(code, PHONE_ID)
        pair(code, PHONE_ID)
        assert lost.post("/v1/auth/rotate").status_code == 401

    def test_it_may_ask_as_often_as_it_takes(self, phone: Api) -> None:
        code = get_code(phone)
        for _ in range(4):
            last = pair(code, PHONE_ID)
        assert status(last) == 200

    def test_after_the_first_use_of_the_token_the_code_is_used(self, phone: Api) -> None:
        code = get_code(phone)
        second = pair(code, PHONE_ID)
        status(second)
        assert is_unknown(try_pair(code, PHONE_ID))
        assert status(second) == 200

    def test_after_the_first_use_of_the_token_the_id_is_in_use_with_a_key(self, phone: Api) -> None:
        key = get_key(phone)
        second = pair(key, PHONE_ID)
        status(second)
        response = try_pair(key, PHONE_ID)
        assert response.status_code == 409
        assert response.json() == IN_USE
        assert status(second) == 200

    def test_rotating_is_a_first_use(self, phone: Api) -> None:
        code = get_code(phone)
        second = pair(code, PHONE_ID)
        assert second.post("/v1/auth/rotate").status_code == 200
        assert is_unknown(try_pair(code, PHONE_ID))

    def test_a_call_that_fails_is_a_first_use(self, phone: Api) -> None:
        code = get_code(phone)
        assert pair(code, PHONE_ID).get("/v1/products/nonsense").status_code == 404
        assert is_unknown(try_pair(code, PHONE_ID))

    def test_another_phone_may_not_with_the_same_code(self, phone: Api) -> None:
        code = get_code(phone)
        pair(code, PHONE_ID)
        assert is_unknown(try_pair(code))

    @both
    def test_the_same_phone_may_not_with_another_code(self, phone: Api, is_key: bool) -> None:
        pair(get_code(phone), PHONE_ID)
        response = try_pair(get_either(phone, is_key=is_key), PHONE_ID)
        assert response.status_code == 409
        assert response.json() == IN_USE

    def test_the_spelling_may_differ(self, phone: Api) -> None:
        code = get_code(phone)
        pair(code, PHONE_ID)
        assert status(pair(code.lower().replace("-", " "), PHONE_ID.upper())) == 200

    def test_the_name_is_the_later_one(self, phone: Api) -> None:
        code = get_code(phone)
        pair(code, PHONE_ID, name="Phone")
        assert row_of(pair(code, PHONE_ID, name="Pixel 9")).name == "Pixel 9"

    def test_its_age_is_from_the_first_time(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            code = get_code(phone)
            pair(code, PHONE_ID)
        with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
            assert row_of(pair(code, PHONE_ID)).created_at == NOW

    def test_a_new_code_of_the_device_does_not_matter(self, phone: Api) -> None:
        code = get_code(phone)
        pair(code, PHONE_ID)
        get_code(phone)
        assert status(pair(code, PHONE_ID)) == 200

    def test_at_the_limit_too(self, phone: Api) -> None:
        code = get_code(phone)
        for _ in range(6):
            another_phone(phone)
        pair(code, PHONE_ID)
        assert status(pair(code, PHONE_ID)) == 200

    def test_also_by_a_key_that_has_ended(self, phone: Api) -> None:
        key = get_key(phone)
        pair(key, PHONE_ID)
        get_key(phone, key)
        assert is_unknown(try_pair(key))
        assert status(pair(key, PHONE_ID)) == 200

    def test_not_once_it_was_signed_out(self, phone: Api) -> None:
        code = get_code(phone)
        pair(code, PHONE_ID)
        phone.delete(f"{PHONES}/{PHONE_ID}")
        assert is_unknown(try_pair(code, PHONE_ID))

    @pytest.mark.parametrize("act", ["erase", "block"])
    def test_not_with_a_device_that_is_shut_out(self, phone: Api, act: str) -> None:
        code = get_code(phone)
        pair(code, PHONE_ID)
        getattr(device_of(phone), act)(*["spam"] if act == "block" else [])
        assert is_unknown(try_pair(code, PHONE_ID))

    def test_a_token_that_was_replaced_while_it_was_checked_is_refused(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        code = get_code(phone)
        lost = pair(code, PHONE_ID)
        is_usable = Phone.is_usable
        new: list[Api] = []

        def pair_meanwhile(self: Phone) -> bool:
            monkeypatch.setattr(Phone, "is_usable", is_usable)
            new.append(pair(code, PHONE_ID))
            return True

        monkeypatch.setattr(Phone, "is_usable", property(pair_meanwhile))
        assert status(lost) == 401
        assert status(new[0]) == 200


class TestPhoneId:
    @both
    def test_an_id_of_a_phone_of_the_device_is_in_use(self, phone: Api, is_key: bool) -> None:
        second = another_phone(phone)
        code = get_either(phone, is_key=is_key)
        for each in (phone, second):
            response = try_pair(code, id_of(each))
            assert response.status_code == 409
            assert response.json() == IN_USE
            assert status(each) == 200
        assert status(pair(code)) == 200

    @both
    def test_an_id_that_signed_out_is_in_use_until_it_is_forgotten(
        self, phone: Api, is_key: bool
    ) -> None:
        with time_machine.travel(NOW, tick=False):
            sign_out(another_phone(phone))
            second = another_phone(phone)
            sign_out(second)
        for later, expected in (
            (timedelta(days=90), 409),
            (timedelta(days=90, microseconds=1), 200),
        ):
            with time_machine.travel(NOW + later, tick=False):
                call_command("purge_deleted", "--older-than", "1d", stdout=StringIO())
                response = try_pair(get_either(phone, is_key=is_key), id_of(second))
            assert response.status_code == expected
        assert status(Api(token=response.json()["token"])) == 200

    def test_the_first_phones_id_is_free_once_it_is_forgotten(self, phone: Api) -> None:
        second = another_phone(phone)
        device_of(phone).phones.filter(id=id_of(phone)).delete()
        again = pair(get_code(second), id_of(phone))
        assert len(again.token) == 66
        assert (status(again), status(phone)) == (200, 401)

    def test_an_id_of_another_devices_phone_is_free(self, phone: Api, other: Api) -> None:
        theirs = another_phone(other)
        mine = pair(get_code(phone), id_of(theirs))
        assert (status(mine), status(theirs)) == (200, 200)
        assert mine.device == phone.device


class TestLimit:
    @both
    def test_it_works(self, phone: Api, is_key: bool) -> None:
        eighth = fill_up(phone)[-1]
        code = get_either(phone, is_key=is_key)
        response = try_pair(code)
        assert response.status_code == 409
        assert response.json() == LIMIT
        sign_out(eighth)
        assert status(pair(code)) == 200

    def test_phones_that_signed_out_do_not_count(self, phone: Api) -> None:
        for _ in range(8):
            sign_out(another_phone(phone))
        assert status(pair(get_code(phone))) == 200

    def test_the_last_that_fits_is_the_eighth(self, phone: Api) -> None:
        expected = [200] * 7 + [409]
        assert [try_pair(get_code(phone)).status_code for _ in range(8)] == expected
        assert len(phone.get(PHONES).json()) == 8

    def test_with_a_key_and_revoke_others_there_is_room(self, phone: Api) -> None:
        fill_up(phone)
        assert status(pair(get_key(phone), revoke_others=True)) == 200

    def test_the_id_is_looked_at_before_the_limit(self, phone: Api) -> None:
        eighth = fill_up(phone)[-1]
        assert try_pair(get_code(phone), id_of(eighth)).json() == IN_USE

    def test_the_code_is_looked_at_before_the_id(self, phone: Api) -> None:
        fill_up(phone)
        assert is_unknown(try_pair(UNKNOWN, id_of(phone)))

    @pytest.mark.django_db(transaction=True)
    def test_it_holds_for_those_who_come_at_once(self, phone: Api) -> None:
        for _ in range(6):
            another_phone(phone)
        key = get_key(phone)
        answers = at_once(*[lambda: try_pair(key)] * 3)
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409]


class TestMove:
    def test_it_works(self, phone: Api) -> None:
        product = phone.product()
        new = pair(get_code(phone, move=True))
        assert status(phone) == 200
        assert new.get("/v1/products").json() == [product]
        assert status(phone) == 401
        assert [row["id"] for row in new.get(PHONES).json()] == [str(id_of(new))]

    def test_the_other_phones_stay(self, phone: Api) -> None:
        second = another_phone(phone)
        status(pair(get_code(phone, move=True)))
        assert (status(phone), status(second)) == (401, 200)

    def test_without_it_the_phone_that_asked_stays(self, phone: Api) -> None:
        status(pair(get_code(phone)))
        assert status(phone) == 200

    def test_a_lost_answer_leaves_the_old_phone(self, phone: Api) -> None:
        code = get_code(phone, move=True)
        pair(code, PHONE_ID)
        new = pair(code, PHONE_ID)
        assert status(phone) == 200
        assert (status(new), status(phone)) == (200, 401)

    def test_the_token_of_a_lost_answer_moves_nothing(self, phone: Api) -> None:
        code = get_code(phone, move=True)
        lost = pair(code, PHONE_ID)
        pair(code, PHONE_ID)
        assert (status(lost), status(phone)) == (401, 200)

    def test_a_wrong_token_moves_nothing(self, phone: Api) -> None:
        new = pair(get_code(phone, move=True))
        wrong = Api(token=new.token.partition(".")[0] + "." + phone.token.partition(".")[2])
        assert (status(wrong), status(phone)) == (401, 200)

    def test_the_phone_that_asked_may_be_gone_by_then(self, phone: Api) -> None:
        second = another_phone(phone)
        new = pair(get_code(second, move=True))
        phone.delete(f"{PHONES}/{id_of(second)}")
        assert (status(new), status(phone)) == (200, 200)

    def test_the_phone_that_asked_may_be_forgotten_by_then(self, phone: Api) -> None:
        second = another_phone(phone)
        new = pair(get_code(second, move=True))
        device_of(phone).phones.filter(id=id_of(second)).delete()
        assert (status(new), status(phone)) == (200, 200)

    def test_it_moves_once(self, phone: Api) -> None:
        new = pair(get_code(phone, move=True))
        status(new)
        token = row_of(phone).issue_token()
        assert (status(new), status(Api(token=token))) == (200, 200)

    def test_the_code_of_the_phone_that_goes_is_void(self, phone: Api) -> None:
        new = pair(get_code(phone, move=True))
        code = get_code(phone)
        status(new)
        assert is_unknown(try_pair(code))

    def test_a_write_of_the_old_phone_is_refused_that_comes_at_the_same_time(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        new = pair(get_code(phone, move=True))

        def move(self: Phone) -> None:
            monkeypatch.undo()
            assert status(new) == 200

        monkeypatch.setattr(Phone, "seen", move)
        assert phone.post("/v1/products", {"name": "Rice", "kcal_100g": 130}).status_code == 401
        assert new.get("/v1/products").json() == []


class TestRevokeOthers:
    def test_it_works(self, phone: Api) -> None:
        product, key, second = phone.product(), get_key(phone), another_phone(phone)
        owner = pair(key, revoke_others=True)
        assert (status(phone), status(second)) == (401, 401)
        assert owner.get("/v1/products").json() == [product]
        assert [row["id"] for row in owner.get(PHONES).json()] == [str(id_of(owner))]

    def test_without_it_the_others_stay(self, phone: Api) -> None:
        pair(get_key(phone), revoke_others=False)
        assert status(phone) == 200

    def test_all_codes_are_void(self, phone: Api) -> None:
        key, code = get_key(phone), get_code(phone)
        pair(key, revoke_others=True)
        assert is_unknown(try_pair(code))
        assert not PairingCode.objects.exists()

    def test_phones_that_wait_to_be_used_go_too(self, phone: Api) -> None:
        key, code = get_key(phone), get_code(phone)
        waiting = pair(code, PHONE_ID)
        pair(key, revoke_others=True)
        assert status(waiting) == 401
        assert is_unknown(try_pair(code, PHONE_ID))

    def test_the_key_stays_good(self, phone: Api) -> None:
        key = get_key(phone)
        pair(key, revoke_others=True)
        with time_machine.travel(datetime.now(UTC) + timedelta(days=3650), tick=False):
            assert status(pair(key)) == 200

    def test_the_key_shown_is_the_present_one_again(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
        with time_machine.travel(NOW + timedelta(days=1), tick=False):
            thief = another_phone(phone)
            of_thief = [get_key(thief), get_key(thief)]
        with time_machine.travel(NOW + timedelta(days=2), tick=False):
            owner = pair(key, revoke_others=True)
            answer = owner.get("/v1/auth/device").json()
            assert answer["recovery_key_created_at"] == "2026-03-01T12:00:00.250000Z"
            assert [is_unknown(try_pair(each)) for each in of_thief] == [True, True]
        with time_machine.travel(NOW + timedelta(days=30), tick=False):
            assert status(pair(key)) == 200

    def test_a_key_that_was_deleted_is_the_present_one_again(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
            phone.delete("/v1/auth/recovery-key")
            pair(key, revoke_others=True)
        with time_machine.travel(NOW + timedelta(days=30), tick=False):
            assert status(pair(key)) == 200

    def test_a_thief_with_a_later_key_does_not_outrank_the_owner(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
            of_thief = get_key(another_phone(phone))
            thief = pair(of_thief, revoke_others=True)
            assert status(phone) == 401
            owner = pair(key, revoke_others=True)
            assert (status(thief), status(owner)) == (401, 200)
            assert is_unknown(try_pair(of_thief, revoke_others=True))

    def test_a_code_may_not(self, phone: Api) -> None:
        code = get_code(phone)
        response = try_pair(code, revoke_others=True)
        assert offences(response) == [(["body", "revoke_others"], "invalid")]
        assert status(phone) == 200
        assert status(pair(code)) == 200

    def test_a_wrong_key_signs_nobody_out(self, phone: Api) -> None:
        get_key(phone)
        assert is_unknown(try_pair(codes.printed_key(codes.new_key()), revoke_others=True))
        assert status(phone) == 200

    def test_an_id_in_use_signs_nobody_out(self, phone: Api) -> None:
        key, code = get_key(phone), get_code(phone)
        assert try_pair(key, id_of(phone), revoke_others=True).json() == IN_USE
        assert status(phone) == 200
        assert status(pair(code)) == 200

    def test_other_devices_are_left_alone(self, phone: Api, other: Api) -> None:
        code, key = get_code(other), get_key(other)
        pair(get_key(phone), revoke_others=True)
        assert [status(each) for each in (other, pair(code), pair(key))] == [200, 200, 200]

    def test_once_more_it_signs_out_who_came_between(self, phone: Api) -> None:
        key = get_key(phone)
        pair(key, PHONE_ID, revoke_others=True)
        between = another_phone(phone)
        new = pair(key, PHONE_ID, revoke_others=True)
        assert (status(between), status(new)) == (401, 200)

    def test_it_may_be_asked_for_at_the_second_try(self, phone: Api) -> None:
        key, code = get_key(phone), get_code(phone)
        pair(key, PHONE_ID)
        new = pair(key, PHONE_ID, revoke_others=True)
        assert (status(phone), status(new)) == (401, 200)
        assert is_unknown(try_pair(code))

    def test_at_the_second_try_the_key_becomes_the_present_one(self, phone: Api) -> None:
        key = get_key(phone)
        pair(key, PHONE_ID)
        later = get_key(phone)
        pair(key, PHONE_ID, revoke_others=True)
        assert is_unknown(try_pair(later))
        assert RecoveryKey.objects.get().expires_at is None

    def test_once_more_it_does_not_sign_the_phone_itself_out(self, phone: Api) -> None:
        key = get_key(phone)
        pair(key, PHONE_ID, revoke_others=True)
        assert status(pair(key, PHONE_ID, revoke_others=True)) == 200

    def test_once_more_with_a_key_that_has_ended_is_unknown(self, phone: Api) -> None:
        key = get_key(phone)
        pair(key, PHONE_ID)
        get_key(phone, key)
        assert is_unknown(try_pair(key, PHONE_ID, revoke_others=True))
        assert status(phone) == 200


class TestName:
    @pytest.mark.parametrize(
        ("text", "kept"),
        [
            ("null", None),
            ('""', None),
            ('" "', None),
            (f'"{"é" * 50}"', "é" * 50),
            *((text, kept) for text, kept in NAMES_KEPT if len(kept) <= 50),
        ],
    )
    def test_a_name_is_kept(self, phone: Api, text: str, kept: str | None) -> None:
        body = request_body({"code": get_code(phone), "phone_id": PHONE_ID}, name=text)
        assert Api().post(PAIR, body).status_code == 200
        assert Phone.objects.get(id=PHONE_ID).name == kept

    def test_without_one_it_has_none(self, phone: Api) -> None:
        assert row_of(pair(get_code(phone))).name is None


class TestValidation:
    @pytest.mark.parametrize(
        ("field", "text", "kind"),
        [
            ("code", "null", "null"),
            ("code", '""', "blank"),
            ("code", '" \\t"', "blank"),
            ("code", "5", "invalid"),
            ("code", "true", "invalid"),
            ("code", "[]", "invalid"),
            ("code", "{}", "invalid"),
            ("code", '"a\\u0000b"', "invalid"),
            ("code", '"a\\ud800b"', "invalid"),
            ("phone_id", "null", "null"),
            ("phone_id", '""', "invalid"),
            *(("phone_id", text, "invalid") for text in NOT_IDS),
            ("name", f'"{"a" * 51}"', "max_length"),
            ("name", '"a\\u0000b"', "invalid"),
            ("name", '"a\\u001bb"', "invalid"),
            ("name", "5", "invalid"),
            ("name", "true", "invalid"),
            ("name", "[]", "invalid"),
            ("name", "{}", "invalid"),
            ("revoke_others", "null", "null"),
            ("revoke_others", "1", "invalid"),
            ("revoke_others", '"true"', "invalid"),
            ("revoke_others", "[]", "invalid"),
            ("revoke_others", "{}", "invalid"),
        ],
    )
    def test_a_value_is_refused(self, phone: Api, field: str, text: str, kind: str) -> None:
        code = get_code(phone)
        body = {"code": code, "phone_id": PHONE_ID, "name": "Pixel 9", "revoke_others": False}
        del body[field]
        response = Api().post(PAIR, request_body(body, **{field: text}))
        assert offences(response) == [(["body", field], kind)]
        assert status(pair(code)) == 200

    def test_code_and_id_are_required(self, nobody: Api, db: None) -> None:
        expected = [(["body", "code"], "required"), (["body", "phone_id"], "required")]
        assert offences(nobody.post(PAIR, {})) == expected

    def test_every_offending_field_is_listed(self, nobody: Api) -> None:
        body = {"code": 1, "phone_id": 1, "name": 1, "revoke_others": 1}
        found = [place for place, _ in offences(nobody.post(PAIR, body))]
        assert found == [["body", field] for field in body]

    def test_unknown_fields_are_ignored(self, phone: Api) -> None:
        body: dict[str, Any] = {"created_at": None, "replaces": str(id_of(phone)), "is_move": True}
        second = pair(get_code(phone), **body)
        assert (status(second), status(phone)) == (200, 200)

    @pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff"])
    def test_a_body_is_an_object(self, nobody: Api, body: bytes) -> None:
        assert nobody.post(PAIR, body).status_code == 400

    def test_an_id_in_another_case_is_the_same_phone(self, phone: Api) -> None:
        second = pair(get_code(phone), PHONE_ID.upper())
        assert second.get("/v1/auth/device").json()["phone_id"] == PHONE_ID
        assert try_pair(get_code(phone), PHONE_ID.title()).status_code == 409

    @pytest.mark.parametrize("version", ["1", "4", "7", "f"])
    def test_any_version_of_uuid_will_do(self, phone: Api, version: str) -> None:
        phone_id = f"{PHONE_ID[:14]}{version}{PHONE_ID[15:]}"
        assert id_of(pair(get_code(phone), phone_id)) == uuid.UUID(phone_id)


class TestSecretKey:
    """SECRET_KEY is replaced after a code or key was made."""

    @both
    def test_with_the_fallback_both_stay_good(
        self, phone: Api, settings: Any, is_key: bool
    ) -> None:
        settings.SECRET_KEY = OLD_KEY
        code = get_either(phone, is_key=is_key)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW_KEY, [OLD_KEY]
        lost = pair(code, PHONE_ID)
        assert status(pair(code, PHONE_ID)) == 200
        assert status(lost) == 401

    def test_a_phone_may_ask_again_after_it(self, phone: Api, settings: Any) -> None:
        settings.SECRET_KEY = OLD_KEY
        code = get_code(phone)
        pair(code, PHONE_ID)
        settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW_KEY, [OLD_KEY]
        assert status(pair(code, PHONE_ID)) == 200

    def test_without_it_codes_are_lost_and_keys_stay(self, phone: Api, settings: Any) -> None:
        settings.SECRET_KEY = OLD_KEY
        code, key = get_code(phone), get_key(phone)
        settings.SECRET_KEY = NEW_KEY
        assert is_unknown(try_pair(code))
        assert status(pair(key)) == 200

    def test_without_it_the_token_of_a_phone_that_joined_stays_good(
        self, phone: Api, settings: Any
    ) -> None:
        settings.SECRET_KEY = OLD_KEY
        new = pair(get_code(phone, move=True))
        settings.SECRET_KEY = NEW_KEY
        assert (status(new), status(phone)) == (200, 401)


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_of_two_new_phones_one_joins_by_a_code(self, phone: Api) -> None:
        code = get_code(phone)
        answers = at_once(lambda: try_pair(code), lambda: try_pair(code))
        assert sorted(answer.status_code for answer in answers) == [200, 404]
        assert len(phone.get(PHONES).json()) == 2

    def test_a_phone_that_asks_twice_has_one_good_token(self, phone: Api) -> None:
        code = get_code(phone)
        answers = at_once(*[lambda: try_pair(code, PHONE_ID)] * 2)
        assert [answer.status_code for answer in answers] == [200, 200]
        statuses = [status(Api(token=answer.json()["token"])) for answer in answers]
        assert sorted(statuses) == [200, 401]
        assert len(phone.get(PHONES).json()) == 2

    def test_of_two_first_uses_both_are_answered(self, phone: Api) -> None:
        token = pair(get_code(phone, move=True)).token
        answers = at_once(*[lambda: status(Api(token=token))] * 2)
        assert sorted(answers) in ([200, 200], [200, 401])
        assert (status(Api(token=token)), status(phone)) == (200, 401)

    def test_two_owners_who_revoke_each_other_leave_one(self, phone: Api) -> None:
        key = get_key(phone)
        answers = at_once(*[lambda: try_pair(key, revoke_others=True)] * 2)
        assert [answer.status_code for answer in answers] == [200, 200]
        statuses = [status(Api(token=answer.json()["token"])) for answer in answers]
        assert sorted(statuses) == [200, 401]
