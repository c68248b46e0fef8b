#!/usr/bin/env python
"""Django's commands. Without DATABASE_URL, the embedded PostgreSQL runs as long as the command."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError, ProgrammingError
from psycopg.errors import UndefinedColumn, UndefinedTable

from countonme.server import embedded, serve, timeouts

NO_DATABASE = {"check", "collectstatic", "diffsettings", "findstatic", "help", "spectacular"}


def main() -> None:
    """Run the command. If something is missing, print one sentence to stderr and exit with 1."""
    serve.exit_on_signals()
    data_dir = serve.read_environment()
    try:
        with timeouts.lifted(locks="migrate" not in sys.argv):
            if os.environ.get("DATABASE_URL"):
                execute_from_command_line(sys.argv)
                return
            serve.ensure_secret_key(data_dir)
            if needs_database(sys.argv[1:]):
                with embedded.running(data_dir):
                    execute_from_command_line(sys.argv)
            else:
                execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, embedded.EmbeddedError, serve.ServeError) as error:
        sys.exit(str(error))
    except OperationalError as error:
        if not timeouts.is_refused(error):
            raise
        sys.exit(timeouts.THROUGH_A_POOLER)
    except ProgrammingError as error:
        if not isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
            raise
        sys.exit("The database lacks tables of this version: run migrate first, or `make run`.")


def needs_database(arguments: list[str]) -> bool:
    """Return whether the command may need the database. A wrong True only costs a moment."""
    if not arguments or {"--help", "-h", "--version"} & set(arguments):
        return False
    return arguments[0] not in NO_DATABASE or any(word.startswith("--data") for word in arguments)


if __name__ == "__main__":
    main()
