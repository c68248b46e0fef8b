"""Slow clients: nginx waits for them, and no other client has to."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

import pytest

from attacks.client import Phone
from attacks.servers import Deploy, Report, memory_mb
from tests.helpers.nginx import Deployed
from tests.helpers.processes import query

MIB = 1024 * 1024
# 200 products of 50 portions: more than the buffers of sockets hold.
MANY_PORTIONS = """
    INSERT INTO products
        (id, device_id, name, name_folded, name_words, unit, kcal_100g, revision, created_at)
        SELECT gen_random_uuid(), '{device_id}', n::text, n::text, ' ' || n, 'g', 1, 0, now()
        FROM generate_series(1, 200) AS n;
    INSERT INTO portions
        (id, device_id, product_id, name, name_folded, grams, is_default, revision, created_at)
        SELECT gen_random_uuid(), device_id, id, n::text, n::text, 1, n = 1, 0, now()
        FROM products, generate_series(1, 50) AS n WHERE device_id = '{device_id}';
"""


class Slow(NamedTuple):
    """What a slow client sends at once (`start`), and then byte by byte (`drip`)."""

    start: bytes
    drip: bytes = b""


HEADERS = b"HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PRODUCT = b"POST /v1/products " + HEADERS
SYNC = b"POST /v1/sync?last_pulled_at=1 " + HEADERS
KINDS = {
    "nothing at all": Slow(b""),
    "a request line": Slow(b"", PRODUCT),
    "one header after another": Slow(PRODUCT, b"X-Slow: yes\r\n"),
    "a body": Slow(PRODUCT + b"Content-Length: 100000\r\n\r\n", b"a"),
    "a body of unknown length": Slow(
        PRODUCT + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"
    ),
    "a body that is too large": Slow(PRODUCT + b"Content-Length: 1073741824\r\n\r\n", b"a"),
    "a sync that stalls": Slow(SYNC + b"Content-Length: 1048577\r\n\r\n{"),
    "all but one byte of a sync": Slow(
        SYNC + b"Content-Length: %d\r\n\r\n" % MIB + b" " * (MIB - 1)
    ),
}


class SlowClients:
    """Slow clients with a valid token, at an address that other phones don't use."""

    def __init__(self, phone: Phone, count: int, slow: Slow, address: str = "127.0.0.2") -> None:
        port = phone.connection.port
        token = b"Authorization: Bearer %b\r\n" % phone.token.encode()
        self.drip = slow.drip
        self.sockets = [
            socket.create_connection(("127.0.0.1", port), source_address=(address, 0))
            for _ in range(count)
        ]
        for client in self.sockets:
            client.sendall(slow.start.replace(HEADERS, HEADERS + token))
        self.sent = 0

    def step(self) -> None:
        """Send one more byte on each connection that is still open."""
        for client in self.sockets:
            if self.drip:
                with suppress(OSError):
                    client.sendall(self.drip[self.sent % len(self.drip) :][:1])
        self.sent += 1

    def close(self) -> None:
        for client in self.sockets:
            client.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes what tests put on it when they end."""
    with ExitStack() as ends:
        yield ends


@pytest.fixture(scope="module")
def server(deploy: Deploy) -> Deployed:
    """One server for all tests of this file."""
    return deploy()


def longest_call(phone: Phone, clients: SlowClients) -> float:
    """Return the seconds of the slowest of fifty calls, each over a new connection."""
    longest = 0.0
    for _ in range(50):
        clients.step()
        began = time.monotonic()
        assert phone.on_new_connection().get("/v1/products").status == 200
        longest = max(longest, time.monotonic() - began)
    return longest


@pytest.mark.parametrize("kind", KINDS)
def test_slow_clients_do_not_delay_others(
    server: Deployed, phone: Phone, stack: ExitStack, report: Report, kind: str
) -> None:
    clients = SlowClients(phone, 100, KINDS[kind])
    stack.callback(clients.close)
    longest = longest_call(phone, clients)
    report(f"{kind}: the longest of 50 calls took {longest * 1000:.0f} ms")
    assert longest < 1


def test_many_clients_with_half_a_request_cost_little_memory(
    server: Deployed, phone: Phone, stack: ExitStack, report: Report
) -> None:
    """600 clients at six addresses: one address may have only 100 requests at a time."""
    before = memory_mb(server)
    for number in range(6):
        clients = SlowClients(
            phone, 100, KINDS["all but one byte of a sync"], f"127.0.0.{2 + number}"
        )
        stack.callback(clients.close)
    assert longest_call(phone, clients) < 1
    more = memory_mb(server) - before
    report(f"600 clients that hold back a byte of 1 MiB: {more:.0f} MB more, of all processes")
    assert more < 60


def test_one_address_is_refused_beyond_100_requests_and_others_are_not(
    server: Deployed, phone: Phone, stack: ExitStack
) -> None:
    # A new address: at others nginx may still count connections of earlier tests.
    clients = SlowClients(phone, 150, KINDS["a sync that stalls"], "127.0.0.20")
    stack.callback(clients.close)
    assert longest_call(phone, clients) < 1
    refused = 0
    for client in clients.sockets:
        client.settimeout(0.1)
        with suppress(TimeoutError):
            refused += client.recv(4096).startswith(b"HTTP/1.1 429 ")
    assert refused == 50


@pytest.mark.parametrize("kind", ["one header after another", "a sync that stalls"])
def test_a_request_that_stalls_is_closed(deploy: Deploy, stack: ExitStack, kind: str) -> None:
    short = {
        f"client_{part}_timeout 20s": f"client_{part}_timeout 2s" for part in ("header", "body")
    }
    phone = Phone(deploy(changes=short).port).register()
    clients = SlowClients(phone, 1, KINDS[kind])
    stack.callback(clients.close)
    client = clients.sockets[0]
    client.settimeout(0.5)
    began = time.monotonic()
    while True:
        clients.step()
        try:
            assert client.recv(4096) == b""
            break
        except TimeoutError:
            assert time.monotonic() < began + 6
    assert time.monotonic() > began + 1.5


def test_an_answer_that_nobody_reads_blocks_no_thread(deploy: Deploy, stack: ExitStack) -> None:
    server = deploy(WEB_CONCURRENCY="1", THREADS="2")
    phone, other = (Phone(server.port).register() for _ in range(2))
    query(server.data_dir, MANY_PORTIONS.format(device_id=phone.device_id))
    call = "GET /v1/products?include=portions&limit=200 HTTP/1.1\r\nHost: localhost\r\n"
    call += f"Authorization: Bearer {phone.token}\r\n\r\n"
    for _ in range(2):
        client = stack.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(call.encode() * 4)
    began = time.monotonic()
    assert [other.on_new_connection().get("/v1/products").status for _ in range(20)] == [200] * 20
    assert time.monotonic() - began < 10


def test_thousands_of_connections_do_not_delay_others(
    server: Deployed, phone: Phone, stack: ExitStack
) -> None:
    """A request counts for its address only once its headers are complete."""
    clients = SlowClients(phone, 3000, KINDS["one header after another"])
    stack.callback(clients.close)
    assert longest_call(phone, clients) < 1


def test_a_server_with_stalled_clients_stops_at_once(deploy: Deploy, stack: ExitStack) -> None:
    server = deploy()
    phone = Phone(server.port).register()
    clients = SlowClients(phone, 20, KINDS["a sync that stalls"])
    stack.callback(clients.close)
    time.sleep(0.5)
    began = time.monotonic()
    server.process.terminate()
    server.process.wait(40)
    assert time.monotonic() - began < 5
