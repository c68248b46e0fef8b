"""The primary is killed while phones write: nothing that was acknowledged is lost.

`make attack ARGS="-k failover"` kills it once; with `--long` three times.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from attacks.client import Phone
from attacks.cluster import IS_INSTALLED, Cluster, Node
from attacks.servers import UNTHROTTLED, Report
from tests.helpers.nginx import free_port
from tests.helpers.processes import MANAGE, ROOT, Run, environment, wait_until

WRITERS = 4
# So many writes are acknowledged before each failure.
BEFORE = 300
# Within how many seconds after a failure writes work again: a lease of 20, and what follows it.
WITHIN = 60

pytestmark = pytest.mark.skipif(not IS_INSTALLED, reason="Patroni, etcd or Debian's PostgreSQL")


class Direct(Run):
    """gunicorn as it is, on a port."""

    def __init__(self, data_dir: Path, url: str) -> None:
        self.own_port = free_port()
        super().__init__(
            data_dir,
            [
                sys.executable,
                "-m",
                "gunicorn",
                "--bind",
                f"127.0.0.1:{self.port}",
                "countonme.wsgi",
            ],
            **UNTHROTTLED,
            DATABASE_URL=url,
            SECRET_KEY="only for tests, " * 4,
            HTTPS="false",
        )

    @property
    def port(self) -> int:
        return self.own_port


class Writer(threading.Thread):
    """A phone that logs one entry after the other, each again until it is acknowledged."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.phone = Phone(port, timeout=60).register()
        self.acknowledged: list[tuple[float, str]] = []
        self.is_ending = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.is_ending.is_set():
            number += 1
            day = date(2025, 1, 1) + timedelta(number // 400)
            key = str(uuid.uuid4())
            entry = {"id": key, "name": "Soup", "kcal": 250, "date": str(day), "meal_type": "lunch"}
            while self.phone.post("/v1/food-entries", entry).status not in (200, 201):
                if self.is_ending.wait(0.05):
                    return
            self.acknowledged.append((time.monotonic(), key))


class Load:
    """Writers, and what they saw."""

    def __init__(self, port: int) -> None:
        self.writers = [Writer(port) for _ in range(WRITERS)]
        for writer in self.writers:
            writer.start()

    def acknowledged(self) -> list[tuple[float, str]]:
        return sorted(pair for writer in self.writers for pair in list(writer.acknowledged))

    def wait_for_writes(self, after: float, seconds: float) -> float:
        """Wait until each writer wrote after a moment; return how long it took."""

        def all_have() -> bool:
            last = [writer.acknowledged[-1:] for writer in self.writers]
            return all(pair and pair[0][0] > after for pair in last)

        wait_until(all_have, seconds)
        return time.monotonic() - after

    def end(self) -> set[str]:
        for writer in self.writers:
            writer.is_ending.set()
        for writer in self.writers:
            writer.join(90)
        return {key for _, key in self.acknowledged()}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def server(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE countonme")
    folder = tmp_path_factory.mktemp("failover")
    url = cluster.url("countonme")
    settings = environment(folder / "data", DATABASE_URL=url, SECRET_KEY="only for tests, " * 4)
    migrate = [*MANAGE, "migrate", "--no-input", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=settings, check=True)
    run = Direct(folder / "data", url)
    try:
        wait_until(lambda: Phone(run.port).get("/health/ready").status == 200, 60)
        yield run
    finally:
        run.kill()


@pytest.fixture
def load(server: Direct) -> Iterator[Load]:
    load = Load(server.port)
    load.wait_for_writes(time.monotonic(), 30)
    yield load
    load.end()


def stored(cluster: Cluster) -> set[str]:
    with psycopg.connect(cluster.url("countonme")) as connection:
        return {str(key) for (key,) in connection.execute("SELECT id FROM food_entries")}


def writable_port(cluster: Cluster) -> int:
    """Return the port of the server that takes writes; Patroni's own word may be a second old."""
    with psycopg.connect(cluster.url()) as connection:
        return int(connection.info.port)


def fail(cluster: Cluster, load: Load) -> tuple[Node, float]:
    primary = cluster.wait_until_whole().primary()
    assert primary is not None
    enough = len(load.acknowledged()) + BEFORE
    wait_until(lambda: len(load.acknowledged()) >= enough, 30)
    return primary, time.monotonic()


def test_failover_after_a_kill(
    cluster: Cluster, load: Load, report: Report, request: pytest.FixtureRequest
) -> None:
    gaps = []
    for _ in range(3 if request.config.getoption("long") else 1):
        primary, begun = fail(cluster, load)
        # With its Patroni, which would only start it again: the lease has to end.
        primary.signal(signal.SIGKILL)
        gaps.append(load.wait_for_writes(begun + 0.5, WITHIN) + 0.5)
        assert writable_port(cluster) != primary.port
        primary.start()
    acknowledged = load.end()
    lost = acknowledged - stored(cluster)
    seen = ", ".join(f"{gap:.1f}" for gap in gaps)
    report(f"killed: writes again after {seen} s; {len(lost)} of {len(acknowledged)} lost")
    assert lost == set()
