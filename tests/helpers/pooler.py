"""PgBouncer with `deploy/pgbouncer.ini`, before the PostgreSQL of the tests."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection

from countonme.server.embedded import _Server
from tests.helpers.nginx import free_port
from tests.helpers.processes import ROOT, wait_until
from tests.plugin import DATA_DIR

PGBOUNCER = shutil.which("pgbouncer", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
CONFIG = ROOT / "deploy" / "pgbouncer.ini"
SERVERS = 3


def keeps_prepared_statements() -> bool:
    """Return whether this PgBouncer can: 1.21 and later do."""
    said = subprocess.run([str(PGBOUNCER), "--version"], capture_output=True, text=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    assert found, said
    return (int(found[1]), int(found[2])) >= (1, 21)


@contextmanager
def pooler(folder: Path) -> Iterator[dict[str, Any]]:
    """Run PgBouncer on a port of 127.0.0.1; yield its address for `connected()`.

    Each transaction gets another connection to PostgreSQL than the one before.
    """
    port, behind = free_port(), connection.get_connection_params()
    server = {name: behind.get(name) for name in ("host", "port", "user", "password")}
    text = " ".join(f"{name}='{value}'" for name, value in server.items() if value)
    users = folder / "userlist.txt"
    users.write_text(f'"{behind["user"]}" ""\n')
    config = CONFIG.read_text()
    for old, new in {
        "* = host=127.0.0.1 port=5432": f"* = {text}",
        "listen_port = 6432": f"listen_port = {port}",
        "auth_type = scram-sha-256": "auth_type = trust",
        "/etc/pgbouncer/userlist.txt": str(users),
        "default_pool_size = 20": f"default_pool_size = {SERVERS}\nserver_round_robin = 1",
    }.items():
        assert old in config, f"{CONFIG} has no {old}"
        config = config.replace(old, new)
    if keeps_prepared_statements():
        config = config.replace(";max_prepared", "max_prepared")
    (folder / "pgbouncer.ini").write_text(config)
    # PgBouncer refuses to run as root, too, and has to reach the same socket as PostgreSQL.
    command = [*_Server(DATA_DIR)._become, str(PGBOUNCER), str(folder / "pgbouncer.ini")]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def serves() -> bool:
        assert process.poll() is None, (folder / "output").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    address = {"HOST": "127.0.0.1", "PORT": str(port)}
    try:
        wait_until(serves)
        open_servers(behind | {"host": "127.0.0.1", "port": port, "password": None})
        yield address
    finally:
        process.terminate()
        process.wait(10)


def open_servers(address: dict[str, Any]) -> None:
    """Have PgBouncer open all connections to PostgreSQL that it may, by as many transactions."""
    with ExitStack() as ends:
        pids = set()
        for _ in range(SERVERS):
            client = ends.enter_context(psycopg.connect(**address))
            pids.add(client.execute("SELECT pg_backend_pid()").fetchone())
        assert len(pids) == SERVERS
