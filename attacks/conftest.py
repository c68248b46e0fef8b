"""A live server to attack: gunicorn as it is deployed, on a PostgreSQL of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from attacks.client import Phone
from tests.processes import SERVE, Run, copy_of, first_start

Start = Callable[..., Run]

# Attacks come from one address, and cheap hashes leave the processors to what is attacked.
UNTHROTTLED = {
    "REGISTER_THROTTLE": "",
    "DEVICE_THROTTLE": "",
    "BCRYPT_ROUNDS": "4",
    "WEB_CONCURRENCY": "2",
    "LOG_LEVEL": "WARNING",
}


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that ran once, to be copied."""
    return first_start(tmp_path_factory)


@pytest.fixture(scope="module")
def start(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start servers, each on data of its own, with these settings; all are stopped."""
    with ExitStack() as ends:

        def start(**environment: str) -> Run:
            folder = tmp_path_factory.mktemp("attacked")
            data_dir = ends.enter_context(copy_of(first, folder))
            run = Run(data_dir, SERVE, **UNTHROTTLED | environment).wait_until_ready()
            ends.callback(run.kill)
            return run

        yield start


@pytest.fixture
def server(start: Start) -> Run:
    """A server without throttles."""
    return start()


@pytest.fixture
def phone(server: Run) -> Phone:
    """A registered phone at that server."""
    return Phone(server.port).register()
