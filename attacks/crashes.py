"""Ways to break a live server."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import psycopg

from countonme.server import embedded
from tests.helpers.processes import Run, children, living_in, postmaster, query, wait_until


def answers(data_dir: Path) -> bool:
    with suppress(psycopg.OperationalError):
        return bool(query(data_dir, "SELECT 1"))
    return False


def kill(pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_frozen(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)


def workers(server: Run) -> set[int]:
    return children(server.process.pid) - {server.process.pid}


def start_database(server: Run) -> None:
    # Joining starts it, and the server's own share keeps it running.
    os.close(embedded.join(server.data_dir))


def kill_a_worker(server: Run) -> None:
    kill({min(workers(server))})


def kill_gunicorn(server: Run) -> None:
    port = server.port
    server.kill()
    server.start(PORT=str(port))
    wait_until(lambda: "serves on" in server.output, 60)


def kill_postgresql(server: Run) -> None:
    cluster = server.data_dir / "postgres"
    kill({postmaster(server.data_dir)})
    kill(set(living_in(cluster)))
    start_database(server)


def kill_a_backend(server: Run) -> None:
    """Kill one backend. PostgreSQL ends all the others too, and recovers by itself."""
    clients = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
    [(pid,)] = query(
        server.data_dir, f"SELECT pid FROM pg_stat_activity WHERE {clients} ORDER BY pid LIMIT 1"
    )
    assert isinstance(pid, int)
    kill({pid})
    wait_until(lambda: pid not in living_in(server.data_dir / "postgres"))


CRASHES = [
    kill_a_worker,
    kill_postgresql,
    kill_a_backend,
    kill_gunicorn,
    kill_postgresql,
    kill_a_worker,
    kill_a_backend,
    kill_postgresql,
    kill_gunicorn,
    kill_a_worker,
]
