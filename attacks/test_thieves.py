"""A stolen phone against its owner, who has the recovery key, or another phone."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from attacks.client import Phone
from attacks.crowd import RICE, SEED
from attacks.locks import sent_in_turn
from attacks.servers import Report, Start
from tests.helpers.processes import Run, query

# Of random orders of moves, beside all those of two.
ORDERS, MOVES_EACH = 10, 6
# An hour less than a key is good for that was replaced without showing it.
LET_NEARLY_SEVEN_DAYS_PASS = """
UPDATE {} SET expires_at = expires_at - interval '6 days 23 hours' WHERE device_id = %s
"""
PUSHED = 2_000


@pytest.fixture(scope="module")
def server(start: Start) -> Run:
    """One server for all tests of this file."""
    return start()


class Thief:
    """Somebody with the token of a phone, and all that he got by it."""

    def __init__(self, phone: Phone) -> None:
        # His phones share a connection.
        self.phone = phone
        self.tokens = [phone.token]
        self.codes: list[str] = []
        self.keys: list[str] = []
        # Codes and keys, each with the id of the phone that joined by it.
        self.joined: list[tuple[str, str]] = []

    def make_key(self) -> None:
        self.keys.append(self.phone.get_key())

    def renew_key(self) -> None:
        """Replace the last of his keys, which he shows if it is still good."""
        answer = self.phone.post("/v1/auth/recovery-key", {"recovery_key": self.last_key()})
        assert answer.status in (201, 409), answer
        if answer.status == 201:
            self.keys.append(answer.json()["recovery_key"])

    def delete_key(self) -> None:
        assert self.phone.delete("/v1/auth/recovery-key").status == 204

    def end_key(self) -> None:
        """The same, and show the last of his own."""
        shown = {"recovery_key": self.last_key()}
        assert self.phone.request("DELETE", "/v1/auth/recovery-key", shown).status in (204, 409)

    def ask_for_code(self) -> None:
        self.codes.append(self.phone.get_code())

    def add_phone(self) -> None:
        self.join(self.phone.get_code())
        self.call()

    def add_phone_that_never_calls(self) -> None:
        token = self.phone.token
        self.join(self.phone.get_code())
        self.phone.token = token

    def move(self) -> None:
        self.join(self.phone.get_code(move=True))
        self.call()

    def join_by_key(self) -> None:
        self.join(self.last_key())

    def take_over(self) -> None:
        self.join(self.last_key(), revoke_others=True)

    def sign_others_out(self) -> None:
        for phone in self.phone.get("/v1/auth/phones").json():
            if not phone["is_current"]:
                assert self.phone.delete(f"/v1/auth/phones/{phone['id']}").status == 204

    def rotate(self) -> None:
        answer = self.phone.post("/v1/auth/rotate")
        assert answer.status == 200, answer
        self.use(answer.json()["token"])

    def last_key(self) -> str:
        if not self.keys:
            self.make_key()
        return self.keys[-1]

    def join(self, code: str, **body: Any) -> None:
        """Go on as a phone that joins; as before, if it may not."""
        body["phone_id"] = str(uuid.uuid4())
        answer = self.phone.pair(code, **body)
        assert answer.status in (200, 404, 409), answer
        self.joined.append((code, body["phone_id"]))
        self.use(self.phone.token)

    def use(self, token: str) -> None:
        self.phone.token = token
        self.tokens.append(token)

    def call(self) -> None:
        assert self.phone.get("/v1/auth/device").status == 200


MOVES: list[Callable[[Thief], None]] = [
    Thief.make_key,
    Thief.renew_key,
    Thief.delete_key,
    Thief.end_key,
    Thief.ask_for_code,
    Thief.add_phone,
    Thief.add_phone_that_never_calls,
    Thief.move,
    Thief.join_by_key,
    Thief.take_over,
    Thief.sign_others_out,
    Thief.rotate,
]


def orders() -> Iterator[list[Callable[[Thief], None]]]:
    """Yield orders of moves: all of two, and some random longer ones."""
    yield from map(list, itertools.product(MOVES, repeat=2))
    rng = random.Random(SEED)
    for _ in range(ORDERS):
        yield rng.choices(MOVES, k=MOVES_EACH)


def test_the_owner_recovers_by_the_key_whatever_the_thief_does(
    server: Run, session: psycopg.Connection[Any], report: Report
) -> None:
    """Nearly seven days pass somewhere between the moves. Then nothing of the thief's is good."""
    session.autocommit = True
    rng = random.Random(SEED)
    tried = list(orders())
    for moves in tried:
        owner = Phone(server.port).register()
        key = owner.get_key()
        assert owner.post("/v1/products", RICE).status == 201
        thief = Thief(owner.on_new_connection())
        pause = rng.randrange(len(moves) + 1)
        for move in moves[:pause]:
            move(thief)
        for table in ("pairing_codes", "recovery_keys"):
            session.execute(LET_NEARLY_SEVEN_DAYS_PASS.format(table).encode(), [owner.device_id])
        for move in moves[pause:]:
            move(thief)
        names = [move.__name__ for move in moves]
        owner.phone_id = str(uuid.uuid4())
        assert owner.pair(key, revoke_others=True).status == 200, names
        assert_nothing_is_left(thief, names)
        (only,) = owner.get("/v1/auth/phones").json()
        assert only["id"] == owner.phone_id
        assert [row["name"] for row in owner.get("/v1/products").json()] == ["Rice"]
        # It is the present one again, and can be replaced at once.
        owner.get_key(key)
        assert thief.phone.pair(key, phone_id=str(uuid.uuid4())).status == 404
    report(f"{len(tried)} orders of moves")


