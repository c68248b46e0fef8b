"""`Authorization: Bearer <token>` on every call under `/v1` but registering and pairing."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import bcrypt
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from devices import tokens
from devices.models import Phone
from tests.helpers.api import Api, new_phone
from tests.helpers.phones import another_phone, device_of, row_of, sign_out

PATH = "/v1/auth/device"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WATER = {"date": "2025-02-05", "ml": 250}
OLD_KEY, NEW_KEY = "the key of last year, " * 3, "the key of this year, " * 3


def status(phone: Api, **headers: str) -> int:
    return int(phone.get(PATH, **headers).status_code)


def wrong(token: str) -> str:
    """Return a well-formed token of the same phone with another secret."""
    ids = tokens.parse(token)
    assert ids is not None
    return tokens.generate(*ids)


def alternative(encoded: str) -> str:
    """Return another base64url spelling of the same bytes: the last character has spare bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = encoded[:-1] + alphabet[alphabet.index(encoded[-1]) + 1]
    padding = "=" * (-len(encoded) % 4)
    assert base64.urlsafe_b64decode(other + padding) == base64.urlsafe_b64decode(encoded + padding)
    return other


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every secret that bcrypt is asked about."""
    asked: list[bytes] = []
    check = bcrypt.checkpw

    def note(secret: bytes, hashed: bytes) -> bool:
        asked.append(secret)
        return check(secret, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", note)
    return asked


@contextmanager
def another_connection() -> Iterator[Any]:
    """Give a cursor of another connection to the same database."""
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


@contextmanager
def refusing_to_wait() -> Iterator[None]:
    """Have a query that would wait for a lock fail instead."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '300ms'")
        yield
        cursor.execute("RESET lock_timeout")


