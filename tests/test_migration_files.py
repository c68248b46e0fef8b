"""A migration must always do the same, whatever code is written after it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from countonme.scope import migrations as operations
from countonme.scope.models import device_scoped_models
from products import gtin, names
from tests.helpers.migrations import own_migrations

# A CREATE FUNCTION ends at the next empty line: function bodies have none.
FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?(FUNCTION (\w+)\(.*?;)(?=\n\n|\n\"\"\")", re.DOTALL)
DEFINITIONS = """
SELECT proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""
TRIGGERS = "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"

pytestmark = pytest.mark.django_db


@pytest.fixture
def modules() -> list[ModuleType]:
    """Return our apps' migrations, in their order."""
    loader = MigrationLoader(connection, replace_migrations=False)
    found = [inspect.getmodule(type(loader.get_migration(*key))) for key in own_migrations()]
    return [module for module in found if module]


def definitions() -> dict[str, str]:
    """Return the definitions of the database's functions by name."""
    with connection.cursor() as cursor:
        cursor.execute(DEFINITIONS)
        return dict(cursor.fetchall())


def live_code(module: ModuleType, source: str) -> Iterator[str]:
    """Yield the project's code that a migration calls or reads and that may change later.

    Fields, their validators, constraints and indexes are allowed, as in Django's own migrations. So
    are the operations of `countonme.scope.migrations`, which are not changed once released.
    """
    tree = ast.parse(source)
    keywords = (node for node in ast.walk(tree) if isinstance(node, ast.keyword))
    validators = {
        inner for node in keywords if node.arg == "validators" for inner in ast.walk(node.value)
    }
    for node in set(ast.walk(tree)) - validators:
        path = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        first, *rest = path.split(".")
        if not path or not hasattr(module, first):
            continue
        try:
            found: Any = reduce(getattr, rest, getattr(module, first))
        except AttributeError:
            continue
        home = found.__name__ if isinstance(found, ModuleType) else getattr(found, "__module__", "")
        is_ours = str(home).partition(".")[0] in settings.OWN_APPS
        if isinstance(found, ModuleType) or not is_ours or home == module.__name__:
            continue
        kept = (models.Field, models.BaseConstraint, models.Index, Operation)
        if (
            not (isinstance(found, type) and issubclass(found, kept))
            and home != operations.__name__
        ):
            yield path


def test_no_migration_calls_code_that_may_change(modules: list[ModuleType]) -> None:
    assert len(modules) > 4
    for module in modules:
        assert list(live_code(module, inspect.getsource(module))) == [], module.__name__


def test_code_that_may_change_is_found() -> None:
    module = ModuleType("products.migrations.later")
    vars(module).update(gtin=gtin, names=names, Field=names.NameField, fold=gtin.to_gtin_14)
    assert list(live_code(module, "gtin.to_gtin_14(1)")) == ["gtin.to_gtin_14"]
    assert list(live_code(module, "fold(1)")) == ["fold"]
    assert list(live_code(module, "[names.NameField(), Field(), later()]")) == []


def test_the_functions_of_the_database_are_the_migrations_own(modules: list[ModuleType]) -> None:
    written = {
        name: statement
        for module in modules
        for statement, name in FUNCTION.findall(Path(str(module.__file__)).read_text())
    }
    before = definitions()
    assert set(written) == set(before)
    assert {"stamp_revision", "guard_hard_delete", "to_gtin_14"} <= set(written)
    with connection.cursor() as cursor:
        for statement in written.values():
            cursor.execute(f"CREATE OR REPLACE {statement}")
    for name, definition in definitions().items():
        assert definition == before[name], f"{name} differs from the migrations"


def test_a_changed_function_is_noticed(modules: list[ModuleType]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(definitions()["guard_hard_delete"].replace("+ 1", "+ 2"))
    with pytest.raises(AssertionError, match="guard_hard_delete differs"):
        test_the_functions_of_the_database_are_the_migrations_own(modules)


def test_tables_of_devices_have_these_three_triggers_and_few_others_any() -> None:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        found = set(cursor.fetchall())
    names = ("stamp_revision_insert", "stamp_revision_update", "guard_hard_delete")
    tables = [model._meta.db_table for model in device_scoped_models()]
    of_tables = {(table, name) for table in tables for name in names}
    of_catalog = {
        ("catalog_foods", name) for name in ("note_insert", "note_update", "refuse_delete")
    }
    assert found == of_tables | of_catalog | {("devices", "forget_phones")}
