"""`manage.py check_backup`, with real dumps of a real server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from countonme.server import embedded
from tests.helpers.processes import MANAGE, ROOT, copy_of, environment, query

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def data_dir(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running database that has no device yet."""
    with (
        copy_of(first, tmp_path_factory.mktemp("backup")) as folder,
        embedded.running(folder),
    ):
        yield folder


@pytest.fixture
def dump(data_dir: Path, tmp_path: Path) -> Path:
    query(data_dir, "DELETE FROM maintenance_runs")
    file = tmp_path / "countonme.dump"
    write_dump(data_dir, file)
    return file


def query_alone(data_dir: Path, statement: str) -> None:
    """Run a statement that no transaction may have around it."""
    with psycopg.connect(embedded.database_url(data_dir), autocommit=True) as connection:
        connection.execute(statement.encode())


def write_dump(data_dir: Path, file: Path) -> None:
    pg_dump = embedded.programs() / "pg_dump"
    url = embedded.database_url(data_dir)
    subprocess.run([pg_dump, "--format=custom", f"--file={file}", url], check=True)


def check_backup(data_dir: Path, dump: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MANAGE, "check_backup", str(dump)],
        cwd=ROOT,
        env=environment(data_dir),
        capture_output=True,
        text=True,
    )


def databases(data_dir: Path) -> set[object]:
    return {name for (name,) in query(data_dir, "SELECT datname FROM pg_database")}


def noted(data_dir: Path) -> list[tuple[object, ...]]:
    return query(data_dir, "SELECT said FROM maintenance_runs WHERE command = 'check_backup'")


def test_what_is_no_backup_is_said_and_not_noted(data_dir: Path, dump: Path) -> None:
    before = databases(data_dir)
    missing = check_backup(data_dir, dump.with_name("other.dump"))
    assert (missing.returncode, "There is no file" in missing.stderr) == (1, True)
    whole = dump.read_bytes()
    dump.write_bytes(whole[: len(whole) // 2])
    cut_off = check_backup(data_dir, dump)
    assert cut_off.returncode == 1
    assert "Restoring failed" in cut_off.stderr
    assert "Traceback" not in cut_off.stderr
    assert databases(data_dir) == before
    assert noted(data_dir) == []


def test_what_a_killed_check_left_is_removed(data_dir: Path, dump: Path) -> None:
    before = databases(data_dir)
    query_alone(data_dir, "CREATE DATABASE countonme_backup_check")
    assert check_backup(data_dir, dump).returncode == 0
    assert databases(data_dir) == before


def test_one_runs_at_a_time(data_dir: Path, dump: Path) -> None:
    with psycopg.connect(embedded.database_url(data_dir)) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('check_backup'))")
        done = check_backup(data_dir, dump)
    assert (done.returncode, "Another check of a backup is running." in done.stderr) == (1, True)


def test_no_command_shows_the_password(data_dir: Path, dump: Path, tmp_path: Path) -> None:
    words = tmp_path / "words"
    program = tmp_path / "pg_restore"
    program.write_text(f'#!/bin/sh\necho "$@" "$PGPASSWORD" >{words}\nexit 1\n')
    program.chmod(0o755)
    url = embedded.database_url(data_dir).replace("postgres@", "postgres:s%40cret@")
    path = f"{tmp_path}:{os.environ['PATH']}"
    values = {"DATABASE_URL": url, "PATH": path, "SECRET_KEY": "only for tests, " * 4}
    done = subprocess.run(
        [*MANAGE, "check_backup", str(dump)],
        cwd=ROOT,
        env=environment(data_dir, **values),
        capture_output=True,
        text=True,
    )
    assert "Restoring failed" in done.stderr
    assert "cret" not in done.stdout + done.stderr
    *shown, password = words.read_text().split()
    assert (password, "cret" in " ".join(shown)) == ("s@cret", False)


def test_a_row_that_breaks_a_rule_is_named(data_dir: Path, dump: Path) -> None:
    # It has the day of a recovery key, and no key.
    query(
        data_dir,
        "INSERT INTO devices (id, revision, purged_revision, blocked_reason, created_at,"
        " recovery_key_created_at) VALUES (gen_random_uuid(), 1, 0, '', now(), now())",
    )
    write_dump(data_dir, dump)
    query(data_dir, "DELETE FROM devices")
    done = check_backup(data_dir, dump)
    assert done.returncode == 1
    assert "Checking failed" in done.stderr
    assert "not so: recovery_key_created_at is that of the present key" in done.stderr
    assert noted(data_dir) == []


def test_it_works(data_dir: Path, dump: Path) -> None:
    before = databases(data_dir)
    done = check_backup(data_dir, dump)
    assert done.returncode == 0, done.stderr
    said = "countonme.dump can be restored, and every rule holds in it."
    assert done.stdout.splitlines() == ["Restoring …", "Migrating …", "Checking …", said]
    assert databases(data_dir) == before
    assert noted(data_dir) == [(said,)]
