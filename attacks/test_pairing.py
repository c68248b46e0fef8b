"""What a stranger who guesses codes and keys learns: nothing, and ten times a minute."""

from __future__ import annotations

from functools import partial
from typing import Any

import psycopg
import pytest

from attacks.client import Answer, Phone
from attacks.servers import Start
from attacks.timing import assert_alike
from devices import codes
from tests.helpers.processes import Run

ROUNDS = 100
VARYING = {"Date", "X-Request-ID"}


@pytest.fixture(scope="module")
def server(start: Start) -> Run:
    """One server for all tests of this file. Its bcrypt is slow enough to be noticed."""
    return start(BCRYPT_ROUNDS="10")


def new_codes(server: Run) -> tuple[Phone, str, str]:
    """Return a phone of a new device, with a code and a key that are good."""
    phone = Phone(server.port).register()
    return phone, phone.get_code(), phone.get_key()


def refused_codes(server: Run, session: psycopg.Connection[Any]) -> dict[str, str]:
    """Return codes and keys that let nobody join, by the reason."""
    refused = {
        "a code that was never made": codes.printed_code(codes.new_code()),
        "a key that was never made": codes.printed_key(codes.new_key()),
        "a key whose check is wrong": "0" * 25 + "1",
        "neither": "Open, sesame",
    }

    phone, used, key = new_codes(server)
    joined = Phone(server.port)
    assert joined.pair(used).status == 200
    assert joined.get("/v1/auth/device").status == 200
    refused["a code that was used"] = used
    refused["a code that was replaced"] = phone.get_code()
    phone.get_code()
    phone.get_key(key)
    refused["a key that was replaced"] = key
    refused["a code whose phone was signed out"] = joined.get_code()
    assert phone.delete(f"/v1/auth/phones/{joined.phone_id}").status == 204

    phone, code, key = new_codes(server)
    refused["a code that expired"] = code
    session.execute(
        "UPDATE pairing_codes SET expires_at = now() WHERE device_id = %s", [phone.device_id]
    )
    phone.get_key()
    refused["a key that expired"] = key
    session.execute(
        "UPDATE recovery_keys SET expires_at = now() WHERE device_id = %s AND expires_at > now()",
        [phone.device_id],
    )

    phone, code, key = new_codes(server)
    session.execute("UPDATE devices SET blocked_at = now() WHERE id = %s", [phone.device_id])
    session.commit()
    refused |= {"a code of a blocked device": code, "a key of a blocked device": key}

    phone, code, key = new_codes(server)
    assert phone.delete("/v1/auth/device").status == 204
    return refused | {"a code of an erased device": code, "a key of an erased device": key}


def test_a_refusal_does_not_tell_its_reason(server: Run, session: psycopg.Connection[Any]) -> None:
    """Neither by its body, nor by its headers, nor by its time."""
    refused = refused_codes(server, session)
    stranger = Phone(server.port)
    calls = {reason: partial(stranger.pair, code) for reason, code in refused.items()}
    answers = {reason: seen(call()) for reason, call in calls.items()}
    assert answers.keys() == refused.keys()
    expected = seen(stranger.pair("BCDF"))
    assert expected[0] == 404
    assert expected[2] == b'{"detail":"Code not found or expired"}'
    assert answers == dict.fromkeys(refused, expected)
    assert_alike(calls, ROUNDS)


def seen(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """Return all of an answer that could tell something."""
    headers = {name: value for name, value in answer.headers.items() if name not in VARYING}
    return answer.status, headers, answer.body


def test_a_used_code_is_good_for_its_own_phone_until_it_calls(server: Run, phone: Phone) -> None:
    code, joined, other = phone.get_code(), Phone(server.port), Phone(server.port)
    assert joined.pair(code).status == 200
    lost = joined.token
    assert other.pair(code).status == 404
    assert joined.pair(code).status == 200
    assert Phone(server.port, lost).get("/v1/auth/device").status == 401
    assert joined.get("/v1/auth/device").status == 200
    for taker in (other, joined.on_new_connection()):
        assert taker.pair(code).status == 404
    assert joined.get("/v1/auth/device").status == 200
    assert len(phone.get("/v1/auth/phones").json()) == 2


@pytest.fixture(scope="module")
def throttled(start: Start) -> Run:
    """A server that counts attempts to pair, over all its workers."""
    return start(PAIR_THROTTLE="10/day", NUM_PROXIES="1", WEB_CONCURRENCY="3")


@pytest.mark.parametrize(
    "addresses",
    [["192.0.2.1"], [f"2001:db8:0:1:{number:x}::1" for number in range(30)]],
    ids=["IPv4", "IPv6"],
)
def test_guesses_are_counted_over_all_workers(throttled: Run, addresses: list[str]) -> None:
    """An address, of IPv6 a /64, has ten; what it tries after them is not looked at."""
    phone, code, key = new_codes(throttled)

    def guess(code: str, number: int) -> Answer:
        """Try a code on a new connection: any worker may get it."""
        address = addresses[number % len(addresses)]
        stranger = Phone(throttled.port)
        body = {"code": code, "phone_id": stranger.phone_id}
        return stranger.request("POST", "/v1/auth/pair", body, {"X-Forwarded-For": address})

    guessed = [guess(codes.new_code(), number).status for number in range(20)]
    assert guessed == [404] * 10 + [429] * 10
    for right in (code, key):
        refused = guess(right, 20)
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 0
    assert len(phone.get("/v1/auth/phones").json()) == 1
    # From another address the code is good still.
    assert Phone(throttled.port).pair(code).status == 200
