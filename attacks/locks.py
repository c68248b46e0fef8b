"""Calls that wait for a lock which another session of the database holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from attacks.client import Answer, Phone
from tests.helpers.processes import Run, query, wait_until


def waiting_for_locks(server: Run) -> int:
    """Return how many sessions of the server's database wait for a lock."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return len(query(server.data_dir, waiting))


@contextmanager
def sent_in_turn(
    server: Run, session: psycopg.Connection[Any], device_id: str
) -> Iterator[Callable[..., list[Answer]]]:
    """Give a function that sends calls one after the other, each of which waits for the device.

    At the end of the block they go on, in the order in which they were sent.
    """
    session.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [device_id])
    threads: list[threading.Thread] = []

    def send(phone: Phone, method: str, path: str, body: Any = None) -> list[Answer]:
        answers: list[Answer] = []
        thread = threading.Thread(
            target=lambda: answers.append(phone.request(method, path, body)), daemon=True
        )
        threads.append(thread)
        thread.start()
        wait_until(lambda: waiting_for_locks(server) == len(threads) or answers, 5)
        return answers

    try:
        yield send
    finally:
        session.rollback()
        for thread in threads:
            thread.join(30)
