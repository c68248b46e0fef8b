"""Three PostgreSQLs that Patroni keeps as one: a primary, and two standbys of which one is in sync.

Patroni and etcd are Debian's. All listen on ports of 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.helpers.nginx import free_port
from tests.helpers.processes import alive, children, wait_until

PROGRAMS = {
    name: shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    for name in ("etcd", "patroni")
}
# The newest server of Debian's that is installed; Patroni 3.0 knows none after 15.
BINARIES = max(Path("/usr/lib/postgresql").glob("1[0-5]/bin"), default=None)
IS_INSTALLED = bool(all(PROGRAMS.values()) and BINARIES)
# How long a primary keeps its lease, and how often Patroni looks, in seconds.
TTL, LOOP = 20, 1


class Node:
    """One Patroni with its PostgreSQL."""

    def __init__(self, name: str, folder: Path, etcd: int, become: list[str]) -> None:
        self.name, self.folder, self.become = name, folder, become
        self.port, self.api = free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        connect = {"username": "postgres", "password": "only-for-tests"}
        config = {
            "scope": "countonme",
            "name": name,
            "restapi": {"listen": f"127.0.0.1:{self.api}"},
            # The driver of version 2: with that of version 3, Patroni 3.0 can lose writes.
            "etcd": {"host": f"127.0.0.1:{etcd}"},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL,
                    "loop_wait": LOOP,
                    "retry_timeout": 3,
                    # A primary that was killed is not waited for.
                    "primary_start_timeout": 0,
                    "master_start_timeout": 0,
                    "synchronous_mode": True,
                    "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 60}},
                },
                "initdb": [{"auth": "trust"}, {"encoding": "UTF8"}, "no-locale"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(folder / name),
                "bin_dir": str(BINARIES),
                "pgpass": str(folder / f"{name}.pgpass"),
                "authentication": {"superuser": connect, "replication": connect, "rewind": connect},
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "parameters": {"unix_socket_directories": str(folder), "shared_buffers": "32MB"},
            },
        }
        # JSON is YAML, too.
        (folder / f"{name}.yml").write_text(json.dumps(config))

    def start(self) -> None:
        """Run Patroni, or run it again after it was killed."""
        if self.process is not None:
            self.process.wait(10)
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.become, str(PROGRAMS["patroni"]), str(self.folder / f"{self.name}.yml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def state(self) -> dict[str, Any]:
        """Return what Patroni says about this node."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.api}/patroni", timeout=2
            ) as answer:  # it is http
                found: dict[str, Any] = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            found = json.loads(error.read())
        except OSError:
            found = {}
        return found

    @property
    def postmaster(self) -> int:
        pid = (self.folder / self.name / "postmaster.pid").read_text()
        return int(pid.split()[0])

    def all_processes(self) -> set[int]:
        """Return Patroni and all processes of its PostgreSQL, which has a session of its own."""
        assert self.process is not None
        found = children(self.process.pid)
        with suppress(FileNotFoundError, IndexError, ValueError):
            found |= children(self.postmaster)
        return found

    def signal(self, number: int, *, patroni: bool = True) -> None:
        """Send a signal to all processes of this node, or to those of PostgreSQL alone."""
        pids = self.all_processes() if patroni else children(self.postmaster)
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


class Cluster:
    """etcd and three nodes. Everything ends with `stop()`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="countonme-cluster-"))
        become = []
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            become = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}"]
            become.append("--clear-groups")
        client, peer = free_port(), free_port()
        with (self.folder / "etcd.log").open("wb") as log:
            self.etcd = subprocess.Popen(
                [
                    *(*become, str(PROGRAMS["etcd"]), "--enable-v2", "--unsafe-no-fsync"),
                    *("--data-dir", str(self.folder / "etcd")),
                    *("--listen-client-urls", f"http://127.0.0.1:{client}"),
                    *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
                    *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
                    *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
                    *("--initial-cluster", f"default=http://127.0.0.1:{peer}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.nodes = [Node(f"node{n}", self.folder, client, become) for n in (1, 2, 3)]

    def start(self) -> Cluster:
        """Start the first node, then the standbys, and wait until one of these is in sync."""
        first, *others = self.nodes
        first.start()
        self.wait(lambda: self.primary() is first)
        for node in others:
            node.start()
        return self.wait_until_whole()

    def primary(self) -> Node | None:
        for node in self.nodes:
            found = node.state()
            if found.get("role") in ("master", "primary") and found.get("state") == "running":
                return node
        return None

    def wait_until_whole(self) -> Cluster:
        """Wait until there is a primary, and two standbys that follow it, one of them in sync."""

        def is_whole() -> bool:
            primary = self.primary()
            following = primary.state().get("replication", []) if primary else []
            in_sync = [row for row in following if row.get("sync_state") == "sync"]
            return len(following) == 2 and len(in_sync) == 1

        self.wait(is_whole)
        return self

    def wait(self, condition: Callable[[], object], seconds: float = 60) -> None:
        try:
            wait_until(condition, seconds)
        except AssertionError:
            logs = [path.read_text()[:2500] for path in sorted(self.folder.glob("*.log"))]
            raise AssertionError("\n\n".join(logs)) from None

    @property
    def hosts(self) -> str:
        """The hosts as they stand in DATABASE_URL."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{self.hosts}/{database}?target_session_attrs=read-write"

    def stop(self) -> None:
        pids = children(self.etcd.pid)
        for node in self.nodes:
            if node.process is not None:
                pids |= node.all_processes()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in [self.etcd, *(node.process for node in self.nodes)]:
            if process is not None:
                process.wait(10)
        wait_until(lambda: not any(map(alive, pids)))
        shutil.rmtree(self.folder, ignore_errors=True)
