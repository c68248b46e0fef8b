"""gunicorn's threaded worker, but that a request takes a thread only once it has arrived whole.

A thread, with its connection to PostgreSQL, is what a node has few of. In gunicorn's own worker a
client that sends a byte a second holds one for as long as it likes; here it costs some memory until
its time is over. Behind a proxy that reads whole requests this changes nothing.
"""

from __future__ import annotations

import errno
import math
import re
import selectors
import socket
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import util
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
EXPECTS_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)

RECEIVE_BYTES = 64 * 1024
MAX_HEAD_BYTES = 64 * 1024
# A larger body waits outside until a view has seen who sends it; so does one of unknown length.
MAX_BODY_BYTES = 1024 * 1024


class Arrival:
    """A request on its way: what has come of it, and until when the rest may."""

    def __init__(self, connection: TConn, deadline: float, received: bytes = b"") -> None:
        self.connection = connection
        self.deadline = deadline
        self.received = bytearray(received)
        # In bytes, once the head is here.
        self.expected: int | None = None
        self.leaves_body_outside = False

    @property
    def is_whole(self) -> bool:
        """Whether a thread can work on it."""
        if self.expected is None:
            end = self.received.find(HEAD_END)
            if end < 0:
                return False
            self._read_head(bytes(self.received[: end + 2]))
        assert self.expected is not None
        return len(self.received) >= self.expected

    @property
    def is_too_long(self) -> bool:
        """Whether its head is."""
        return self.expected is None and len(self.received) > MAX_HEAD_BYTES

    def _read_head(self, head: bytes) -> None:
        length = CONTENT_LENGTH.search(head)
        body = int(length[1]) if length else 0
        self.leaves_body_outside = body > MAX_BODY_BYTES or CHUNKED.search(head) is not None
        self.expected = len(head) + 2 + (0 if self.leaves_body_outside else body)
        if len(self.received) < self.expected and EXPECTS_CONTINUE.search(head):
            with suppress(OSError):
                self.connection.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")