class TestToken:
    def test_it_works(self, phone: Api) -> None:
        assert status(phone) == 200

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/auth/device"),
            ("DELETE", "/v1/auth/device"),
            ("POST", "/v1/auth/rotate"),
            ("GET", "/v1/auth/phones"),
            ("PATCH", "/v1/auth/phones/nonsense"),
            ("DELETE", "/v1/auth/phones/nonsense"),
            ("POST", "/v1/auth/pairing-code"),
            ("POST", "/v1/auth/recovery-key"),
            ("DELETE", "/v1/auth/recovery-key"),
            ("GET", "/v1/products"),
            ("HEAD", "/v1/products"),
            ("POST", "/v1/products"),
            ("GET", "/v1/products/nonsense"),
            ("PATCH", "/v1/portions/nonsense"),
            ("GET", "/v1/food-entries"),
            ("GET", "/v1/stats/daily"),
            ("GET", "/v1/stats/day/nonsense"),
        ],
    )
    def test_every_call_needs_one(self, nobody: Api, method: str, path: str) -> None:
        response = nobody.request(method, path)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        if method != "HEAD":
            assert response.json() == {"detail": "Invalid or expired token"}

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
    def test_the_case_of_the_scheme_does_not_matter(self, phone: Api, scheme: str) -> None:
        assert status(Api(), Authorization=f"{scheme} {phone.token}") == 200

    @pytest.mark.parametrize("header", ["Bearer  {token}", "bearer{blanks}{token}{blanks}"])
    def test_the_number_of_blanks_does_not_matter(self, phone: Api, header: str) -> None:
        sent = header.format(token=phone.token, blanks=" " * 300)
        assert status(Api(), Authorization=sent) == 200

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "{token}",
            "Bearer",
            "Bearer ",
            "Bearer   ",
            "Bearer{token}",
            "Bearer\t{token}",
            "Bearer \xa0{token}",
            "Bearer {token}\x85",
            "Basic {token}",
            "Token {token}",
            "Bearer Bearer {token}",
            "Bearer {token} {token}",
            "Bearer {token},",
            'Bearer "{token}"',
            "Bearer=1 {token}",
            "Bearer {token}é",
            "Bearer \u0661\u0662",
            "\x00 {token}",
        ],
    )
    def test_a_malformed_header_is_refused(self, phone: Api, header: str) -> None:
        assert status(Api(), Authorization=header.format(token=phone.token)) == 401

    @pytest.mark.parametrize(
        "token",
        [
            "x",
            ".",
            "{device}",
            "{device}.",
            ".{secret}",
            "{secret}.{device}",
            "{device}{secret}",
            "{device}:{secret}",
            "{device}.{secret}.",
            "{device}..{secret}",
            "{device}.{secret}.{secret}",
            "{device}.{secret}A",
            "{device}A.{secret}",
            "{device}==.{secret}",
            "{device}.{secret}=",
            "{device}.%00{secret}",
        ],
    )
    def test_a_malformed_token_is_refused(self, phone: Api, token: str) -> None:
        device, _, secret = phone.token.partition(".")
        assert status(Api(token=token.format(device=device, secret=secret))) == 401

    def test_only_the_canonical_spelling_is_accepted(self, phone: Api) -> None:
        device, _, secret = phone.token.partition(".")
        assert status(Api(token=f"{alternative(device)}.{secret}")) == 401
        assert status(Api(token=f"{device}.{alternative(secret)}")) == 401

    @pytest.mark.parametrize(("length", "looked_at"), [(200, True), (201, False)])
    def test_at_most_200_characters_are_looked_at(
        self, nobody: Api, length: int, looked_at: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[str] = []
        monkeypatch.setattr(tokens, "parse", seen.append)
        assert status(Api(token="x" * length)) == 401
        assert bool(seen) == looked_at

    def test_a_wrong_secret_is_refused(self, phone: Api) -> None:
        assert status(Api(token=wrong(phone.token))) == 401

    def test_the_secret_of_another_device_is_refused(self, phone: Api, other: Api) -> None:
        device, secret = phone.token.partition(".")[0], other.token.partition(".")[2]
        assert status(Api(token=f"{device}.{secret}")) == 401

    def test_the_token_of_an_unknown_device_is_refused(self, nobody: Api) -> None:
        unknown = uuid.uuid4()
        assert status(Api(token=tokens.generate(unknown, unknown))) == 401
        assert status(Api(token=tokens.generate(unknown, uuid.uuid4()))) == 401

    def test_the_token_of_an_unknown_phone_is_refused(self, phone: Api) -> None:
        assert status(Api(token=tokens.generate(device_of(phone).pk, uuid.uuid4()))) == 401

    def test_the_secret_of_another_phone_of_the_device_is_refused(self, phone: Api) -> None:
        second = another_phone(phone)
        ids, secret = phone.token.partition(".")[0], second.token.partition(".")[2]
        assert status(Api(token=f"{ids}.{secret}")) == 401
        ids, secret = second.token.partition(".")[0], phone.token.partition(".")[2]
        assert status(Api(token=f"{ids}.{secret}")) == 401

    def test_the_id_of_a_phone_with_another_device_is_refused(self, phone: Api, other: Api) -> None:
        row = row_of(another_phone(phone))
        assert status(Api(token=tokens.generate(device_of(other).pk, row.id))) == 401

    def test_a_token_in_the_query_is_none(self, phone: Api) -> None:
        path = f"{PATH}?token={phone.token}&access_token={phone.token}"
        assert Api().get(path).status_code == 401

    def test_a_session_of_an_operator_is_none(self, phone: Api, admin_client: Any) -> None:
        assert admin_client.get("/v1/products").status_code == 401

    def test_a_phone_that_was_signed_out_is_refused(self, phone: Api) -> None:
        second = another_phone(phone)
        sign_out(phone)
        assert status(phone) == 401
        assert status(second) == 200

    def test_all_phones_are_refused_once_all_are_signed_out(self, phone: Api) -> None:
        second = another_phone(phone)
        device_of(phone).sign_out_all()
        assert (status(phone), status(second)) == (401, 401)

    def test_all_phones_of_a_blocked_device_are_refused_until_unblocked(self, phone: Api) -> None:
        second = another_phone(phone)
        device_of(phone).block("spam")
        assert (status(phone), status(second)) == (401, 401)
        device_of(phone).unblock()
        assert (status(phone), status(second)) == (200, 200)

    def test_all_phones_of_an_erased_device_are_refused(self, phone: Api) -> None:
        second = another_phone(phone)
        device_of(phone).erase()
        assert (status(phone), status(second)) == (401, 401)

    def test_every_refusal_answers_alike(self, phone: Api, other: Api) -> None:
        signed_out = another_phone(phone)
        sign_out(signed_out)
        device_of(other).erase()
        asked = [Api(), Api(token="x"), Api(token=wrong(phone.token)), other, signed_out]
        answers = [each.get(PATH) for each in asked]
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1


class TestMeanwhile:
    """Something happens to the phone between the check of its token and its write."""

    RICE: ClassVar[dict[str, Any]] = {"name": "Rice", "kcal_100g": 130}

    def write_after(self, phone: Api, act: Callable[[], Any], patch: pytest.MonkeyPatch) -> Any:
        """Have a phone create a product; `act` runs once its token was checked."""
        # The last that authentication does.
        patch.setattr(Phone, "seen", lambda self: act())
        answer = phone.post("/v1/products", self.RICE)
        patch.undo()
        return answer

    @pytest.mark.parametrize("act", ["block", "erase", "sign_out_all"])
    def test_a_device_that_is_shut_out_is_refused(
        self, phone: Api, act: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = device_of(phone)
        acts = {"block": lambda: device.block("spam"), "erase": device.erase}
        answer = self.write_after(phone, acts.get(act, device.sign_out_all), monkeypatch)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json() == {"detail": "Invalid or expired token"}
        assert sum(device.owned_rows().values()) == 0

    @pytest.mark.parametrize("is_first", [True, False])
    def test_a_phone_that_is_signed_out_is_refused(
        self, phone: Api, is_first: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        second = another_phone(phone)
        writer, witness = (phone, second) if is_first else (second, phone)
        answer = self.write_after(writer, lambda: sign_out(writer), monkeypatch)
        assert answer.status_code == 401
        assert witness.get("/v1/products").json() == []

    def test_a_phone_stays_that_is_not_the_one_signed_out(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        second = another_phone(phone)
        answer = self.write_after(phone, lambda: sign_out(second), monkeypatch)
        assert answer.status_code == 201
        assert len(phone.get("/v1/products").json()) == 1

    def test_a_push_of_a_phone_that_is_signed_out_is_not_applied(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        second = another_phone(phone)
        monkeypatch.setattr(Phone, "seen", lambda self: sign_out(second))
        row = {"id": str(uuid.uuid4()), "date": "2025-02-05", "ml": 250}
        answer = second.post("/v1/sync?last_pulled_at=1", {"water_entries": {"created": [row]}})
        monkeypatch.undo()
        assert answer.status_code == 401
        assert phone.get("/v1/water-entries").json() == []


class TestCost:
    @pytest.mark.parametrize("is_first", [True, False])
    @pytest.mark.parametrize("good", [True, False])
    def test_right_or_wrong_it_is_one_query_and_no_bcrypt(
        self,
        phone: Api,
        is_first: bool,
        good: bool,
        checked: list[bytes],
        django_assert_num_queries: Any,
    ) -> None:
        token = (phone if is_first else another_phone(phone)).token
        with django_assert_num_queries(1):
            assert status(Api(token=token if good else wrong(token))) == (200 if good else 401)
        assert checked == []

    def test_an_unknown_phone_costs_as_much(
        self, phone: Api, checked: list[bytes], django_assert_num_queries: Any
    ) -> None:
        unknown = tokens.generate(device_of(phone).pk, uuid.uuid4())
        with django_assert_num_queries(1):
            assert status(Api(token=unknown)) == 401
        assert checked == []

    def test_a_write_does_not_ask_again_whether_the_phone_is_signed_in(self, phone: Api) -> None:
        second = another_phone(phone)
        with CaptureQueriesContext(connection) as queries:
            assert second.post("/v1/water-entries", WATER).status_code == 201
        asked = [query["sql"] for query in queries if '"phones"' in query["sql"]]
        assert len(asked) == 1

    def test_a_malformed_token_is_no_query(
        self, nobody: Api, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(0):
            assert status(Api(token="x" * 200)) == 401

    @pytest.mark.django_db(transaction=True)
    def test_an_idle_connection_that_died_costs_no_answer(self, phone: Api) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()
        with another_connection() as operator:
            operator.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        assert status(phone) == 200


class TestLastSeen:
    @pytest.mark.parametrize(
        ("later", "noted"),
        [
            (timedelta(0), False),
            (timedelta(minutes=5) - timedelta(microseconds=1), False),
            (timedelta(minutes=5), True),
            (timedelta(days=1), True),
        ],
    )
    @pytest.mark.django_db
    def test_it_is_noted_at_most_every_five_minutes(self, later: timedelta, noted: bool) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
        with time_machine.travel(NOW + later, tick=False):
            status(phone)
        assert row_of(phone).last_seen_at == (NOW + later if noted else NOW)

    @pytest.mark.django_db
    def test_it_is_noted_of_the_phone_that_called_alone(self) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
            second = another_phone(phone)
        with time_machine.travel(NOW + timedelta(hours=1), tick=False):
            status(second)
        assert row_of(phone).last_seen_at == NOW
        assert row_of(second).last_seen_at == NOW + timedelta(hours=1)

    @pytest.mark.django_db
    def test_a_refused_call_is_not_noted(self) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
        with time_machine.travel(NOW + timedelta(hours=1), tick=False):
            status(Api(token=wrong(phone.token)))
        assert row_of(phone).last_seen_at == NOW

    @pytest.mark.django_db(transaction=True)
    def test_it_leaves_the_revision_alone(self) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
        status(phone)
        assert device_of(phone).revision == 1

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        ("row", "noted"),
        [
            ("devices WHERE id = %s", True),
            ("phones WHERE device_id = %s", False),
        ],
    )
    def test_it_never_waits_for_a_writer(self, row: str, noted: bool) -> None:
        with time_machine.travel(NOW, tick=False):
            phone = new_phone()
        with another_connection() as writer, refusing_to_wait():
            writer.execute("BEGIN")
            writer.execute(f"SELECT FROM {row} FOR NO KEY UPDATE", [str(phone.device)])
            assert status(phone) == 200
        assert (row_of(phone).last_seen_at != NOW) == noted


class TestSecretKey:
    """SECRET_KEY is replaced, with the old key among the fallbacks or without."""

    @pytest.fixture
    def phone(self, db: None, settings: Any) -> Api:
        """A phone from before."""
        settings.SECRET_KEY = OLD_KEY
        phone = new_phone()
        settings.SECRET_KEY = NEW_KEY
        return phone

    def test_with_the_fallback_bcrypt_is_not_asked(
        self, phone: Api, settings: Any, checked: list[bytes]
    ) -> None:
        settings.SECRET_KEY_FALLBACKS = ["an even older one, " * 3, OLD_KEY]
        assert status(phone) == 200
        assert status(Api(token=wrong(phone.token))) == 401
        assert checked == []

    def test_with_the_fallback_the_hmac_is_made_anew(
        self, phone: Api, settings: Any, checked: list[bytes]
    ) -> None:
        settings.SECRET_KEY_FALLBACKS = [OLD_KEY]
        status(phone)
        settings.SECRET_KEY_FALLBACKS = []
        assert status(phone) == 200
        assert checked == []

    def test_without_it_bcrypt_decides_once(self, phone: Api, checked: list[bytes]) -> None:
        assert [status(phone) for _ in range(3)] == [200, 200, 200]
        assert checked == [phone.token.partition(".")[2].encode()]

    def test_a_wrong_token_leaves_the_hmac_as_it_was(
        self, phone: Api, checked: list[bytes]
    ) -> None:
        before = row_of(phone).token_hmac
        assert status(Api(token=wrong(phone.token))) == 401
        assert len(checked) == 1
        assert row_of(phone).token_hmac == before
        assert status(phone) == 200

    def test_bcrypt_is_asked_five_times_a_minute(self, phone: Api, checked: list[bytes]) -> None:
        with time_machine.travel(NOW + timedelta(seconds=18), tick=False):
            assert [status(Api(token=wrong(phone.token))) for _ in range(5)] == [401] * 5
            response = phone.get(PATH)
        assert response.status_code == 429
        assert response.headers["Retry-After"] == "42"
        assert len(checked) == 5
        with time_machine.travel(NOW + timedelta(seconds=60), tick=False):
            assert status(phone) == 200

    def test_the_limit_is_for_one_phone_and_address(self, phone: Api, settings: Any) -> None:
        settings.SECRET_KEY = OLD_KEY
        other, second = new_phone(), another_phone(phone)
        settings.SECRET_KEY = NEW_KEY
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}
        with time_machine.travel(NOW, tick=False):
            for _ in range(6):
                last = status(Api(token=wrong(phone.token)), **{"X-Forwarded-For": "192.0.2.1"})
            assert last == 429
            assert status(other, **{"X-Forwarded-For": "192.0.2.1"}) == 200
            assert status(second, **{"X-Forwarded-For": "192.0.2.1"}) == 200
            assert status(phone, **{"X-Forwarded-For": "192.0.2.2"}) == 200

    def test_a_phone_whose_hmac_is_of_this_key_is_never_limited(
        self, phone: Api, checked: list[bytes]
    ) -> None:
        assert status(phone) == 200
        with time_machine.travel(NOW, tick=False):
            assert [status(Api(token=wrong(phone.token))) for _ in range(7)] == [401] * 7
            assert status(phone) == 200
        assert len(checked) == 1

    def test_only_the_canonical_spelling_is_accepted(
        self, phone: Api, checked: list[bytes]
    ) -> None:
        device, _, secret = phone.token.partition(".")
        assert status(Api(token=f"{alternative(device)}.{secret}")) == 401
        assert checked == []

    def test_a_token_from_before_the_last_rotation_may_still_rotate(
        self, phone: Api, settings: Any
    ) -> None:
        settings.SECRET_KEY = OLD_KEY
        assert phone.post("/v1/auth/rotate").status_code == 200
        settings.SECRET_KEY = NEW_KEY
        token = phone.post("/v1/auth/rotate").json()["token"]
        assert status(Api(token=token)) == 200

    def test_every_phones_hmac_is_made_anew(
        self, phone: Api, settings: Any, checked: list[bytes]
    ) -> None:
        settings.SECRET_KEY = OLD_KEY
        second = another_phone(phone)
        settings.SECRET_KEY = NEW_KEY
        for _ in range(2):
            assert (status(phone), status(second)) == (200, 200)
        assert len(checked) == 2

    def test_who_was_signed_out_stays_so(self, phone: Api, checked: list[bytes]) -> None:
        device_of(phone).sign_out_all()
        assert status(phone) == 401
        assert checked == []
