"""Live servers, each on a PostgreSQL of its own: as `make run` starts them, or deployed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.nginx import Deployed
from tests.helpers.processes import (
    MANAGE,
    ROOT,
    Run,
    children,
    copy_of,
    environment,
    living_in,
    query,
)

Start = Callable[..., Run]
Deploy = Callable[..., Deployed]
Report = Callable[[str], None]

# Attacks come from one address, and cheap hashes leave the processors to what is attacked.
UNTHROTTLED = {
    "REGISTER_THROTTLE": "",
    "PAIR_THROTTLE": "",
    "DEVICE_THROTTLE": "",
    "SEARCH_THROTTLE": "",
    "BCRYPT_ROUNDS": "4",
    "WEB_CONCURRENCY": "2",
    "LOG_LEVEL": "WARNING",
}


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


@contextmanager
def racing(start: Start, **settings: str) -> Iterator[Run]:
    """Start a server for races. Afterwards no rule is broken, and there was no deadlock."""
    # Faster, and these rows need not survive a power cut.
    server = start(THREADS="8", PGOPTIONS="-c synchronous_commit=off", **settings)
    yield server
    check_integrity(server)
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert query(server.data_dir, deadlocks) == [(0,)]


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


def memory_mb(server: Deployed) -> float:
    """Return the resident memory of gunicorn's processes and nginx's, at their largest, in MB."""
    total = 0.0
    for pid in children(server.process.pid) | children(server.nginx.process.pid):
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return total


def cpu_seconds(server: Run) -> float:
    """Return the CPU time that gunicorn's and PostgreSQL's processes have spent so far."""
    ticks = 0
    for pid in children(server.process.pid) | living_in(server.data_dir / "postgres").keys():
        # Fields 14 and 15 of proc(5): in user mode, and in the kernel.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