class PatientWorker(ThreadWorker):
    """Waits for whole requests in its event loop, and bounds how long a client may take.

    A connection is idle, arriving, answered by a thread, or closing, and in the poller unless a
    thread has it. Idle ones are in `keepalived_conns`, as gunicorn has them.
    """

    ARRIVAL_SECONDS = 20.0
    # For a view: reading what was left outside, and sending the answer, count.
    ANSWER_SECONDS = 60.0
    CLOSING_SECONDS = 2.0
    # For a request that is on its way to a worker that is about to stop.
    STOPPING_SECONDS = 2.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answered: dict[TConn, Arrival] = {}
        # In the order of their deadlines, because each kind has one span of time.
        self.arriving: dict[TConn, Arrival] = {}
        self.closing: dict[TConn, float] = {}

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, which lies idle until its first byte."""
        if self.nr_conns >= self.worker_connections - 1:
            self.make_room()
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self.make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        self.nr_conns += 1
        connection = TConn(self.cfg, client, address, listener.getsockname())
        connection.set_timeout()
        self.keepalived_conns.append(connection)
        self._watch(connection)

    def make_room(self) -> None:
        """Drop whoever has been sending for the longest, else whoever has lain idle for it."""
        if self.arriving:
            self._forget(next(iter(self.arriving)))
        elif self.keepalived_conns:
            self._forget(self.keepalived_conns[0])

    def on_client_socket_readable(self, conn: TConn, client: socket.socket) -> None:
        """Receive a piece of a request, mostly the whole, and pass the whole on."""
        if conn not in self.arriving:
            try:
                self.keepalived_conns.remove(conn)
            except ValueError:  # it made room since the poller saw it
                return
            self.arriving[conn] = Arrival(conn, time.monotonic() + self.ARRIVAL_SECONDS)
        arrival = self.arriving[conn]
        try:
            piece = client.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._forget(conn)
            return
        arrival.received += piece
        if arrival.is_whole:
            self.poller.unregister(client)
            del self.arriving[conn]
            self.answer(arrival)
        elif arrival.is_too_long:
            self._refuse(conn, 431, "Request Header Fields Too Large")

    def answer(self, arrival: Arrival) -> None:
        """Give a request to a thread."""
        connection = arrival.connection
        connection.init()
        connection.data_ready = True
        _unreader(connection).unread(bytes(arrival.received))
        arrival.received.clear()
        arrival.deadline = math.inf
        self.answered[connection] = arrival
        self.enqueue_req(connection)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Run the view; in the thread."""
        arrival = self.answered[conn]
        arrival.deadline = time.monotonic() + self.ANSWER_SECONDS
        if arrival.leaves_body_outside:
            # It may stay unread, and then nobody could tell where the next request begins.
            req.force_close()
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether another request may come; what a view left unread of a body is here already."""
        parser: Any = conn.parser
        return bool(keepalive and parser.finish_body())

    def enqueue_req(self, conn: TConn) -> None:
        """Have a thread answer; then the event loop goes on with the connection."""
        self.tpool.submit(self._answer, conn)

    def _answer(self, conn: TConn) -> None:
        keepalive = False
        try:
            keepalive = self.handle(conn)
        finally:
            self.method_queue.defer(self._go_on, conn, keepalive)

    def _go_on(self, conn: TConn, keepalive: bool) -> None:
        """Wait for the next request, of which a piece may be here already; or close."""
        del self.answered[conn]
        if not keepalive:
            self._close(conn)
            return
        conn.sock.setblocking(False)
        piece = _unreader(conn).take_buffered()
        if not piece:
            seconds = self.cfg.keepalive if self.alive else self.STOPPING_SECONDS
            conn.timeout = time.monotonic() + seconds
            self.keepalived_conns.append(conn)
            self._watch(conn)
            return
        arrival = Arrival(conn, time.monotonic() + self.ARRIVAL_SECONDS, piece)
        if arrival.is_whole:
            self.answer(arrival)
        else:
            self.arriving[conn] = arrival
            self._watch(conn)

    def murder_pending(self) -> None:
        """End what takes too long; gunicorn's loop calls this at least every second."""
        now = time.monotonic()
        while self.arriving and (late := next(iter(self.arriving.values()))).deadline < now:
            self._refuse(late.connection, 408, "Request Timeout")
        for late in self.answered.values():
            if late.deadline < now:
                # Its thread wakes up, finds the connection closed and gives it back.
                with suppress(OSError):
                    late.connection.sock.shutdown(socket.SHUT_RDWR)
        while self.closing and next(iter(self.closing.values())) < now:
            self._forget(next(iter(self.closing)))

    def _watch(self, connection: TConn) -> None:
        readable = partial(self.on_client_socket_readable, connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, readable)

    def _refuse(self, connection: TConn, status: int, reason: str) -> None:
        del self.arriving[connection]
        self.poller.unregister(connection.sock)
        with suppress(OSError):
            util.write_error(connection.sock, status, reason, "")
        self._close(connection)

    def _close(self, connection: TConn) -> None:
        """Say that nothing more comes, and read on for a while: else the answer could be lost.

        RFC 9112, section 9.6.
        """
        try:
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._drop(connection)
            return
        self.closing[connection] = time.monotonic() + self.CLOSING_SECONDS
        self.poller.register(
            connection.sock, selectors.EVENT_READ, partial(self._on_rest, connection)
        )

    def _on_rest(self, connection: TConn, client: socket.socket) -> None:
        try:
            rest = client.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            rest = b""
        if not rest:
            self._forget(connection)

    def _forget(self, connection: TConn) -> None:
        """Drop a connection that no thread has."""
        self.poller.unregister(connection.sock)
        self.arriving.pop(connection, None)
        self.closing.pop(connection, None)
        with suppress(ValueError):
            self.keepalived_conns.remove(connection)
        self._drop(connection)

    def _drop(self, connection: TConn) -> None:
        self.nr_conns -= 1
        connection.close()


def _unreader(connection: TConn) -> Unreader:
    assert isinstance(connection.parser, RequestParser)
    return connection.parser.unreader
