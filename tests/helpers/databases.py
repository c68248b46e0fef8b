"""Databases beside the test database, for tests that concern a whole database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import environ
import psycopg
from django.db import connection
from psycopg import sql

from countonme.server import embedded

# The definitions of tables, columns, indexes, constraints, triggers and functions as texts.
SCHEMA = """
SELECT concat_ws(' ', 'table', relname, relkind, relpersistence, reloptions)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT concat_ws(' ', 'column', attrelid::regclass, attname,
        format_type(atttypid, atttypmod), attnotnull, attidentity, attcollation::regcollation,
        pg_get_expr(adbin, adrelid))
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid)
    FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
    WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(pg_trigger.oid), tgenabled)
    FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT pg_get_functiondef(oid)
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
ORDER BY 1
"""


@contextmanager
def new_database(suffix: str, template: str = "template0") -> Iterator[None]:
    """Make Django use a new database, empty or a copy of a template, and drop it afterwards."""
    name = f"{connection.settings_dict['NAME']}_{suffix}"
    server = connection.get_connection_params() | {"dbname": "postgres"}
    create, drop = (
        sql.SQL(statement).format(sql.Identifier(name), sql.Identifier(template))
        for statement in (
            "CREATE DATABASE {0} TEMPLATE {1}",
            "DROP DATABASE IF EXISTS {0} WITH (FORCE)",
        )
    )
    with psycopg.connect(**server, autocommit=True) as operator:
        operator.execute(drop)
        operator.execute(create)
        try:
            with connected(NAME=name):
                yield
        finally:
            operator.execute(drop)


@contextmanager
def new_server(data_dir: Path) -> Iterator[dict[str, Any]]:
    """Start a new PostgreSQL server; yield its address for `connected()`."""
    with embedded.running(data_dir):
        address = environ.Env.db_url_config(embedded.database_url(data_dir))
        yield address | {"HOST": address.pop("OPTIONS")["host"]}


@contextmanager
def connected(**address: Any) -> Iterator[None]:
    """Make Django use another database, whose connection settings differ in these."""
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(address)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(before)


def schema() -> list[str]:
    """Return all definitions in Django's database, for comparison."""
    with connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        return [text for (text,) in cursor.fetchall()]


def rows() -> dict[str, list[str]]:
    """Return all rows of all tables of Django's database as text, for comparison."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT row::text FROM "{table}" AS row ORDER BY 1')
            found[table] = [text for (text,) in cursor.fetchall()]
    return found
