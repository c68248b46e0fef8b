"""`POST` and `DELETE /v1/auth/recovery-key`; how a phone joins by a key is in `test_pair.py`."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from devices import codes
from devices.models import RecoveryKey
from tests.helpers.api import Api, offences, request_body
from tests.helpers.phones import (
    RECOVERY_KEY,
    another_phone,
    device_of,
    get_key,
    pair,
    status,
    try_pair,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
GRACE = timedelta(days=7)
WRONG = {"detail": "Not the device's recovery key"}


@pytest.fixture(autouse=True)
def no_throttle(settings: Any) -> None:
    """Pair as often as it takes."""
    settings.PAIR_THROTTLE = ""


def remove(phone: Api, shown: str | None = None) -> Any:
    return phone.request("DELETE", RECOVERY_KEY, {"recovery_key": shown} if shown else None)


def is_good(key: str, later: timedelta = timedelta(0)) -> bool:
    """Have a phone join by a key, so much later than NOW, and say whether it could."""
    with time_machine.travel(NOW + later, tick=False):
        answer = try_pair(key)
    assert answer.status_code in (200, 404)
    return bool(answer.status_code == 200)


def created_at(phone: Api) -> str | None:
    """Return what the device says of its recovery key."""
    answer: str | None = phone.get("/v1/auth/device").json()["recovery_key_created_at"]
    return answer


class TestCreate:
    def test_it_works(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            response = phone.post(RECOVERY_KEY)
        assert response.status_code == 201
        assert list(response.json()) == ["recovery_key", "created_at"]
        assert response.json()["created_at"] == "2026-03-01T12:00:00.250000Z"
        of_five, of_six = (f"[{codes.CROCKFORD}]{{{length}}}" for length in (5, 6))
        assert re.fullmatch(rf"({of_five}-){{4}}{of_six}", response.json()["recovery_key"])

    def test_a_phone_joins_by_it(self, phone: Api) -> None:
        product = phone.product()
        assert pair(get_key(phone)).get("/v1/products").json() == [product]

    def test_the_device_says_when_it_was_made(self, phone: Api) -> None:
        assert created_at(phone) is None
        answers = [phone.post(RECOVERY_KEY).json() for _ in range(2)]
        assert created_at(phone) == created_at(another_phone(phone)) == answers[1]["created_at"]

    @pytest.mark.parametrize(
        "body", [None, {}, {"recovery_key": None}, {"recovery_key": ""}, {"key": "mine"}]
    )
    def test_nothing_has_to_be_sent(self, phone: Api, body: Any) -> None:
        get_key(phone)
        assert phone.post(RECOVERY_KEY, body).status_code == 201

    def test_it_is_good_for_ever(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
        assert is_good(key, timedelta(days=3650))

    def test_it_is_good_more_than_once(self, phone: Api) -> None:
        key = get_key(phone)
        assert [status(pair(key)) for _ in range(3)] == [200] * 3

    def test_its_digest_alone_is_stored(self, phone: Api) -> None:
        key = get_key(phone)
        plain = key.replace("-", "")
        stored = RecoveryKey.objects.values().get()
        assert stored["digest"] == hashlib.sha256(plain.encode()).hexdigest()
        for spelt in (key, plain, key.lower(), plain.lower()):
            assert not any(spelt in str(value) for value in stored.values())

    def test_no_log_has_it(self, phone: Api, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("DEBUG"):
            key = get_key(phone)
            get_key(phone, key)
            try_pair(key)
        # Django logs SQL with its parameters to a logger of its own, which is off outside of tests.
        texts = [r.getMessage() for r in caplog.records if not r.name.startswith("django.db")]
        for spelt in (key, key.replace("-", "")):
            assert not any(spelt in text for text in texts)

    def test_keys_of_other_devices_stay(self, phone: Api, other: Api) -> None:
        key = get_key(other)
        get_key(phone)
        assert pair(key).device == other.device
        assert created_at(other) is not None

    def test_the_revision_stays(self, phone: Api) -> None:
        before = device_of(phone).revision
        get_key(phone)
        remove(phone)
        assert device_of(phone).revision == before

    def test_the_answer_is_kept_by_no_cache(self, phone: Api) -> None:
        assert phone.post(RECOVERY_KEY).headers["Cache-Control"] == "no-store"


class TestReplace:
    """A device has a recovery key already."""

    @pytest.mark.parametrize(
        ("later", "expected"),
        [(GRACE - timedelta(microseconds=1), True), (GRACE, False)],
    )
    def test_without_the_present_one_that_is_good_for_seven_days_more(
        self, phone: Api, later: timedelta, expected: bool
    ) -> None:
        with time_machine.travel(NOW, tick=False):
            first = get_key(phone)
            second = get_key(phone)
        assert is_good(first, later) == expected
        assert is_good(second, later)

    def test_with_the_present_one_that_ends_at_once(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            first = get_key(phone)
            second = get_key(phone, first)
        assert (is_good(first), is_good(second)) == (False, True)

    @pytest.mark.parametrize("change", [str.lower, lambda key: f" {key.replace('-', ' ')}\n"])
    def test_it_may_be_typed_as_people_do(self, phone: Api, change: Any) -> None:
        first = get_key(phone)
        assert phone.post(RECOVERY_KEY, {"recovery_key": change(first)}).status_code == 201
        assert try_pair(first).status_code == 404

    def test_the_seven_days_are_counted_from_the_first_replacement(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            first = get_key(phone)
            get_key(phone)
        with time_machine.travel(NOW + timedelta(days=6), tick=False):
            get_key(phone)
            remove(phone)
        assert is_good(first, GRACE - timedelta(microseconds=1))
        assert not is_good(first, GRACE)

    def test_a_chain_of_new_keys_does_not_shorten_them(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            of_owner = get_key(phone)
            thief = another_phone(phone)
            of_thief = get_key(thief)
            for _ in range(5):
                of_thief = get_key(thief, of_thief)
            remove(thief, of_thief)
        assert is_good(of_owner, GRACE - timedelta(microseconds=1))

    def test_showing_a_key_ends_all_that_were_made_after_it(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            of_owner = get_key(phone)
            of_thief = [get_key(another_phone(phone)) for _ in range(3)]
            new = get_key(phone, of_owner)
        assert [is_good(key) for key in (of_owner, *of_thief, new)] == [False] * 4 + [True]

    def test_showing_a_key_leaves_those_that_were_made_before_it(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            of_owner = get_key(phone)
            of_thief = get_key(another_phone(phone))
            get_key(another_phone(phone), of_thief)
        assert (is_good(of_owner), is_good(of_thief)) == (True, False)

    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    def test_a_wrong_key_changes_nothing(self, phone: Api, other: Api, method: str) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
            before = created_at(phone)
            last = "0" if key[-1] != "0" else "1"
            unknown = codes.printed_key(codes.new_key())
            for shown in (unknown, get_key(other), key[:-1] + last, "BCDF-GHJK-LMNP", "x"):
                response = phone.request(method, RECOVERY_KEY, {"recovery_key": shown})
                assert response.status_code == 409, shown
                assert response.json() == WRONG
            assert created_at(phone) == before
        assert is_good(key, GRACE)

    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    def test_a_key_that_has_ended_is_wrong(self, phone: Api, method: str) -> None:
        with time_machine.travel(NOW, tick=False):
            ended = get_key(phone)
            key = get_key(phone)
        with time_machine.travel(NOW + GRACE, tick=False):
            response = phone.request(method, RECOVERY_KEY, {"recovery_key": ended})
        assert response.status_code == 409
        assert response.json() == WRONG
        assert is_good(key, GRACE)

    def test_without_a_key_any_that_is_shown_is_wrong(self, phone: Api) -> None:
        shown = codes.printed_key(codes.new_key())
        assert phone.post(RECOVERY_KEY, {"recovery_key": shown}).json() == WRONG
        assert created_at(phone) is None


class TestRemove:
    def test_it_works(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
            response = remove(phone, key)
        assert response.status_code == 204
        assert response.content == b""
        assert created_at(phone) is None
        assert not is_good(key)

    @pytest.mark.parametrize(
        ("later", "expected"),
        [(GRACE - timedelta(microseconds=1), True), (GRACE, False)],
    )
    @pytest.mark.parametrize("body", [None, {}, {"recovery_key": None}, {"recovery_key": ""}])
    def test_without_the_key_it_is_good_for_seven_days_more(
        self, phone: Api, body: Any, later: timedelta, expected: bool
    ) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
            assert phone.request("DELETE", RECOVERY_KEY, body).status_code == 204
            assert created_at(phone) is None
        assert is_good(key, later) == expected

    def test_without_the_key_a_second_time_changes_nothing(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            key = get_key(phone)
            remove(phone)
        with time_machine.travel(NOW + timedelta(days=6), tick=False):
            assert remove(phone).status_code == 204
        assert is_good(key, GRACE - timedelta(microseconds=1))
        assert not is_good(key, GRACE)

    def test_a_key_that_was_replaced_may_be_shown_within_its_seven_days(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            first, second = get_key(phone), get_key(phone)
            assert remove(phone, first).status_code == 204
        assert (is_good(first), is_good(second)) == (False, False)

    def test_where_there_is_none_there_is_none_to_end(self, phone: Api) -> None:
        assert remove(phone).status_code == 204

    def test_a_new_one_may_be_made_afterwards(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            remove(phone, get_key(phone))
            key = get_key(phone)
        assert is_good(key, timedelta(days=3650))


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("text", ["5", "true", "[]", "{}", '"a\\u0000b"', '"a\\ud800b"'])
def test_a_key_is_a_text(phone: Api, method: str, text: str) -> None:
    response = phone.request(method, RECOVERY_KEY, request_body({}, recovery_key=text))
    assert offences(response) == [(["body", "recovery_key"], "invalid")]
    assert not RecoveryKey.objects.exists()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"\xff"])
def test_a_body_is_an_object(phone: Api, method: str, body: bytes) -> None:
    assert phone.request(method, RECOVERY_KEY, body).status_code == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_only_post_and_delete_are_allowed(phone: Api, method: str) -> None:
    response = phone.request(method, RECOVERY_KEY)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST, DELETE"
