"""How requests arrive: in pieces, several at once, too long, or not at all."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from selectors import DefaultSelector
from typing import IO, Any
from unittest.mock import Mock

import psycopg
import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import TConn

from countonme.server import embedded
from countonme.worker import Arrival, PatientWorker
from tests.processes import Run, copy_of

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
REGISTER = (
    b"POST /v1/auth/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
MIB = 1024 * 1024

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module")
def server(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with copy_of(first, tmp_path_factory.mktemp("worker")) as data_dir:
        run = Run(data_dir, REGISTER_THROTTLE="", LOCK_TIMEOUT="1").wait_until_ready()
        yield run
        run.terminate()


class Wire:
    """A connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.file: IO[bytes] = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers in lower case, body."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self.file.read(int(headers.get("content-length", 0)))

    def is_closed(self) -> bool:
        return self.file.read() == b""

    def has_answer(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def wire(server: Run) -> Iterator[Wire]:
    with closing(Wire(server.port)) as wire:
        yield wire


def register(body: bytes = b"{}") -> bytes:
    return REGISTER + b"Content-Length: %d\r\n\r\n" % len(body) + body


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


def test_one_that_expects_it_is_told_to_continue(wire: Wire) -> None:
    wire.send(REGISTER + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert wire.file.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert wire.file.readline() == b"\r\n"
    wire.send(b"{}")
    status = wire.answer()[0]
    assert (wire.answer()[0] if status == 100 else status) == 422


@pytest.mark.parametrize(("size", "expected"), [(MIB, 400), (MIB + 1, 413), (2**60, 413)])
def test_the_largest_body(wire: Wire, size: int, expected: int) -> None:
    wire.send(REGISTER + b"Content-Length: %d\r\n\r\n" % size)
    if size == MIB:
        wire.send(b" " * size)
    assert wire.answer()[0] == expected


def test_a_length_may_have_zeros_before_it(server: Run, wire: Wire) -> None:
    """And takes no thread before the body is there: there are four."""
    waiting = [Wire(server.port) for _ in range(5)]
    for other in waiting:
        other.send(REGISTER + b"Content-Length: %b2\r\n\r\n" % (b"0" * 30))
    wire.send(HEALTH)
    assert wire.answer()[0] == 200
    for other in waiting:
        other.send(b"{}")
        assert other.answer()[0] == 422
        other.close()


@pytest.mark.parametrize("digits", [19, 30, 5000])
def test_a_length_beyond_all_bounds_is_refused(wire: Wire, digits: int) -> None:
    wire.send(REGISTER + b"Content-Length: %b\r\n\r\n" % (b"9" * digits))
    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (400 if digits == 5000 else 413, "close")
    assert wire.is_closed()


def test_a_body_that_stays_unread_ends_the_connection(wire: Wire) -> None:
    wire.send(REGISTER + b"Content-Length: %d\r\n\r\n" % (8 * MIB))
    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert wire.is_closed()


def test_a_body_of_unknown_length_is_refused(wire: Wire) -> None:
    wire.send(REGISTER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    status, headers, _ = wire.answer()
    assert (status, headers["connection"]) == (411, "close")
    assert wire.is_closed()


def test_one_that_closes_halfway_leaves_no_trace(server: Run, wire: Wire) -> None:
    wire.send(register()[:-1])
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.is_closed()
    with closing(Wire(server.port)) as other:
        other.send(HEALTH)
        assert other.answer()[0] == 200
    assert "Error" not in server.output


def test_a_head_without_an_end_is_refused(wire: Wire) -> None:
    line = b"X-Padding: " + b"a" * 4000 + b"\r\n"
    wire.send(REGISTER + line * 20)
    status, headers, body = wire.answer()
    assert (status, headers["content-type"]) == (431, "application/json")
    assert json.loads(body) == {"detail": "Request Header Fields Too Large"}
    assert wire.is_closed()


@pytest.mark.parametrize(
    "length",
    [b"Content-Length: 2\r\nContent-Length: 3", b"Content-Length: -1", b"Content-Length: x"],
)
def test_an_unclear_length_is_refused(wire: Wire, length: bytes) -> None:
    wire.send(REGISTER + length + b"\r\n\r\n{}")
    status, headers, body = wire.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert set(json.loads(body)) == {"detail"}
    assert wire.is_closed()


def test_a_client_that_asks_for_it_is_closed(wire: Wire) -> None:
    wire.send(re.sub(rb"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", HEALTH))
    assert wire.answer()[1]["connection"] == "close"
    assert wire.is_closed()


@contextmanager
def locked_device(server: Run, wire: Wire) -> Iterator[bytes]:
    """A device whose row somebody else holds; gives a request of its own that waits for it."""
    device_id = uuid.uuid4()
    wire.send(register(json.dumps({"device_id": str(device_id)}).encode()))
    token = json.loads(wire.answer()[2])["token"]
    address = embedded.database_url(server.data_dir)
    with psycopg.connect(address) as connection:
        connection.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [device_id])
        yield (
            b"DELETE /v1/products/00000000-0000-0000-0000-000000000000 HTTP/1.1\r\n"
            b"Host: localhost\r\nAuthorization: Bearer " + token.encode() + b"\r\n\r\n"
        )
        connection.rollback()


def test_one_that_waits_keeps_nobody_else_waiting(server: Run, wire: Wire) -> None:
    """The one worker's thread that leads the event loop is at the request that waits."""
    with closing(Wire(server.port)) as other, locked_device(server, wire) as request:
        for _ in range(2):
            wire.send(request)
            other.send(HEALTH * 5)
            assert [other.answer()[0] for _ in range(5)] == [200] * 5
            assert not wire.has_answer()
            assert wire.answer()[0] == 503


def test_what_comes_while_all_threads_wait_is_answered_after(server: Run, wire: Wire) -> None:
    wires = [Wire(server.port) for _ in range(6)]
    with locked_device(server, wire) as request:
        for waiting in wires:
            waiting.send(request)
        wire.send(HEALTH)
        assert wire.answer()[0] == 200
    assert {waiting.answer()[0] for waiting in wires} <= {404, 503}
    for waiting in wires:
        waiting.send(HEALTH)
        assert waiting.answer()[0] == 200
        waiting.close()


@pytest.mark.parametrize("is_arriving", [False, True])
def test_one_that_made_room_while_its_bytes_came_is_not_asked_again(is_arriving: bool) -> None:
    worker = PatientWorker(0, 0, [], None, 30, Config(), None)
    ours, theirs = socket.socketpair()
    with DefaultSelector() as worker.poller, theirs:
        connection = TConn(worker.cfg, ours, ("", 0), ("", 0))
        worker.nr_conns = 1
        worker.keepalived_conns.append(connection)
        worker._watch(connection)
        theirs.sendall(b"G")
        if is_arriving:
            worker.on_client_socket_readable(connection, ours)
            theirs.sendall(b"E")
        seen = worker.poller.select(timeout=5)
        worker.make_room()
        for key, _ in seen:
            key.data(key.fileobj)
    worker.tmp.close()
    assert seen
    assert worker.nr_conns == 0


def test_who_stalls_keeps_no_process_from_ending(first: Path, tmp_path: Path) -> None:
    with copy_of(first, tmp_path) as data_dir:
        run = Run(data_dir).wait_until_ready()
        stalled = [Wire(run.port) for _ in range(5)]
        stalled[0].send(register(json.dumps({"device_id": str(uuid.uuid4())}).encode()))
        token = json.loads(stalled[0].answer()[2])["token"]
        for wire in stalled:
            wire.send(
                b"POST /v1/sync?last_pulled_at=1 HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n"
                b"Authorization: Bearer %b\r\n\r\n{" % (2 * MIB, token.encode())
            )
        run.stop(lambda: run.process.send_signal(signal.SIGINT))
        # Which the master sends to workers that outlast its patience.
        assert "SIGKILL" not in run.output
        for wire in stalled:
            wire.close()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A worker whose threads were not started."""
    worker: Any = PatientWorker(0, 0, [], None, 30, Config(), Mock())
    worker.PIPE = os.pipe()
    monkeypatch.setattr(worker, "handle", lambda connection: True)
    monkeypatch.setattr(worker, "_go_on", Mock())
    yield worker
    worker.tmp.close()
    for end in worker.PIPE:
        os.close(end)


@pytest.fixture
def arrival(worker: Any) -> Iterator[Arrival]:
    """A request that is whole, and whose time to arrive is over."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Arrival(TConn(worker.cfg, ours, ("", 0), ("", 0)), deadline=0, received=HEALTH)


def test_a_request_wakes_who_looks_on(worker: Any, arrival: Arrival) -> None:
    """Asleep, the main thread would see only after a second that a request takes long."""
    for asleep in (False, True):
        worker.main_sleeps = asleep
        assert worker._answer(arrival)
        assert bool(select.select([worker.PIPE[0]], [], [], 0)[0]) == asleep


def test_a_view_that_exits_ends_its_connection_alone(
    worker: Any, arrival: Arrival, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "handle", Mock(side_effect=SystemExit))
    assert worker._answer(arrival)
    worker._go_on.assert_called_once_with(arrival.connection, False)
    worker.log.exception.assert_called_once()


def test_one_that_waits_for_a_thread_is_not_late(worker: Any, arrival: Arrival) -> None:
    worker._enqueue(arrival)
    worker._end_answers(due=time.monotonic())
    # Shut down, it would be readable.
    assert not select.select([arrival.connection.sock], [], [], 0)[0]
