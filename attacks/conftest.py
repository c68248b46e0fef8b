"""Fixtures: a live server to attack, and a phone at it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from attacks.client import Phone
from attacks.crowd import Crowd
from attacks.servers import Deploy, Report, Start, starting
from countonme.server import embedded
from tests.helpers.nginx import NGINX, Deployed
from tests.helpers.processes import Run, first_start


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="fail over three times, not once")


@pytest.fixture(scope="session", autouse=True)
def _heed_ctrl_c() -> None:
    """Heed Ctrl-C, also in the background, where a shell has it ignored by all that is started."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server that ran once. Others start with a copy of it."""
    return first_start(tmp_path_factory)


@pytest.fixture(scope="module")
def start(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """A function that starts servers; they run until the tests of the file end."""
    with starting(first, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def deploy(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """A function that starts servers behind nginx, until the tests of the file end."""
    if not NGINX:
        pytest.skip("nginx is not installed")
    with starting(first, tmp_path_factory, Deployed) as deploy:
        yield deploy


@pytest.fixture
def server(start: Start) -> Run:
    """A server without throttles."""
    return start()


@pytest.fixture
def phone(server: Run) -> Phone:
    """A registered phone at that server."""
    return Phone(server.port).register()


@pytest.fixture
def crowd(server: Run) -> Iterator[Crowd]:
    """Threads that call that server at the same moment."""
    crowd = Crowd(server.port)
    yield crowd
    crowd.leave()


@pytest.fixture
def session(server: Run) -> Iterator[psycopg.Connection[Any]]:
    """Another session in that server's database, without timeouts."""
    address = embedded.database_url(server.data_dir)
    with psycopg.connect(address, options="-c lock_timeout=0 -c statement_timeout=0") as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def report(capfd: pytest.CaptureFixture[str]) -> Report:
    """A function that prints a line of figures, even if the test passes."""

    def report(line: str) -> None:
        with capfd.disabled():
            print(f"\n    {line}", end="", flush=True)

    return report
