"""What response times tell about tokens, and what wrong tokens cost the server."""

from __future__ import annotations

import random
import statistics
import uuid
from functools import partial

import pytest

from attacks.client import Phone
from attacks.servers import Report, Start, cpu_seconds
from attacks.timing import assert_alike, timed
from devices import tokens
from tests.helpers.processes import Run, query

ROUNDS = 700
# The kernel counts CPU time in hundredths of a second.
CPU_ROUNDS = 5
CALLS_A_ROUND = 100


@pytest.fixture(scope="module")
def server(start: Start) -> Run:
    """One server for all tests of this file."""
    return start()


def refusals(phone: Phone, server: Run) -> dict[str, str]:
    """Return tokens that are refused, by the reason."""
    device, _, secret = phone.token.partition(".")
    flipped = {"A": "B", "B": "A"}
    blocked = Phone(server.port).register()
    query(
        server.data_dir,
        f"UPDATE devices SET blocked_at = now() WHERE id = '{blocked.device_id}'",
    )
    stranger, signed_out = uuid.uuid4(), Phone(server.port)
    assert signed_out.pair(phone.get_code()).status == 200
    assert phone.delete(f"/v1/auth/phones/{signed_out.phone_id}").status == 204
    return {
        "the first character is wrong": f"{device}.{flipped.get(secret[0], 'A')}{secret[1:]}",
        "the middle is wrong": f"{device}.{secret[:20]}{flipped.get(secret[20], 'A')}{secret[21:]}",
        "another device's secret": f"{device}.{blocked.token.partition('.')[2]}",
        "the device is unknown": tokens.generate(stranger, stranger),
        "the device is blocked": blocked.token,
        "the phone is unknown": tokens.generate(uuid.UUID(phone.device_id), stranger),
        "the phone is signed out": signed_out.token,
    }


def test_the_time_of_a_refusal_does_not_tell_its_reason(server: Run, phone: Phone) -> None:
    stranger = Phone(server.port)

    def call(token: str) -> None:
        stranger.token = token
        stranger.get("/v1/auth/device")

    kinds = refusals(phone, server)
    assert_alike({kind: partial(call, token) for kind, token in kinds.items()}, ROUNDS)
    for stranger.token in kinds.values():
        assert stranger.get("/v1/auth/device").status == 401


def test_a_right_and_a_wrong_secret_take_the_same_time() -> None:
    """The check alone, without the network: its comparison is in constant time."""
    device, another = uuid.uuid4(), uuid.uuid4()
    token = tokens.generate(device, device)
    signature = tokens.signer.sign(token)
    candidates = {
        "right": token,
        "first character": token[:23] + ("B" if token[23] == "A" else "A") + token[24:],
        "unlike": tokens.generate(another, another),
    }
    times: dict[str, list[float]] = {kind: [] for kind in candidates}
    order = list(candidates)
    rng = random.Random(1)
    for _ in range(20_000):
        rng.shuffle(order)
        for kind in order:
            check = partial(tokens.signer.check, candidates[kind], signature)
            times[kind].append(timed(check))
    medians = {kind: statistics.median(spent) * 1000 for kind, spent in times.items()}
    print(", ".join(f"{kind} {median:.2f} µs" for kind, median in medians.items()))
    # Response times over a network vary by a thousand times as much as a microsecond.
    assert max(medians.values()) - min(medians.values()) < 1


def test_a_wrong_token_costs_no_more_than_a_read(server: Run, phone: Phone, report: Report) -> None:
    """In CPU time of gunicorn and PostgreSQL, so that other work on the machine does not count.

    A flood of wrong tokens then takes no more from others than a phone that reads without a pause.
    """
    for number in range(20):
        phone.post("/v1/products", {"name": f"Product {number}", "kcal_100g": number})
    caller = Phone(server.port)
    tokens_by_kind = {"right": phone.token} | refusals(phone, server)
    spent = dict.fromkeys(tokens_by_kind, 0.0)
    for _ in range(CPU_ROUNDS):
        for kind, caller.token in tokens_by_kind.items():
            before = cpu_seconds(server)
            for _ in range(CALLS_A_ROUND):
                caller.get("/v1/products")
            spent[kind] += cpu_seconds(server) - before
    calls = CPU_ROUNDS * CALLS_A_ROUND
    for kind, seconds in spent.items():
        report(f"{kind}: {seconds / calls * 1000:.2f} ms of CPU")
    right = spent.pop("right")
    # What PostgreSQL does in the background meets any of them: hence a quarter more.
    assert max(spent.values()) < 1.25 * right


def test_no_secret_stands_in_logs_pages_or_the_database(start: Start) -> None:
    """Tokens, pairing codes and recovery keys, however they were sent."""
    server = start(LOG_LEVEL="DEBUG", ADMIN_PASSWORD="chosen for this test")
    phone, another = Phone(server.port).register(), Phone(server.port)
    code, key = phone.get_code(), phone.get_key()
    assert another.pair(code).status == 200
    used = [phone.token, another.token, code, key, phone.get_code(), phone.get_key(key)]
    for _ in range(2):
        phone.token = phone.post("/v1/auth/rotate").json()["token"]
        used.append(phone.token)
    for secret in used:
        another.token = secret
        for caller in (phone, another):
            for path in ("/v1/products", f"/v1/products?search={secret}"):
                caller.get(path)
                caller.request("POST", path, b"{")
                caller.post(path, {"name": secret, "kcal_100g": secret})
            for path in ("/v1/auth/pair", "/v1/auth/recovery-key"):
                caller.post(path, {"code": secret, "recovery_key": secret, "phone_id": secret})
    statuses = {phone.get("/v1/products").status, phone.get("/v1/products", Host="wrong").status}
    assert statuses == {200, 400}
    columns = query(
        server.data_dir,
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public'",
    )
    stored = "".join(
        str(query(server.data_dir, f'SELECT "{column}"::text FROM "{table}"'))
        for table, column in columns
    )
    assert phone.device_id in stored
    assert "GET" in server.output
    logs = server.output + (server.data_dir / "postgres.log").read_text()
    for secret in used:
        # Of a token the part behind its ids; a code also as it is without its hyphens.
        for written in {secret.rpartition(".")[2], secret.replace("-", "")}:
            assert written not in stored
            assert written not in logs
