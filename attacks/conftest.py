"""A live server to attack, on a PostgreSQL of its own: as `make run` starts it, or deployed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from attacks.client import Phone
from tests.nginx import NGINX, Deployed
from tests.processes import MANAGE, ROOT, Run, copy_of, environment, first_start

Start = Callable[..., Run]
Deploy = Callable[..., Deployed]
Tell = Callable[[str], None]

# Attacks come from one address, and cheap hashes leave the processors to what is attacked.
UNTHROTTLED = {
    "REGISTER_THROTTLE": "",
    "PAIR_THROTTLE": "",
    "DEVICE_THROTTLE": "",
    "BCRYPT_ROUNDS": "4",
    "WEB_CONCURRENCY": "2",
    "LOG_LEVEL": "WARNING",
}


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that ran once, to be copied."""
    return first_start(tmp_path_factory)


@contextmanager
def starting(
    first: Path, tmp_path_factory: pytest.TempPathFactory, kind: Callable[..., Run] = Run
) -> Iterator[Callable[..., Any]]:
    """Start servers, each on data of its own, with these settings; all are stopped."""
    with ExitStack() as ends:

        def start(**settings: Any) -> Run:
            folder = tmp_path_factory.mktemp("attacked")
            data_dir = ends.enter_context(copy_of(first, folder))
            run = kind(data_dir, **UNTHROTTLED | settings)
            ends.callback(run.kill)
            return run.wait_until_ready()

        yield start


@pytest.fixture(scope="module")
def start(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start servers for the tests of a file."""
    with starting(first, tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="module")
def deploy(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    """Start servers behind nginx for the tests of a file."""
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
def tell(capfd: pytest.CaptureFixture[str]) -> Tell:
    """Print a line of figures, also where tests pass."""

    def tell(line: str) -> None:
        with capfd.disabled():
            print(f"\n    {line}", end="", flush=True)

    return tell


def check_integrity(server: Run) -> None:
    """Every rule that the code promises holds in a server's data."""
    command = subprocess.run(
        [*MANAGE, "check_integrity"],
        cwd=ROOT,
        env=environment(server.data_dir),
        capture_output=True,
        text=True,
    )
    assert (command.stdout, command.returncode) == ("Every rule holds.\n", 0), command
