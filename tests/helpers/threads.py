"""Calls that arrive at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connections

from tests.helpers.api import Api


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls in threads that start together; return what they gave, in the calls' order."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def as_thread(phone: Api) -> Api:
    """Return the same phone with a connection of its own."""
    return Api(phone.device, phone.token)
