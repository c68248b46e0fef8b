"""The private PostgreSQL: who starts it, who stops it, and what a kill leaves behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environ
import pytest
from psycopg.conninfo import conninfo_to_dict

from countonme.server import embedded
from tests.helpers.processes import ROOT, copy_of, living_in, postmaster, query, wait_until

OWNER = """
import sys
from pathlib import Path
from countonme.server import embedded

with embedded.running(Path(sys.argv[1])):
    print("up", flush=True)
    sys.stdin.read()
"""

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc"),
    pytest.mark.long,
]


@contextmanager
def owner(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that uses the database until its stdin is closed."""
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        try:
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where nothing is yet; a shell would read the path otherwise."""
    return tmp_path / "a $HOME 'b"


@pytest.fixture
def own(first: Path, tmp_path: Path) -> Iterator[Path]:
    """Such a folder to be spoilt."""
    with copy_of(first, tmp_path) as data_dir:
        yield data_dir


def test_it_works(data_dir: Path) -> None:
    with embedded.running(data_dir):
        assert query(data_dir, "SELECT current_database()::text") == [("countonme",)]
        assert query(data_dir, "SHOW server_encoding") == [("UTF8",)]
        assert query(data_dir, "SHOW listen_addresses") == [("",)]
    assert living_in(data_dir / "postgres") == {}


def test_the_last_user_stops_it(prepared: Path) -> None:
    with embedded.running(prepared):
        with owner(prepared) as other:
            first = postmaster(prepared)
            other.communicate()
            assert other.returncode == 0
        assert query(prepared, "SELECT 1") == [(1,)]
        assert postmaster(prepared) == first
    assert living_in(prepared / "postgres") == {}


def test_users_that_come_and_go_at_once_share_one_server(data_dir: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    users = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL) for _ in range(4)]
    assert [user.wait() for user in users] == [0, 0, 0, 0]
    assert living_in(data_dir / "postgres") == {}


def test_a_killed_user_leaves_it_to_the_next(prepared: Path) -> None:
    with owner(prepared) as killed:
        killed.kill()
        killed.wait()
    left = postmaster(prepared)
    assert left in living_in(prepared / "postgres")
    with embedded.running(prepared):
        assert postmaster(prepared) == left
    assert living_in(prepared / "postgres") == {}


def test_it_starts_after_its_postmaster_was_killed(prepared: Path) -> None:
    with embedded.running(prepared):
        query(prepared, "CREATE TABLE recovered AS SELECT 1 AS n")
        os.kill(postmaster(prepared), signal.SIGKILL)
        with embedded.running(prepared):
            assert query(prepared, "SELECT n FROM recovered") == [(1,)]
    assert living_in(prepared / "postgres") == {}


def test_a_pid_file_that_names_another_process_is_stale(prepared: Path) -> None:
    with embedded.running(prepared):
        pid_file = (prepared / "postgres" / "postmaster.pid").read_text()
    stale = pid_file.replace(pid_file.split()[0], str(os.getpid()), 1)
    (prepared / "postgres" / "postmaster.pid").write_text(stale)
    (prepared / "postgres" / ".s.PGSQL.5432.lock").write_text(stale)
    with embedded.running(prepared):
        assert query(prepared, "SELECT 1") == [(1,)]


def test_an_unfinished_cluster_is_created_again(data_dir: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        wait_until(lambda: list(data_dir.glob("postgres.new-*/base")))
        process.kill()
    assert not (data_dir / "postgres").exists()
    with embedded.running(data_dir):
        assert query(data_dir, "SELECT 1") == [(1,)]


def test_a_user_told_to_end_while_it_starts_leaves_nothing(data_dir: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: list(data_dir.glob("postgres.new-*/base")))
        process.send_signal(signal.SIGINT)
    for folder in data_dir.glob("postgres*/"):
        wait_until(lambda folder=folder: living_in(folder) == {})  # type: ignore[misc]


@pytest.mark.parametrize("name", ["long" * 30, 'a,"b', "a $HOME 'b"])
def test_any_path_will_do(prepared: Path, name: str) -> None:
    data_dir = prepared.rename(prepared.with_name(name))
    try:
        with embedded.running(data_dir):
            assert query(data_dir, "SELECT 1") == [(1,)]
        sockets = Path(str(conninfo_to_dict(embedded.database_url(data_dir))["host"]))
        assert sockets == data_dir / "postgres" or not sockets.exists()
    finally:
        data_dir.rename(prepared)


def test_a_folder_that_is_gone_needs_no_stopping(own: Path) -> None:
    with embedded.running(own):
        server = postmaster(own)
        os.kill(server, signal.SIGQUIT)
        wait_until(lambda: living_in(own / "postgres") == {})
        shutil.rmtree(own)
    assert not own.exists()


def test_its_address_is_the_same_for_django_and_libpq(data_dir: Path) -> None:
    url = embedded.database_url(data_dir / "a b%")
    django = environ.Env.db_url_config(url)
    libpq = conninfo_to_dict(url)
    assert django["OPTIONS"]["host"] == libpq["host"]
    assert (django["USER"], django["NAME"]) == (libpq["user"], libpq["dbname"])
    assert str(django["PORT"]) == libpq["port"]


def test_a_missing_wheel_is_one_sentence(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(embedded.EmbeddedError, match=r"^Set DATABASE_URL, or install .*\.$"):
        embedded.join(data_dir)


def test_a_server_that_does_not_start_names_its_log(own: Path) -> None:
    with embedded.running(own):
        pass
    (own / "postgres" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(embedded.EmbeddedError, match=r"^PostgreSQL did not start; see .*\.log\.$"):
        embedded.join(own)
    assert living_in(own / "postgres") == {}


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(embedded.EmbeddedError, match=r"^The database can't live in .*\.$"):
        embedded.join(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no setpriv")
def test_root_without_setpriv_is_one_sentence(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(embedded.EmbeddedError, match=r"^PostgreSQL refuses to run as root.*\.$"):
        embedded.join(data_dir)
