"""The contestants as processes, and the databases that they serve from."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from bench.load import BenchError
from bench.world import Call
from countonme.server import embedded
from tests.helpers.nginx import Nginx, free_port

ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = ROOT / ".data" / "bench"
PEER_PYTHON = DATA_DIR / "venv" / "bin" / "python"
WORKERS = 2
START_SECONDS = 60
UNLOGGED = {"access_log /var/log/nginx/access.log countonme;": "access_log off;"}

GUNICORN = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "--bind"]
UVICORN = [str(PEER_PYTHON), "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools"]
COMMANDS = {
    "ours": [*GUNICORN, "{address}", "countonme.wsgi"],
    "fastapi": [
        *(*UVICORN, "--workers", str(WORKERS), "{uvicorns}"),
        "bench.contestants.fastapi_peer:app",
    ],
    "limit": [*GUNICORN, "{address}", "bench.contestants.limit"],
}


@dataclass(frozen=True)
class Server:
    """A running contestant. The port is that of nginx if nginx is in front of it."""

    name: str
    port: int
    pid: int

    def send(self, call: Call) -> tuple[int, dict[str, str], Any]:
        """Send one call; return status, headers and JSON of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(call.method, call.path, call.content or None, call.headers)
            response = connection.getresponse()
            body = response.read()
            is_json = response.headers.get_content_type() == "application/json" and body
            return response.status, dict(response.headers), json.loads(body) if is_json else None
        finally:
            connection.close()

    def workers(self) -> list[int]:
        """The processes that answer: the children of gunicorn's master."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in children.split()]


@contextmanager
def serving(name: str, url: str, *, behind_nginx: bool = True) -> Iterator[Server]:
    """Start a contestant on a database, and stop it at the end of the block.

    With nginx it listens on a Unix socket, as deployed; without, on a port.

    Raises:
        BenchError: it does not answer.
    """
    port = free_port()
    with TemporaryDirectory() as folder, ExitStack() as ends:
        socket = f"{folder}/socket"
        if behind_nginx:
            # None of the three contestants writes an access log.
            nginx = Nginx(Path(folder), f"unix:{socket}", changes=UNLOGGED)
            ends.callback(nginx.stop)
            words = {"address": f"unix:{socket}", "uvicorns": f"--uds={socket}"}
            port = nginx.port
        else:
            words = {"address": f"127.0.0.1:{port}", "uvicorns": f"--port={port}"}
        log = DATA_DIR / f"{name}.log"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [word.format(**words) for word in COMMANDS[name]],
                cwd=ROOT,
                env=environment(url),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        ends.callback(stop, process)
        server = Server(name, port, process.pid)
        wait_until_ready(server, process, log)
        yield server


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_ready(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            # Until the contestant listens, nginx answers 503.
            if server.send(Call(0, "GET", "/v1/products"))[0] != 503:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise BenchError(f"{server.name} does not serve; see {log}.")


def environment(url: str) -> dict[str, str]:
    """Return the environment of a contestant's process."""
    shell = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR")
    return {name: os.environ[name] for name in shell if name in os.environ} | {
        "DATABASE_URL": url,
        "DATA_DIR": str(DATA_DIR),
        "SECRET_KEY": os.environ["SECRET_KEY"],
        "SECRET_KEY_FALLBACKS": "",
        "DEBUG": "false",
        "HTTPS": "false",
        "ALLOWED_HOSTS": "127.0.0.1",
        "CACHE_URL": "",
        "DEVICE_THROTTLE": "",
        "SEARCH_THROTTLE": "",
        "LOG_LEVEL": "INFO",
        "WEB_CONCURRENCY": str(WORKERS),
    }


def connect(url: str) -> psycopg.Connection[Any]:
    """Connect in autocommit mode, without a timeout of statements."""
    return psycopg.connect(url, autocommit=True, options="-c statement_timeout=0")


@contextmanager
def database(name: str) -> Iterator[str]:
    """Create a migrated, empty database for the bench; yield its URL, and drop it at the end."""
    cluster = embedded.database_url(DATA_DIR)
    name = f"bench_{name}"
    with connect(cluster) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = cluster.replace(f"/{embedded.DATABASE}?", f"/{name}?")
    try:
        migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
        if subprocess.run(migrate, cwd=ROOT, env=environment(url)).returncode:
            raise BenchError("The database can't be migrated.")
        yield url
    finally:
        with connect(cluster) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
