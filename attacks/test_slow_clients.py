"""Clients that take their time: nginx waits for them, and nobody else does."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

import pytest

from attacks.client import Phone
from attacks.servers import Deploy, Tell, memory_mb
from tests.helpers.nginx import Deployed
from tests.helpers.processes import query

MIB = 1024 * 1024
# 200 products of 50 portions: more than sockets' buffers hold.
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
    """What a slow client sends before it slows down, and then a byte at a time."""

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


class Crowd:
    """Slow clients of one address, which is not the phones', with a token that is good."""

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
        """Send one byte more on each connection that still stands."""
        for client in self.sockets:
            if self.drip:
                with suppress(OSError):
                    client.sendall(self.drip[self.sent % len(self.drip) :][:1])
        self.sent += 1

    def close(self) -> None:
        for client in self.sockets:
            client.close()


@pytest.fixture
def crowds() -> Iterator[ExitStack]:
    with ExitStack() as ends:
        yield ends


@pytest.fixture(scope="module")
def server(deploy: Deploy) -> Deployed:
    """One server for all tests of this file."""
    return deploy()


def longest_call(phone: Phone, crowd: Crowd) -> float:
    """Return the seconds of the longest of fifty calls, each on a connection of its own."""
    longest = 0.0
    for _ in range(50):
        crowd.step()
        began = time.monotonic()
        assert phone.again().get("/v1/products").status == 200
        longest = max(longest, time.monotonic() - began)
    return longest


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_else_waits(
    server: Deployed, phone: Phone, crowds: ExitStack, tell: Tell, kind: str
) -> None:
    crowd = Crowd(phone, 100, KINDS[kind])
    crowds.callback(crowd.close)
    longest = longest_call(phone, crowd)
    tell(f"{kind}: the longest of 50 calls took {longest * 1000:.0f} ms")
    assert longest < 1


def test_many_clients_with_half_a_request_cost_little_memory(
    server: Deployed, phone: Phone, crowds: ExitStack, tell: Tell
) -> None:
    """600 of six addresses: one address has no more than a hundred requests under way."""
    before = memory_mb(server)
    for number in range(6):
        crowd = Crowd(phone, 100, KINDS["all but one byte of a sync"], f"127.0.0.{2 + number}")
        crowds.callback(crowd.close)
    assert longest_call(phone, crowd) < 1
    more = memory_mb(server) - before
    tell(f"600 clients that hold back a byte of 1 MiB: {more:.0f} MB more, of all processes")
    assert more < 60


def test_a_crowd_at_one_address_is_refused_past_its_hundred_and_no_other(
    server: Deployed, phone: Phone, crowds: ExitStack
) -> None:
    # An address of its own: nginx may still count what the crowds before have closed.
    crowd = Crowd(phone, 150, KINDS["a sync that stalls"], "127.0.0.20")
    crowds.callback(crowd.close)
    assert longest_call(phone, crowd) < 1
    refused = 0
    for client in crowd.sockets:
        client.settimeout(0.1)
        with suppress(TimeoutError):
            refused += client.recv(4096).startswith(b"HTTP/1.1 429 ")
    assert refused == 50


@pytest.mark.parametrize("kind", ["one header after another", "a sync that stalls"])
def test_a_request_that_does_not_arrive_is_given_up(
    deploy: Deploy, crowds: ExitStack, kind: str
) -> None:
    short = {
        f"client_{part}_timeout 20s": f"client_{part}_timeout 2s" for part in ("header", "body")
    }
    phone = Phone(deploy(changes=short).port).register()
    crowd = Crowd(phone, 1, KINDS[kind])
    crowds.callback(crowd.close)
    client = crowd.sockets[0]
    client.settimeout(0.5)
    began = time.monotonic()
    while True:
        crowd.step()
        try:
            assert client.recv(4096) == b""
            break
        except TimeoutError:
            assert time.monotonic() < began + 6
    assert time.monotonic() > began + 1.5


def test_an_answer_that_nobody_reads_holds_no_thread(deploy: Deploy, crowds: ExitStack) -> None:
    server = deploy(WEB_CONCURRENCY="1", THREADS="2")
    phone, other = (Phone(server.port).register() for _ in range(2))
    query(server.data_dir, MANY_PORTIONS.format(device_id=phone.device_id))
    call = "GET /v1/products?include=portions&limit=200 HTTP/1.1\r\nHost: localhost\r\n"
    call += f"Authorization: Bearer {phone.token}\r\n\r\n"
    for _ in range(2):
        client = crowds.enter_context(socket.socket())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(call.encode() * 4)
    began = time.monotonic()
    assert [other.again().get("/v1/products").status for _ in range(20)] == [200] * 20
    assert time.monotonic() - began < 10


def test_thousands_of_connections_leave_room_for_a_phone(
    server: Deployed, phone: Phone, crowds: ExitStack
) -> None:
    """Headers that have not come yet count for no address: nginx has room for them."""
    crowd = Crowd(phone, 3000, KINDS["one header after another"])
    crowds.callback(crowd.close)
    assert longest_call(phone, crowd) < 1


def test_a_server_with_stalled_clients_stops_at_once(deploy: Deploy, crowds: ExitStack) -> None:
    server = deploy()
    phone = Phone(server.port).register()
    crowd = Crowd(phone, 20, KINDS["a sync that stalls"])
    crowds.callback(crowd.close)
    time.sleep(0.5)
    began = time.monotonic()
    server.process.terminate()
    server.process.wait(40)
    assert time.monotonic() - began < 5
