"""gunicorn's threaded worker, but that a request takes a thread only once it has arrived whole.

A thread, with its connection to PostgreSQL, is what a node has few of. In gunicorn's own worker a
client that sends a byte a second holds one for as long as it likes; here it costs some memory until
its time is over. Behind a proxy that reads whole requests this changes nothing.

Which thread answers follows the Leader/Followers pattern (Schmidt, Stal, Rohnert and Buschmann,
"Pattern-Oriented Software Architecture", volume 2): one thread waits for events and answers what
has arrived itself, for handing a request to another thread and back costs more than most answers
do. Who takes longer is relieved of the lead meanwhile.
"""

from __future__ import annotations

import errno
import math
import os
import re
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import Any

from gunicorn import util
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import TConn, ThreadWorker

HEAD_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*0*(\d*)[ \t]*\r\n", re.IGNORECASE)
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
        # Of 19 digits and more the first tell enough: it is too much.
        body = int(length[1][:19] or b"0") if length else 0
        self.leaves_body_outside = body > MAX_BODY_BYTES or CHUNKED.search(head) is not None
        self.expected = len(head) + 2 + (0 if self.leaves_body_outside else body)
        if len(self.received) < self.expected and EXPECTS_CONTINUE.search(head):
            with suppress(OSError):
                self.connection.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")


