"""How gunicorn reads requests by our settings: in pieces, several at once, too long or unclear."""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest

from countonme.server import embedded
from tests.helpers.processes import Run, query, wait_until
from tests.helpers.wire import HEALTH, REGISTER, Wire, register

MIB = 1024 * 1024
# Of the one worker, by gunicorn.conf.py.
THREADS = 4

pytestmark = pytest.mark.long


@pytest.fixture
def wire(running: Run) -> Iterator[Wire]:
    with closing(Wire(running.port)) as wire:
        yield wire


def test_it_works(wire: Wire) -> None:
    for _ in range(3):
        wire.send(HEALTH)
        assert wire.answer()[0::2] == (200, b'{"ok": true}')


def test_a_request_may_come_byte_by_byte(wire: Wire) -> None:
    for byte in register():
        wire.send(bytes([byte]))
    assert wire.answer()[0] == 422


def test_several_requests_may_come_at_once(wire: Wire) -> None:
    wire.send(HEALTH + register() + HEALTH[:20])
    assert [wire.answer()[0] for _ in range(2)] == [200, 422]
    wire.send(HEALTH[20:])
    assert wire.answer()[0] == 200


@pytest.mark.parametrize(("size", "expected"), [(MIB, 400), (MIB + 1, 413), (2**60, 413)])
def test_the_largest_body(wire: Wire, size: int, expected: int) -> None:
    wire.send(REGISTER + b"Content-Length: %d\r\n\r\n" % size)
    if size == MIB:
        wire.send(b" " * size)
    assert wire.answer()[0] == expected


def test_a_length_may_have_zeros_before_it(wire: Wire) -> None:
    wire.send(REGISTER + b"Content-Length: %b2\r\n\r\n{}" % (b"0" * 30))
    assert wire.answer()[0] == 422


@pytest.mark.parametrize("digits", [19, 30, 5000])
def test_a_length_beyond_all_bounds_is_refused(wire: Wire, digits: int) -> None:
    wire.send(REGISTER + b"Content-Length: %b\r\n\r\n" % (b"9" * digits))
    assert wire.answer()[0] == (400 if digits == 5000 else 413)


def test_the_unread_rest_of_a_body_is_not_read_as_a_request(wire: Wire) -> None:
    wire.send(REGISTER + b"Content-Length: %d\r\n\r\n" % (8 * MIB))
    assert wire.answer()[0] == 413
    wire.send(HEALTH * 2000)  # more than gunicorn reads to find the end of the body
    assert wire.is_closed()


def test_a_body_of_unknown_length_is_refused(wire: Wire) -> None:
    wire.send(REGISTER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert wire.answer()[0] == 411


def test_a_client_that_closes_halfway_leaves_no_trace(running: Run, wire: Wire) -> None:
    before = len(running.output)
    wire.send(register()[:-1])
    wire.socket.shutdown(socket.SHUT_WR)
    wire.file.read()
    with closing(Wire(running.port)) as other:
        other.send(HEALTH)
        assert other.answer()[0] == 200
    assert "Error" not in running.output[before:]


@pytest.mark.parametrize(
    "headers",
    [b"X-Padding: " + b"a" * 8200 + b"\r\n", b"X-Many: yes\r\n" * 64, b"a: %b\r\n" % (b"b" * 9**6)],
)
def test_headers_that_are_too_long_or_too_many_are_refused(wire: Wire, headers: bytes) -> None:
    wire.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")
    status, sent, _ = wire.answer()
    assert (status, sent["connection"]) == (431, "close")
    assert wire.is_closed()


def test_a_request_line_that_is_too_long_is_refused(wire: Wire) -> None:
    wire.send(b"GET /v1/products/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert wire.answer()[0] == 414


@pytest.mark.parametrize(
    "length",
    [b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: -1", b"Content-Length: x"],
)
def test_an_unclear_length_is_refused(wire: Wire, length: bytes) -> None:
    wire.send(REGISTER + length + b"\r\n\r\n{}")
    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert wire.is_closed()


def test_a_client_that_asks_for_it_is_closed(wire: Wire) -> None:
    wire.send(re.sub(rb"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", HEALTH))
    assert wire.answer()[1]["connection"] == "close"
    assert wire.is_closed()


def waiting(running: Run) -> int:
    """Count the server's connections that wait for a lock."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    ((count,),) = query(running.data_dir, asked)
    return int(str(count))


@contextmanager
def locked_device(running: Run, wire: Wire) -> Iterator[bytes]:
    """Lock a device's row, and yield a request of that device, which has to wait for it."""
    device_id = uuid.uuid4()
    wire.send(register(json.dumps({"device_id": str(device_id)}).encode()))
    token = json.loads(wire.answer()[2])["token"]
    address = embedded.database_url(running.data_dir)
    with psycopg.connect(address) as connection:
        connection.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [device_id])
        yield (
            b"DELETE /v1/products/00000000-0000-0000-0000-000000000000 HTTP/1.1\r\n"
            b"Host: localhost\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        connection.rollback()


def test_a_waiting_request_keeps_no_other_waiting(running: Run, wire: Wire) -> None:
    """The only worker has several threads, and another one answers."""
    with closing(Wire(running.port)) as other, locked_device(running, wire) as request:
        wire.send(request)
        wait_until(lambda: waiting(running) == 1)
        other.send(HEALTH * 5)
        assert [other.answer()[0] for _ in range(5)] == [200] * 5
        assert not wire.has_answer()
    assert wire.answer()[0] == 404


def test_what_comes_while_all_threads_wait_is_answered_after(running: Run, wire: Wire) -> None:
    wires = [Wire(running.port) for _ in range(6)]
    with locked_device(running, wire) as request:
        for waits in wires:
            waits.send(request)
        wait_until(lambda: waiting(running) == THREADS)
        wire.send(HEALTH)
    assert wire.answer()[0] == 200
    assert {waits.answer()[0] for waits in wires} == {404}
    for waits in wires:
        waits.send(HEALTH)
        assert waits.answer()[0] == 200
        waits.close()
