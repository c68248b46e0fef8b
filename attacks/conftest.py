"""Live servers to attack, each with its own PostgreSQL: from `make run`, or behind nginx."""

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
Report = Callable[[str], None]

# Without throttles, because attacks come from one address. Hashes are cheap, to save the CPU.
UNTHROTTLED = {
    "REGISTER_THROTTLE": "",
    "DEVICE_THROTTLE": "",
    "BCRYPT_ROUNDS": "4",
    "WEB_CONCURRENCY": "2",
    "LOG_LEVEL": "WARNING",
}


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a server that ran once. Others start with a copy of it."""
    return first_start(tmp_path_factory)


@contextmanager
def starting(
    first: Path, tmp_path_factory: pytest.TempPathFactory, kind: Callable[..., Run] = Run
) -> Iterator[Callable[..., Any]]:
    """Yield a function that starts servers, each on its own data. All are stopped at the end."""
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
def report(capfd: pytest.CaptureFixture[str]) -> Report:
    """A function that prints a line of figures, even if the test passes."""

    def report(line: str) -> None:
        with capfd.disabled():
            print(f"\n    {line}", end="", flush=True)

    return report


def check_integrity(server: Run) -> None:
    """Assert that `check_integrity` finds no broken rule in a server's data."""
    command = subprocess.run(
        [*MANAGE, "check_integrity"],
        cwd=ROOT,
        env=environment(server.data_dir),
        capture_output=True,
        text=True,
    )
    assert (command.stdout, command.returncode) == ("Every rule holds.\n", 0), command