class PatientWorker(ThreadWorker):
    """Waits for whole requests in its event loop, and bounds how long a client may take.

    The loop is run by one thread at a time, the leader, which also answers. The main thread looks
    on: it takes the lead from one that has been at the same request for some milliseconds, and the
    next thread goes on with the loop. What the loop works with, only the leader touches.

    A connection is idle, arriving, answered or closing. Idle ones are in `keepalived_conns`, as
    gunicorn has them. All are in the poller but those of threads that lost the lead.
    """

    ARRIVAL_SECONDS = 20.0
    # For a view: reading what was left outside, and sending the answer, count.
    ANSWER_SECONDS = 60.0
    CLOSING_SECONDS = 2.0
    # For a request that is on its way to a worker that is about to stop.
    STOPPING_SECONDS = 2.0
    # With one request the lead is kept for this long at least, and twice as long at most.
    LEAD_SECONDS = 0.005

    # gunicorn's, which its stubs don't know.
    _accepting: bool
    _cap_keepalive: Callable[[float], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # In the order of their deadlines, because each kind has one span of time.
        self.arriving: dict[TConn, Arrival] = {}
        self.closing: dict[TConn, float] = {}
        # Whole ones: those that wait for the leader, and with these all that threads work on.
        self.whole: deque[Arrival] = deque()
        self.answered: dict[TConn, Arrival] = {}
        # Held by the leader, and released for it when it is relieved.
        self.lead = Lock()
        # What the leader is at. Set to None by the leader or by who relieves it, whoever is first.
        self.turn: Arrival | None = None
        self.turn_lock = Lock()
        self.is_over = False
        self.main_sleeps = False
        # How many requests had been answered when the main thread last counted.
        self.nr_before = 0

    def run(self) -> None:
        """Start the threads and look on, in the main thread, until the worker is to stop."""
        queue: Any = self.method_queue
        self.poller.register(queue.fileno(), selectors.EVENT_READ, queue.run_callbacks)
        for _ in range(self.cfg.threads):
            self.tpool.submit(self._serve)
        try:
            while self.alive and self.is_parent_alive():
                self._look_on()
            self.alive = False
            now = time.monotonic()
            queue.defer(self._cap_keepalive, now + self.STOPPING_SECONDS)
            end = now + self.cfg.graceful_timeout
            # Until the leader has stopped to accept, there may be one more in a moment.
            while (self._accepting or self.nr_conns) and time.monotonic() < end:
                self._look_on()
        finally:
            self.is_over = True
            # The threads end: one that waits for events looks up, one that waits for a client.
            queue.defer(int)
            self._end_answers(due=math.inf)
            self.tpool.shutdown(wait=False)

    def _look_on(self) -> None:
        """For a second, relieve leaders that take long; sleep where nobody has called meanwhile."""
        self.notify()
        self._end_answers(due=time.monotonic())
        if self.alive and self.turn is None and self.nr == self.nr_before:
            self._sleep()
            return
        self.nr_before = self.nr
        for _ in range(int(1 / self.LEAD_SECONDS)):
            seen = self.turn
            time.sleep(self.LEAD_SECONDS)
            if seen is not None and self.turn is seen:
                self._relieve(seen)
            if not self.alive:
                return

    def _sleep(self) -> None:
        """Sleep for a second, or until a request or a signal comes."""
        self.main_sleeps = True
        # Looked at after that was said: whoever begins meanwhile wakes us.
        if self.turn is None:
            select.select([self.PIPE[0]], [], [], 1.0)
        self.main_sleeps = False
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)

    def _relieve(self, turn: Arrival) -> None:
        """Give the lead to the next thread, if the leader is still at this request."""
        with self.turn_lock:
            if self.turn is turn:
                try:
                    self.turn = None
                    self.poller.unregister(turn.connection.sock)
                finally:  # also where a signal ends the main thread here
                    self.lead.release()

    def _end_answers(self, due: float) -> None:
        """End those that are due by a moment; one that waits for a thread is due at no time."""
        for late in list(self.answered.values()):
            if late.deadline <= due:
                # Its thread wakes up, finds the connection closed and gives it back.
                with suppress(OSError):
                    late.connection.sock.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        """Lead, and wait to lead again; in each thread."""
        try:
            while not self.is_over:
                self.lead.acquire()
                self._lead()
        except BaseException:
            self.log.exception("The event loop failed; the worker stops.")
            self.alive = False
            self.lead.release()
            raise

    def _lead(self) -> None:
        """Run the event loop and answer, until another thread has the lead."""
        while not self.is_over:
            can_accept = self.alive and self.nr_conns < self.worker_connections
            self.set_accept_enabled(can_accept)
            self.wait_for_and_dispatch_events(0 if self.whole else 1 if self.alive else 0.1)
            self._end_late_clients()
            # Others may be here by then whose turn it is: not more than these.
            for _ in range(len(self.whole)):
                if self.is_over:
                    break
                if not self._answer(self.whole.popleft()):
                    return
        self.lead.release()

    def _answer(self, arrival: Arrival) -> bool:
        """Answer a request; return whether this thread still leads."""
        connection = arrival.connection
        arrival.deadline = time.monotonic() + self.ANSWER_SECONDS
        self.turn = arrival
        if self.main_sleeps:
            os.write(self.PIPE[1], b"\0")
        try:
            keepalive = self.handle(connection)
        except BaseException:  # gunicorn lets SystemExit through
            self.log.exception("A view broke off.")
            keepalive = False
        with self.turn_lock:
            leads = self.turn is arrival
            if leads:
                self.turn = None
        if leads:
            self._go_on(connection, keepalive)
        else:
            self.method_queue.defer(self._come_back, connection, keepalive)
        return leads

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
        if conn in self.answered:  # one that waits for its turn, and sends the next already
            return
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
            del self.arriving[conn]
            self._enqueue(arrival)
        elif arrival.is_too_long:
            self._refuse(conn, 431, "Request Header Fields Too Large")

    def _enqueue(self, arrival: Arrival) -> None:
        """Have the leader answer a request, after those that came before."""
        connection = arrival.connection
        connection.init()
        connection.data_ready = True
        _unreader(connection).unread(bytes(arrival.received))
        arrival.received.clear()
        arrival.deadline = math.inf
        self.answered[connection] = arrival
        self.whole.append(arrival)

    def handle_request(self, req: Any, conn: TConn) -> Any:
        """Run the view."""
        if self.answered[conn].leaves_body_outside:
            # It may stay unread, and then nobody could tell where the next request begins.
            req.force_close()
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: TConn, keepalive: bool) -> bool:
        """Whether another request may come; what a view left unread of a body is here already."""
        parser: Any = conn.parser
        return bool(keepalive and parser.finish_body())

    def _come_back(self, conn: TConn, keepalive: bool) -> None:
        """Take a connection back from a thread that lost the lead over it."""
        with suppress(ValueError):  # closed already, by gunicorn, because the answer broke off
            self._watch(conn)
        self._go_on(conn, keepalive)

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
            return
        arrival = Arrival(conn, time.monotonic() + self.ARRIVAL_SECONDS, piece)
        if arrival.is_whole:
            self._enqueue(arrival)
        else:
            self.arriving[conn] = arrival

    def _end_late_clients(self) -> None:
        """End what has lain idle, been arriving or been closing for too long."""
        self.murder_keepalived()
        now = time.monotonic()
        while self.arriving and (late := next(iter(self.arriving.values()))).deadline < now:
            self._refuse(late.connection, 408, "Request Timeout")
        while self.closing and next(iter(self.closing.values())) < now:
            self._forget(next(iter(self.closing)))

    def _watch(self, connection: TConn) -> None:
        readable = partial(self.on_client_socket_readable, connection)
        self.poller.register(connection.sock, selectors.EVENT_READ, readable)

    def _refuse(self, connection: TConn, status: int, reason: str) -> None:
        del self.arriving[connection]
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
            self._forget(connection)
            return
        self.closing[connection] = time.monotonic() + self.CLOSING_SECONDS
        on_rest = partial(self._on_rest, connection)
        self.poller.modify(connection.sock, selectors.EVENT_READ, on_rest)

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
        with suppress(KeyError, ValueError):  # it broke off in a thread that had lost the lead
            self.poller.unregister(connection.sock)
        self.arriving.pop(connection, None)
        self.closing.pop(connection, None)
        with suppress(ValueError):
            self.keepalived_conns.remove(connection)
        self.nr_conns -= 1
        connection.close()


def _unreader(connection: TConn) -> Unreader:
    assert isinstance(connection.parser, RequestParser)
    return connection.parser.unreader
