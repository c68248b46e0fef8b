from __future__ import annotations

import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from psycopg import sql

from countonme.server import embedded
from devices.models import MaintenanceRun


class Command(BaseCommand):
    help = (
        "Restore a dump of pg_dump into a database of its own beside the running one, migrate it, "
        "check there that every rule holds, and remove it again. The day is noted for the "
        "operators' dashboard. The role needs CREATEDB, and the disk room for a second database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dump", type=Path, help="a file of pg_dump --format=custom")

    def handle(self, *args: Any, **options: Any) -> None:
        dump: Path = options["dump"]
        if not dump.is_file():
            raise CommandError(f"There is no file {dump}.")
        own = os.environ.get("DATABASE_URL") or embedded.database_url(settings.DATA_DIR)
        pg_restore = program()
        self.lock()
        name = f"{connection.settings_dict['NAME'][:40]}_backup_check"
        scheme, place, _, query, _ = urlsplit(own)
        url = urlsplit(urlunsplit((scheme, place, f"/{name}", query, "")))
        manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
        # Everybody on the machine sees the words of a command: the password goes another way.
        shown = url.geturl().replace(f":{url.password}@", "@", 1)
        environment = {"DATABASE_URL": url.geturl()}
        if url.password:
            environment["PGPASSWORD"] = unquote(url.password)
        # A check that was killed left it.
        self.execute_sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self.execute_sql("CREATE DATABASE {} TEMPLATE template0", name)
        try:
            restore = [pg_restore, "--exit-on-error", "--no-owner", f"--dbname={shown}", str(dump)]
            self.run("Restoring", restore, environment)
            migrate = ["migrate", "--no-input", "--verbosity", "0"]
            self.run("Migrating", [*manage, *migrate], environment)
            self.run("Checking", [*manage, "check_integrity"], environment)
        finally:
            self.execute_sql("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        said = f"{dump.name} can be restored, and every rule holds in it."
        MaintenanceRun.note("check_backup", said)
        self.stdout.write(said)

    def lock(self) -> None:
        """Have no other check run beside this one; it ends with the connection.

        Raises:
            CommandError: another one runs.
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtext('check_backup'))")
            if cursor.fetchone() != (True,):
                raise CommandError("Another check of a backup is running.")

    def execute_sql(self, statement: str, name: str) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(sql.Identifier(name)))
        except DatabaseError as error:
            raise CommandError(f"PostgreSQL says: {error}") from error

    def run(self, doing: str, command: list[str], environment: dict[str, str]) -> None:
        """Run a step with the restored database.

        Raises:
            CommandError: it failed; with what it said.
        """
        self.stdout.write(f"{doing} …")
        self.stdout.flush()
        step = subprocess.run(  # noqa: S603  # our own commands
            command, env=os.environ | environment, capture_output=True, text=True
        )
        if step.returncode:
            raise CommandError(f"{doing} failed:\n{(step.stdout + step.stderr).strip()}")


def program() -> str:
    """Return pg_restore: this machine's, or the embedded PostgreSQL's for its own dumps.

    Raises:
        CommandError: there is none.
    """
    if not os.environ.get("DATABASE_URL"):
        return str(embedded.programs() / "pg_restore")
    found = shutil.which("pg_restore")
    if found is None:
        raise CommandError("pg_restore is missing: install PostgreSQL's client programs.")
    return found