def assert_nothing_is_left(thief: Thief, moves: list[str]) -> None:
    stranger = thief.phone
    for token in thief.tokens:
        stranger.token = token
        # The call that takes older tokens too.
        assert stranger.post("/v1/auth/rotate").status == 401, moves
    stranger.token = ""
    for code in thief.codes + thief.keys:
        assert stranger.pair(code, phone_id=str(uuid.uuid4())).status == 404, moves
    for code, phone_id in thief.joined:
        assert stranger.pair(code, phone_id=phone_id).status == 404, moves


def writing_calls(server: Run) -> list[tuple[str, str, Any]]:
    """Return the calls of the OpenAPI document that write, with an example of each body."""
    calls = []
    for path, item in json.loads(server.get("/openapi.json"))["paths"].items():
        for method, operation in item.items():
            if method == "get" or "security" not in operation or path == "/v1/goals/calculate":
                continue
            content = operation.get("requestBody", {}).get("content", {})
            examples = content.get("application/json", {}).get("examples", {"": {"value": None}})
            query = "?last_pulled_at=1" if path == "/v1/sync" else ""
            named = path.replace("{id}", str(uuid.uuid4())) + query
            calls.append((method.upper(), named, next(iter(examples.values()))["value"]))
    return calls


def large_push() -> tuple[str, str, Any]:
    rows = [
        {"id": str(uuid.uuid4()), "name": f"Food {number}", "kcal_100g": 100}
        for number in range(PUSHED)
    ]
    changes = {"products": {"created": [], "updated": rows, "deleted": []}}
    return "POST", "/v1/sync?last_pulled_at=1", changes


def test_a_phone_that_is_signed_out_while_its_call_waits_writes_nothing(
    server: Run, session: psycopg.Connection[Any], report: Report
) -> None:
    calls = [*writing_calls(server), large_push()]
    assert len(calls) > 25
    for method, path, body in calls:
        owner, stolen = Phone(server.port).register(), Phone(server.port)
        owner.get_key()
        assert stolen.pair(owner.get_code()).status == 200
        assert stolen.get("/v1/auth/device").status == 200
        owner.get_code()
        before = stored(server, owner)
        with sent_in_turn(server, session, owner.device_id) as send:
            signed_out = send(owner, "DELETE", f"/v1/auth/phones/{stolen.phone_id}")
            refused = send(stolen, method, path, body)
        assert [answer.status for answer in signed_out] == [204]
        assert [answer.status for answer in refused] == [401], (method, path)
        assert refused[0].json() == {"detail": "Invalid or expired token"}
        assert stored(server, owner) == before, (method, path)
    report(f"{len(calls)} calls")


def stored(server: Run, owner: Phone) -> list[Any]:
    """Return what is stored of a device and its phone, and how much it owns."""
    of_device = f"WHERE device_id = '{owner.device_id}'"
    return query(
        server.data_dir,
        f"""
        SELECT (to_jsonb(devices) - 'sign_outs')::text FROM devices
            WHERE id = '{owner.device_id}'
        UNION ALL SELECT (to_jsonb(phones) - 'last_seen_at')::text FROM phones
            {of_device} AND id = '{owner.phone_id}'
        UNION ALL SELECT to_jsonb(pairing_codes)::text FROM pairing_codes {of_device}
        UNION ALL SELECT to_jsonb(recovery_keys)::text FROM recovery_keys {of_device}
        UNION ALL SELECT count(*)::text FROM phones {of_device}
        """,
    )


def test_a_push_that_came_before_the_sign_out_is_applied_whole(
    server: Run, session: psycopg.Connection[Any]
) -> None:
    owner, stolen = Phone(server.port).register(), Phone(server.port)
    assert stolen.pair(owner.get_code()).status == 200
    assert stolen.get("/v1/auth/device").status == 200
    with sent_in_turn(server, session, owner.device_id) as send:
        pushed = send(stolen, *large_push())
        signed_out = send(owner, "DELETE", f"/v1/auth/phones/{stolen.phone_id}")
    assert [answer.status for answer in pushed + signed_out] == [200, 204]
    counted = f"SELECT count(*) FROM products WHERE device_id = '{owner.device_id}'"
    assert query(server.data_dir, counted) == [(PUSHED,)]
