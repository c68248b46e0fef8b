"""Clients that take their time: they cost memory for a while, and nobody else's turn."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from attacks.client import LOST, Phone
from attacks.conftest import Start
from tests.processes import Run, query

HEAD = b"POST /v1/products HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
# Of one client: what it sends before it slows down, and then a byte at a time.
SLOW = {
    "nothing at all": (b"", b""),
    "a request line": (b"", HEAD),
    "one header after another": (HEAD, b"X-Slow: yes\r\n"),
    "a body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"a"),
    "a body of unknown length": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
    "a body that is too large": (HEAD + b"Content-Length: 1073741824\r\n\r\n", b"a"),
}
IMPATIENT = "--worker-class attacks.impatient.ImpatientWorker"
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


@pytest.fixture(scope="module")
def server(start: Start) -> Run:
    """One server for all tests of this file."""
    return start()


class Crowd:
    """Slow clients, and the time that one of them was first let go."""

    def __init__(self, port: int, count: int, start: bytes, drip: bytes) -> None:
        self.ends = ExitStack()
        self.drip = drip
        self.sockets = [
            self.ends.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(count)
        ]
        for client in self.sockets:
            client.sendall(start)
        self.sent = 0

    def step(self) -> None:
        """Send one byte more on each connection that still stands."""
        for client in self.sockets:
            if self.drip:
                with suppress(OSError):
                    client.sendall(self.drip[self.sent % len(self.drip) :][:1])
        self.sent += 1


@pytest.fixture
def crowds() -> Iterator[ExitStack]:
    with ExitStack() as ends:
        yield ends


@pytest.mark.parametrize("kind", SLOW)
def test_nobody_else_waits(server: Run, phone: Phone, crowds: ExitStack, kind: str) -> None:
    crowd = Crowd(server.port, 100, *SLOW[kind])
    crowds.push(crowd.ends)
    longest = 0.0
    for _ in range(50):
        crowd.step()
        began = time.monotonic()
        assert phone.again().get("/v1/products").status == 200
        longest = max(longest, time.monotonic() - began)
    print(f"{kind}: the longest of 50 calls took {longest * 1000:.0f} ms")
    assert longest < 1


def test_a_request_that_does_not_arrive_is_given_up(start: Start, crowds: ExitStack) -> None:
    server = start(GUNICORN_CMD_ARGS=IMPATIENT)
    crowd = Crowd(server.port, 1, *SLOW["one header after another"])
    crowds.push(crowd.ends)
    with selectors.DefaultSelector() as selector:
        selector.register(crowd.sockets[0], selectors.EVENT_READ)
        began = time.monotonic()
        while not selector.select(timeout=0.5) and time.monotonic() < began + 20:
            crowd.step()
    answer = crowd.sockets[0].recv(4096)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"detail": "Request Timeout"}
    assert 2.5 < time.monotonic() - began < 6


def test_a_thread_whose_answer_nobody_reads_comes_back(start: Start, crowds: ExitStack) -> None:
    server = start(GUNICORN_CMD_ARGS=IMPATIENT, WEB_CONCURRENCY="1", THREADS="2")
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
    answered = [other.again().get("/v1/products").status for _ in range(20)]
    print(f"20 calls took {time.monotonic() - began:.1f} s")
    assert answered == [200] * 20
    assert time.monotonic() - began < 15


def test_more_connections_than_a_worker_takes(start: Start, crowds: ExitStack) -> None:
    """The oldest unfinished make room: a phone that comes late is served all the same."""
    server = start(WEB_CONCURRENCY="1")
    phone = Phone(server.port).register()
    crowd = Crowd(server.port, 1500, *SLOW["one header after another"])
    crowds.push(crowd.ends)
    crowd.step()
    for _ in range(20):
        began = time.monotonic()
        answer = phone.again().get("/v1/products")
        assert answer is not LOST
        assert answer.status == 200
        assert time.monotonic() - began < 1
