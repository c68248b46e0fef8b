"""Phones of one device that join, move, sign out and recover at the same moment.

Each round has its own device. No request may be answered 5xx, not even after a deadlock.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from attacks.client import Answer, Phone
from attacks.crowd import RICE, THREADS, Call, Crowd, new_id, pairing, rounds, shuffled, statuses
from attacks.locks import sent_in_turn
from attacks.servers import Report, Start, racing
from tests.helpers.processes import Run, query

ME = "/v1/auth/device"
PHONES = "/v1/auth/phones"
CODE = "/v1/auth/pairing-code"
KEY = "/v1/auth/recovery-key"
ROTATE = "/v1/auth/rotate"
# Rules of races, beside those that `check_integrity` asks for; each query finds nothing.
BROKEN_RULES = {
    "a device that was never signed out by an operator has a phone": """
        SELECT id FROM devices WHERE erased_at IS NULL AND id NOT IN (
            SELECT device_id FROM phones WHERE signed_out_at IS NULL
        )
    """,
    "nothing is left of an erased device": """
        SELECT id FROM devices WHERE erased_at IS NOT NULL AND id IN (
            SELECT device_id FROM phones UNION ALL SELECT device_id FROM pairing_codes
            UNION ALL SELECT device_id FROM recovery_keys
        )
    """,
}


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Run]:
    """One server for all races of this file, after which no rule of phones is broken."""
    with racing(start) as server:
        yield server
        for rule, broken in BROKEN_RULES.items():
            assert query(server.data_dir, broken) == [], rule


def tokens_in(answers: list[Answer]) -> list[str]:
    """Return the tokens that were handed out."""
    bodies = [answer.json() for answer in answers if answer.status == 200]
    return [body["token"] for body in bodies if isinstance(body, dict) and "token" in body]


def test_one_of_many_phones_joins_by_a_code(crowd: Crowd, report: Report) -> None:
    for _ in rounds(20, report):
        first = crowd.register()
        code = crowd.code(first)
        answers = crowd.at_once([pairing(code) for _ in range(THREADS)])
        assert statuses(answers) == {200: 1, 404: THREADS - 1}
        (joined,) = tokens_in(answers)
        assert len(crowd.phones(first)) == 2
        assert crowd.is_good(joined)
        assert crowd.send(*pairing(code)).status == 404


def test_a_phone_that_repeats_itself_gets_one_good_token(crowd: Crowd, report: Report) -> None:
    for _ in rounds(20, report):
        first = crowd.register()
        answers = crowd.at_once([pairing(crowd.code(first), new_id())] * 8)
        assert statuses(answers) == {200: 8}
        assert [crowd.is_good(token) for token in tokens_in(answers)].count(True) == 1
        assert len(crowd.phones(first)) == 2


def test_a_phone_that_repeats_itself_while_it_calls_is_never_locked_out(
    crowd: Crowd, report: Report
) -> None:
    for rng in rounds(33, report):
        first = crowd.register()
        again = pairing(crowd.code(first), new_id())
        joined = crowd.create("", *again[2:])["token"]
        calls = shuffled(rng, [again] * 3 + [(joined, "GET", ME, None)] * 3)
        answers = crowd.at_once(calls)
        for call, answer in zip(calls, answers, strict=True):
            assert answer.status in ((200, 404) if call == again else (200, 401)), (call, answer)
        given = {joined, *tokens_in(answers)}
        assert [crowd.is_good(token) for token in given].count(True) == 1
        assert len(crowd.phones(first)) == 2


def test_a_first_call_that_waits_while_the_phone_asks_again_is_refused(
    server: Run, session: psycopg.Connection[Any]
) -> None:
    first, joined = Phone(server.port).register(), Phone(server.port)
    code = first.get_code(move=True)
    assert joined.pair(code).status == 200
    body = {"code": code, "phone_id": joined.phone_id}
    with sent_in_turn(server, session, first.device_id) as send:
        again = send(joined.on_new_connection(), "POST", "/v1/auth/pair", body)
        refused = send(joined, "GET", ME)
    assert [answer.status for answer in again + refused] == [200, 401]
    assert first.get(ME).status == 200
    joined.token = again[0].json()["token"]
    assert joined.get(ME).status == 200
    assert first.get(ME).status == 401


def test_a_device_never_has_nine_phones(crowd: Crowd, report: Report) -> None:
    for rng in rounds(12, report):
        first = crowd.register()
        key, code = crowd.key(first), crowd.code(first)
        calls = [pairing(key) for _ in range(10)] + [pairing(code) for _ in range(4)]
        answers = crowd.at_once(shuffled(rng, calls))
        assert statuses(answers)[200] == 7
        assert all(crowd.is_good(token) for token in tokens_in(answers))
        assert len(crowd.phones(first)) == 8
        assert crowd.send(*pairing(key)).status == 409


def test_of_two_phones_that_ask_for_codes_the_last_one_is_good(
    crowd: Crowd, report: Report
) -> None:
    for rng in rounds(20, report):
        phones = [crowd.register()]
        phones.append(crowd.add_phone(phones[0]))
        calls: list[Call] = [(token, "POST", CODE, None) for token in phones * 4]
        answers = crowd.at_once(shuffled(rng, calls))
        assert statuses(answers) == {201: 8}
        codes = [answer.json()["code"] for answer in answers]
        tried = [crowd.send(*pairing(code)) for code in codes]
        assert statuses(tried) == {200: 1, 404: 7}


def test_two_phones_move_at_once_and_write_meanwhile(crowd: Crowd, report: Report) -> None:
    for rng in rounds(20, report):
        old = [crowd.register()]
        old.append(crowd.add_phone(old[0]))
        new = [crowd.join(crowd.code(token, move=True)) for token in old]
        calls: list[Call] = [(token, "GET", ME, None) for token in new * 3]
        calls += [(token, "POST", "/v1/products", RICE) for token in old * 5]
        calls = shuffled(rng, calls)
        answers = crowd.at_once(calls)
        for call, answer in zip(calls, answers, strict=True):
            assert answer.status in ((200,) if call[0] in new else (201, 401)), (call, answer)
        assert [crowd.is_good(token) for token in old + new] == [False, False, True, True]
        assert len(crowd.phones(new[0])) == 2
        written = statuses(answers)[201]
        assert len(crowd.get(new[0], "/v1/products")) == written


def test_phones_that_sign_each_other_out_leave_one(crowd: Crowd, report: Report) -> None:
    for rng in rounds(20, report):
        first = crowd.register()
        tokens = [first, *(crowd.add_phone(first) for _ in range(3))]
        paths = [f"{PHONES}/{phone_id}" for phone_id in crowd.phones(first)]
        calls: list[Call] = [(token, "DELETE", path, None) for token in tokens for path in paths]
        calls = shuffled(rng, calls)
        answers = crowd.at_once(calls)
        assert statuses(answers).keys() <= {204, 401, 404, 409}
        (left,) = [token for token in tokens if crowd.is_good(token)]
        assert len(crowd.phones(left)) == 1
        assert statuses(answers)[204] == 3


def test_of_two_recoveries_at_once_the_last_one_stays(crowd: Crowd, report: Report) -> None:
    for rng in rounds(20, report):
        thief = crowd.register()
        key = crowd.key(thief)
        tokens = [thief, crowd.add_phone(thief), crowd.join(crowd.code(thief))]
        code = crowd.code(thief)
        calls = [pairing(key, revoke_others=True) for _ in range(2)]
        calls += [pairing(code) for _ in range(2)]
        for token in tokens:
            calls += [(token, "POST", CODE, None), (token, "POST", KEY, None)]
            calls += [(token, "POST", "/v1/products", RICE), (token, "POST", ROTATE, None)]
        answers = crowd.at_once(shuffled(rng, calls))
        assert statuses(answers).keys() <= {200, 201, 401, 404}
        given = [*tokens, *tokens_in(answers)]
        (left,) = [token for token in given if crowd.is_good(token)]
        assert len(crowd.phones(left)) == 1
        # No code, and no key but the one that was shown.
        bodies = [answer.json() for answer in answers if answer.status == 201]
        for name in ("code", "recovery_key"):
            for made in (body[name] for body in bodies if name in body):
                assert crowd.send(*pairing(made)).status == 404
        assert crowd.create(left, KEY, {"recovery_key": key})


def anything(crowd: Crowd, tokens: list[str], code: str, key: str) -> list[Call]:
    """Return a call of every kind that has to do with phones, by any of these."""
    first, second, joined = tokens
    own = f"{PHONES}/{crowd.get(second, ME)['phone_id']}"
    changes = {
        "products": {"created": [], "updated": [{"id": new_id(), **RICE}], "deleted": []},
        "body_weights": {"created": [], "updated": [], "deleted": [new_id()]},
    }
    return [
        pairing(code),
        pairing(key),
        pairing(key, revoke_others=True),
        (first, "POST", CODE, None),
        (second, "POST", CODE, {"move": True}),
        (first, "POST", KEY, None),
        (second, "POST", KEY, {"recovery_key": key}),
        (second, "DELETE", KEY, None),
        (first, "DELETE", own, None),
        (second, "DELETE", own, None),
        (second, "PATCH", own, {"name": "Pixel 9"}),
        (first, "POST", ROTATE, None),
        (joined, "GET", PHONES, None),
        (first, "POST", "/v1/products", RICE),
        (second, "POST", "/v1/sync?last_pulled_at=1", changes),
        (joined, "POST", "/v1/products", RICE),
    ]


@pytest.mark.parametrize("erases", [False, True], ids=["", "and it is erased"])
def test_anything_at_once_breaks_no_rule(crowd: Crowd, report: Report, erases: bool) -> None:
    for rng in rounds(20, report):
        first = crowd.register()
        second = crowd.add_phone(first)
        key, joined = crowd.key(first), crowd.join(crowd.code(first, move=True))
        tokens = [first, second, joined]
        calls = anything(crowd, tokens, crowd.code(second), key)
        if erases:
            calls[rng.randrange(len(calls))] = (second, "DELETE", ME, None)
        answers = crowd.at_once(shuffled(rng, calls))
        assert statuses(answers).keys() <= {200, 201, 204, 401, 404, 409}
        given = [*tokens, *tokens_in(answers)]
        good = [token for token in given if crowd.is_good(token)]
        if good:
            listed: list[Any] = crowd.get(good[0], PHONES)
            assert 1 <= len(listed) <= 8
            assert [phone["is_current"] for phone in listed].count(True) == 1
