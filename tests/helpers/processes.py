"""Real processes for tests: what `make run` starts, and the PostgreSQL under it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from countonme.server import embedded

ROOT = Path(__file__).resolve().parents[2]
SERVE = [sys.executable, "-m", "countonme.server.serve"]
MANAGE = [sys.executable, "manage.py"]


def living_in(folder: Path) -> dict[int, str]:
    """Return the processes whose working directory is a folder, as PostgreSQL's is its cluster."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found[int(process.name)] = (process / "cmdline").read_text()
        except OSError:  # it is gone, or a zombie
            continue
    return found


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.02)


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def query(data_dir: Path, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(embedded.database_url(data_dir)) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def environment(data_dir: Path, **values: str) -> dict[str, str]:
    """Return the environment of a clean shell with only these settings of the project."""
    shell = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START", "HOME", "PATH", "TMPDIR")
    return {name: os.environ[name] for name in shell if name in os.environ} | {
        "DATA_DIR": str(data_dir),
        "STATIC_ROOT": str(data_dir.parent / "static"),
        "PORT": "0",
        "WEB_CONCURRENCY": "1",
        **values,
    }


def children(pid: int) -> set[int]:
    """Return the ids of a process and its descendants."""
    found = {pid}
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            stat = (process / "stat").read_text()
            parents[int(process.name)] = int(stat.rpartition(")")[2].split()[1])
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Run:
    """One run of `make run`, or of another command that serves."""

    def __init__(self, data_dir: Path, command: list[str] = SERVE, **values: str) -> None:
        self.data_dir = data_dir
        self.command = command
        self.values = values
        self.start()

    def start(self, **values: str) -> None:
        """Run the command, or run it again after it has ended."""
        self.log = self.data_dir.with_name(f"{self.data_dir.name}.{os.urandom(4).hex()}.log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=environment(self.data_dir, **self.values | values),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def port(self) -> int:
        found = re.search(r"serves on http://127\.0\.0\.1:(\d+)", self.output)
        assert found, self.output
        return int(found[1])

    def get(self, path: str, **headers: str) -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - it is http
            answer: bytes = response.read()
        return answer

    def wait_until_ready(self) -> Run:
        """Wait until the server has printed its address and answers there."""
        wait_until(lambda: "serves on" in self.output or self.process.poll() is not None, 60)
        self.get("/health/ready")
        return self

    def stop(self, send: Callable[[], object]) -> None:
        """Send a signal, wait for the end, and check that no process is left."""
        started = children(self.process.pid)
        send()
        self.process.wait(40)
        assert living_in(self.data_dir / "postgres") == {}
        assert children(self.process.pid) == {self.process.pid}
        wait_until(lambda: not any(map(alive, started)), 1)

    def terminate(self) -> None:
        self.stop(self.process.terminate)

    def kill(self) -> None:
        """Kill the process and its descendants, but not PostgreSQL."""
        for pid in children(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def first_start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start and stop a server, once for all test workers since it is slow; return its folder."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "first"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "output").exists():
            run = Run(folder / "data").wait_until_ready()
            run.terminate()
            (folder / "output").write_text(run.output)
    return folder


@contextmanager
def copy_of(first: Path, folder: Path) -> Iterator[Path]:
    """Copy the data folder of a first start; afterwards kill what still runs there."""
    # cp keeps the owner: if root runs this, the cluster belongs to the user nobody.
    subprocess.run(["cp", "-a", first / "data", folder / "data"], check=True)
    (folder / "static").symlink_to(first / "static")
    yield folder / "data"
    kill_all_in(folder / "data")
    # pytest would do it in the end, when one process is left to do it: these are many files.
    shutil.rmtree(folder / "data", ignore_errors=True)


def kill_all_in(data_dir: Path) -> None:
    for pid in living_in(data_dir / "postgres"):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
