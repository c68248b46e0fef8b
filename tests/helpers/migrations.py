"""The project's own migrations, and the SQL that they run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from django.conf import settings
from django.db import connection, migrations
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

BODY = re.compile(r"\$(\w*)\$.*?\$\1\$", re.DOTALL)
TEXT = re.compile(r"'(?:[^']|'')*'")
COMMENT = re.compile(r"--.*?$|/\*.*?\*/", re.MULTILINE | re.DOTALL)
ALTER = re.compile(r"ALTER TABLE(?: ONLY)? \w+ (.*)", re.I)


def own_migrations() -> list[tuple[str, str]]:
    """Return our apps' migrations as (app, name), each after those that it needs."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    return [
        (migration.app_label, migration.name)
        for migration, _ in plan
        if migration.app_label in settings.OWN_APPS
    ]


def sql_of(migration: migrations.Migration, state: ProjectState) -> str:
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        migration.apply(state.clone(), editor, collect_sql=True)
    collected: list[str] = editor.collected_sql
    return ";\n".join(collected)


def plain(sql: str) -> Iterator[str]:
    """Yield each statement on one line, without string literals, comments and function bodies."""
    for pattern, instead in ((BODY, ""), (TEXT, "''"), (COMMENT, "")):
        sql = pattern.sub(instead, sql)
    for statement in sql.replace('"', "").split(";"):
        if statement.strip():
            yield " ".join(statement.split())


def parts(actions: str) -> list[str]:
    """Split the actions of ALTER TABLE at commas outside of parentheses."""
    found, depth = [""], 0
    for character in actions:
        depth += (character == "(") - (character == ")")
        if character == "," and not depth:
            found.append("")
        else:
            found[-1] += character
    return [part.strip() for part in found]
