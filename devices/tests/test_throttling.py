"""Throttles: registering and pairing, by address and over all workers; other calls, by device."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.cache import caches
from django.db import connection

from devices.throttling import RegisterThrottle
from tests.helpers.api import Api
from tests.helpers.phones import another_phone, get_code, status, try_pair

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ADDRESS, OTHER_ADDRESS = "192.0.2.1", "192.0.2.2"


def register(body: Any = None, **headers: str) -> Any:
    return Api().post("/v1/auth/register", body or {"device_id": str(uuid.uuid4())}, **headers)


def statuses(count: int, *args: Any, **headers: str) -> list[int]:
    return [int(register(*args, **headers).status_code) for _ in range(count)]


class TestRegister:
    @pytest.mark.django_db
    def test_it_works(self) -> None:
        with time_machine.travel(NOW, tick=False):
            assert statuses(11) == [200] * 10 + [429]

    @pytest.mark.django_db
    def test_the_refusal_says_when_to_come_again(self) -> None:
        with time_machine.travel(NOW + timedelta(seconds=17.5), tick=False):
            statuses(10)
            response = register()
        assert response.json() == {"detail": "Too many requests"}
        assert response.headers["Retry-After"] == "43"
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.django_db
    def test_there_is_always_a_second_to_wait(self) -> None:
        with time_machine.travel(NOW + timedelta(seconds=59.999), tick=False):
            statuses(10)
            assert register().headers["Retry-After"] == "1"

    @pytest.mark.django_db
    @pytest.mark.parametrize(("later", "expected"), [(59.999, 429), (60, 200)])
    def test_the_next_minute_counts_anew(self, later: float, expected: int) -> None:
        with time_machine.travel(NOW, tick=False):
            statuses(10)
        with time_machine.travel(NOW + timedelta(seconds=later), tick=False):
            assert statuses(1) == [expected]

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"device_id": "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"}, [200] + [409] * 9),
            ({"device_id": "nonsense"}, [422] * 10),
            (b"{", [400] * 10),
        ],
    )
    def test_every_attempt_counts_valid_or_not(self, body: Any, expected: list[int]) -> None:
        with time_machine.travel(NOW, tick=False):
            assert statuses(10, body) == expected
            assert statuses(1) == [429]

    @pytest.mark.django_db
    def test_a_refused_attempt_creates_nothing(self) -> None:
        device_id = str(uuid.uuid4())
        with time_machine.travel(NOW, tick=False):
            statuses(10)
            assert register({"device_id": device_id}).status_code == 429
        with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
            assert register({"device_id": device_id}).status_code == 200

    @pytest.mark.django_db
    def test_what_is_no_attempt_does_not_count(self) -> None:
        with time_machine.travel(NOW, tick=False):
            for _ in range(20):
                assert Api().get("/v1/auth/register").status_code == 405
            assert statuses(10) == [200] * 10

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("one", "another", "is_same"),
        [
            ("2001:db8::1", "2001:db8::ffff:1", True),
            ("2001:db8::1", "2001:db8:0:1::1", False),
            ("::ffff:192.0.2.1", "192.0.2.1", True),
            ("192.0.2.1", "192.0.2.2", False),
        ],
    )
    def test_an_ipv6_line_is_one_address(
        self, settings: Any, one: str, another: str, is_same: bool
    ) -> None:
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
        with time_machine.travel(NOW, tick=False):
            statuses(10, b"{}", **{"X-Forwarded-For": one})
            (status,) = statuses(1, b"{}", **{"X-Forwarded-For": another})
        assert status == (429 if is_same else 422)

    @pytest.mark.django_db(transaction=True)
    def test_it_counts_right_when_many_come_at_once(self) -> None:
        def call(_: int) -> int:
            try:
                return int(register(b"{}").status_code)
            finally:
                caches["shared"].close()
                connection.close()

        with time_machine.travel(NOW, tick=False), ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(call, range(24)))
        assert sorted(answers) == [422] * 10 + [429] * 14

    @pytest.mark.django_db
    def test_the_count_is_kept_where_all_workers_see_it(self) -> None:
        with time_machine.travel(NOW, tick=False):
            statuses(1, b"{}")
            elsewhere = caches.create_connection("shared")
            window = int(time.time() // 60)
            assert elsewhere.get(f"throttle:register:127.0.0.1:{window}") == 1

    @pytest.mark.django_db
    @pytest.mark.parametrize(
        ("proxies", "forwarded", "then", "expected"),
        [
            (0, ADDRESS, OTHER_ADDRESS, 429),
            (1, ADDRESS, OTHER_ADDRESS, 200),
            (1, f"10.0.0.1, {ADDRESS}", f"10.0.0.2, {ADDRESS}", 429),
            (1, f"10.0.0.1, {ADDRESS}", f"10.0.0.1, {OTHER_ADDRESS}", 200),
            (2, f"{ADDRESS}, 10.0.0.1", f"{ADDRESS}, 10.0.0.2", 429),
            (2, f"10.0.0.1, {ADDRESS}, 10.0.0.9", f"10.0.0.1, {OTHER_ADDRESS}, 10.0.0.9", 200),
        ],
    )
    def test_the_address_is_the_one_that_our_own_proxies_saw(
        self, settings: Any, proxies: int, forwarded: str, then: str, expected: int
    ) -> None:
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": proxies}
        with time_machine.travel(NOW, tick=False):
            statuses(10, b"{}", **{"X-Forwarded-For": forwarded})
            assert statuses(1, **{"X-Forwarded-For": then}) == [expected]

    @pytest.mark.django_db
    @pytest.mark.parametrize(("rate", "expected"), [("1/min", 429), ("", 200)])
    def test_the_rate_is_a_setting(self, settings: Any, rate: str, expected: int) -> None:
        settings.REGISTER_THROTTLE = rate
        with time_machine.travel(NOW, tick=False):
            assert statuses(2) == [200, expected]


class TestPair:
    """The same rules for attempts to pair, which have a counter of their own."""

    WRONG = "BCDF-GHJK-LMNP"

    def attempts(self, count: int, code: str = WRONG, **body: Any) -> list[int]:
        return [int(try_pair(code, **body).status_code) for _ in range(count)]

    @pytest.mark.django_db
    def test_it_works(self) -> None:
        with time_machine.travel(NOW, tick=False):
            assert self.attempts(11) == [404] * 10 + [429]

    @pytest.mark.django_db
    def test_the_refusal_says_when_to_come_again(self) -> None:
        with time_machine.travel(NOW + timedelta(seconds=17.5), tick=False):
            self.attempts(10)
            response = try_pair(self.WRONG)
        assert response.json() == {"detail": "Too many requests"}
        assert response.headers["Retry-After"] == "43"
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.django_db
    @pytest.mark.parametrize(("later", "expected"), [(59.999, 429), (60, 404)])
    def test_the_next_minute_counts_anew(self, later: float, expected: int) -> None:
        with time_machine.travel(NOW, tick=False):
            self.attempts(10)
        with time_machine.travel(NOW + timedelta(seconds=later), tick=False):
            assert self.attempts(1) == [expected]

    def test_every_attempt_counts_valid_or_not(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            assert self.attempts(1, get_code(phone)) == [200]
            assert self.attempts(1, "") == [422]
            assert Api().post("/v1/auth/pair", b"{").status_code == 400
            assert self.attempts(7) == [404] * 7
            assert self.attempts(1) == [429]

    def test_a_refused_attempt_does_not_use_the_code(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            code = get_code(phone)
            self.attempts(10)
            assert self.attempts(1, code) == [429]
        with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
            assert self.attempts(1, code) == [200]

    @pytest.mark.django_db
    def test_what_is_no_attempt_does_not_count(self) -> None:
        with time_machine.travel(NOW, tick=False):
            for _ in range(20):
                assert Api().get("/v1/auth/pair").status_code == 405
            assert self.attempts(10) == [404] * 10

    @pytest.mark.django_db
    def test_it_counts_apart_from_registering(self) -> None:
        with time_machine.travel(NOW, tick=False):
            statuses(10)
            assert self.attempts(11) == [404] * 10 + [429]
            assert statuses(1) == [429]

    @pytest.mark.django_db
    def test_only_refused_registrations_are_the_operators_figure(self) -> None:
        with time_machine.travel(NOW, tick=False):
            self.attempts(12)
            assert RegisterThrottle.refused_today() == 0

    @pytest.mark.django_db
    def test_another_address_counts_for_itself(self, settings: Any) -> None:
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
        body = {"code": self.WRONG, "phone_id": str(uuid.uuid4())}
        with time_machine.travel(NOW, tick=False):
            for expected in [404] * 10 + [429]:
                answer = Api().post("/v1/auth/pair", body, **{"X-Forwarded-For": ADDRESS})
                assert answer.status_code == expected
            answer = Api().post("/v1/auth/pair", body, **{"X-Forwarded-For": OTHER_ADDRESS})
            assert answer.status_code == 404

    @pytest.mark.django_db
    def test_the_count_is_kept_where_all_workers_see_it(self) -> None:
        with time_machine.travel(NOW, tick=False):
            self.attempts(1)
            elsewhere = caches.create_connection("shared")
            window = int(time.time() // 60)
            assert elsewhere.get(f"throttle:pair:127.0.0.1:{window}") == 1

    @pytest.mark.django_db
    @pytest.mark.parametrize(("rate", "expected"), [("1/min", 429), ("", 404)])
    def test_the_rate_is_a_setting(self, settings: Any, rate: str, expected: int) -> None:
        settings.PAIR_THROTTLE = rate
        with time_machine.travel(NOW, tick=False):
            assert self.attempts(2) == [404, expected]


class TestDevice:
    @pytest.fixture(autouse=True)
    def rate(self, settings: Any) -> None:
        settings.DEVICE_THROTTLE = "3/min"

    def get(self, phone: Api, path: str = "/v1/products", **headers: str) -> Any:
        return phone.get(path, **headers)

    def test_it_works(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            assert [self.get(phone).status_code for _ in range(4)] == [200, 200, 200, 429]

    def test_the_refusal_says_when_to_come_again(self, phone: Api) -> None:
        with time_machine.travel(NOW + timedelta(seconds=59), tick=False):
            for _ in range(3):
                self.get(phone)
            response = self.get(phone)
        assert response.json() == {"detail": "Too many requests"}
        assert response.headers["Retry-After"] == "1"

    def test_the_next_minute_counts_anew(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            for _ in range(4):
                self.get(phone)
        with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
            assert self.get(phone).status_code == 200

    def test_every_call_of_the_device_counts(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            self.get(phone, "/v1/products?limit=0")
            self.get(phone, "/v1/auth/device")
            phone.post("/v1/products", b"{")
            assert self.get(phone).status_code == 429

    def test_an_answer_304_counts_too(self, phone: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            tag = self.get(phone).headers["ETag"]
            for expected in (304, 304, 429):
                headers = {"If-None-Match": tag}
                assert self.get(phone, **headers).status_code == expected

    def test_the_address_does_not_matter(self, phone: Api, settings: Any) -> None:
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
        with time_machine.travel(NOW, tick=False):
            for number in range(3):
                self.get(phone, **{"X-Forwarded-For": f"192.0.2.{number}"})
            assert self.get(phone, **{"X-Forwarded-For": "192.0.2.9"}).status_code == 429

    def test_another_device_counts_for_itself(self, phone: Api, other: Api) -> None:
        with time_machine.travel(NOW, tick=False):
            for _ in range(4):
                self.get(phone)
            assert self.get(other).status_code == 200

    def test_all_phones_of_a_device_count_together(self, phone: Api) -> None:
        second = another_phone(phone)
        with time_machine.travel(NOW, tick=False):
            calls = [self.get(each).status_code for each in (phone, second, phone, second)]
            assert calls == [200, 200, 200, 429]
            assert status(phone) == 429

    def test_who_is_refused_does_not_count(self, phone: Api) -> None:
        device = phone.token.partition(".")[0]
        with time_machine.travel(NOW, tick=False):
            for _ in range(4):
                assert self.get(Api(token=f"{device}.{'A' * 43}")).status_code == 401
            assert self.get(phone).status_code == 200

    def test_without_a_rate_there_is_no_limit(self, phone: Api, settings: Any) -> None:
        settings.DEVICE_THROTTLE = ""
        with time_machine.travel(NOW, tick=False):
            assert {self.get(phone).status_code for _ in range(10)} == {200}
