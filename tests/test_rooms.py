"""Which module may know which. `make check` asks for imports; this for the rest."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings

from tests.helpers.processes import ROOT

# Each may name what stands after it, and nothing before.
ORDER = [
    "goals",
    "entries",
    "catalog",
    "products",
    "transfer",
    "sync",
    "devices",
    "countonme/operators",
    "countonme/server",
    "countonme/api",
    "countonme/scope",
]
APPS = [name for name in ORDER if "/" not in name]


def names_of(app: str) -> str:
    """Return a pattern for strings that refer to an app: its modules, models and tables."""
    tables = [model._meta.db_table for model in apps.get_app_config(app).get_models()]
    # `countonme.scope` may speak of devices, to which all rows belong.
    tables = [table for table in tables if table != "devices"]
    return "|".join([rf"\b{app}\.([A-Z]|models\b)", *(rf"\b{table}\b" for table in tables)])


def strings(path: Path) -> Iterator[str]:
    """Yield a module's strings except docstrings."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in docstrings:
            yield str(node.value)


@pytest.mark.parametrize("package", ORDER)
def test_no_string_names_an_app_above(package: str) -> None:
    above = [app for app in APPS if ORDER.index(app) < ORDER.index(package)]
    pattern = re.compile("|".join(map(names_of, above)) or "(?!)")
    named = [
        f"{path.relative_to(ROOT)}: {text!r}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if not {"tests", "migrations"} & set(path.parts)
        for text in strings(path)
        if pattern.search(text)
    ]
    assert named == []


def imported(path: Path) -> Iterator[str]:
    """Yield what a module imports, by its whole name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_what_tests_share_stands_in_no_test_module() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for room in [*settings.OWN_APPS, "tests", "attacks", "bench"]
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in imported(path)
        if re.search(r"(^|\.)(test_\w+|conftest)\b", name)
    ]
    assert found == []
