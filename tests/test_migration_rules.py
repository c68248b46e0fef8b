"""What a migration may do while the previous version still serves, judged by its SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.postgres import operations as postgres
from django.contrib.postgres.functions import RandomUUID
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models.functions import Now

from countonme.scope.keys import ScopedForeignKey
from countonme.scope.migrations import DeviceScopedForeignKey, DeviceScopedTable
from tests.helpers.migrations import ALTER, own_migrations, parts, plain, sql_of

# The table that a statement locks against readers or writers.
CREATED = re.compile(r"CREATE (?:UNLOGGED )?TABLE (\w+)", re.I)
TABLE = re.compile(
    r"(?:ALTER TABLE(?: ONLY)?|CREATE(?: UNIQUE)? INDEX \w+ ON|INSERT INTO|UPDATE|DELETE FROM)"
    r" (\w+)",
    re.I,
)
# Statements that wait for no writer, block none, and change nothing that the old code uses.
HARMLESS = re.compile(
    r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY|DROP INDEX CONCURRENTLY"
    r"|CREATE (?:UNLOGGED )?TABLE|CREATE (?:OR REPLACE )?(?:FUNCTION|TRIGGER)|COMMENT ON",
    re.I,
)
# Likewise actions of ALTER TABLE: they read no rows and change only the catalog.
HARMLESS_ACTION = re.compile(
    r"ADD CONSTRAINT .* NOT VALID|VALIDATE CONSTRAINT \w+"
    r"|ALTER COLUMN \w+ SET DEFAULT .*|SET \(.*\)",
    re.I,
)
COLUMN = re.compile(r"ADD COLUMN (.*?)(?: DEFAULT (.*?))?( NOT NULL| NULL)?", re.I)
MORE_THAN_A_COLUMN = re.compile(
    r"\b(?:UNIQUE|PRIMARY KEY|REFERENCES|GENERATED|CHECK|(?:SMALL|BIG)?SERIAL)\b", re.I
)
# Defaults that are the same for all rows, so that no row is rewritten: a constant or the time.
DEFAULT = re.compile(r"[-\w.]+|''(?:::\w+)?|\(?(?:STATEMENT_TIMESTAMP|NOW)\(\)\)?", re.I)

# These may disturb the version before, each for its reason.
ALLOWED = {
    ("devices", "0005_tokens_of_phones"): (
        "It moves tokens from devices to phones and drops their columns. No version was released "
        "that has rows in them."
    ),
}


def faults(migration: migrations.Migration, state: ProjectState) -> Iterator[str]:
    """Yield what a migration does that would disturb the previous version.

    Args:
        state: the project's state before the migration.
    """
    statements = list(plain(sql_of(migration, state)))
    new = {found[1] for found in map(CREATED.match, statements) if found}
    old = [
        statement
        for statement in statements
        if not ((found := TABLE.match(statement)) and found[1] in new)
    ]
    for statement in old:
        altered = ALTER.fullmatch(statement)
        for part in parts(altered[1]) if altered else [statement]:
            if not (is_harmless_action(part) if altered else HARMLESS.match(part)):
                yield statement
    altering = [statement for statement in old if ALTER.match(statement)]
    if any("VALIDATE CONSTRAINT" in s for s in altering) and len(altering) > 1:
        yield "It validates a constraint while it holds the lock of another change."
    if altering and any(isinstance(o, migrations.RunPython) for o in migration.operations):
        yield "It runs Python while it holds the lock of another change."
    if not migration.atomic and len(migration.operations) > 1:
        yield "It can't be run again if it fails half way: without a transaction, one operation."


def is_harmless_action(action: str) -> bool:
    """Return whether an action of ALTER TABLE is quick and lets the old code go on."""
    column = COLUMN.fullmatch(action)
    if column is None:
        return HARMLESS_ACTION.fullmatch(action) is not None
    _, default, nullability = column.groups()
    if default is None:
        can_be_left_out = (nullability or "").upper() != " NOT NULL"
    else:
        can_be_left_out = DEFAULT.fullmatch(default) is not None
    return can_be_left_out and not MORE_THAN_A_COLUMN.search(action)


@pytest.fixture
def loader(django_db_setup: None, django_db_blocker: Any) -> Iterator[MigrationLoader]:
    with django_db_blocker.unblock():
        yield MigrationLoader(connection, replace_migrations=False)


def test_the_previous_version_can_serve_during_every_migration(loader: MigrationLoader) -> None:
    found = {
        key: list(faults(loader.get_migration(*key), loader.project_state(key, at_end=False)))
        for key in own_migrations()
    }
    assert {key: list_ for key, list_ in found.items() if list_ and key not in ALLOWED} == {}
    # An exception that is not needed any more would hide what comes later.
    assert [key for key in ALLOWED if not found[key]] == []


Field = models.CharField
POSITIVE = models.CheckConstraint(condition=models.Q(kcal_100g__gte=0), name="later")
BY_KCAL = models.Index(fields=["device", "kcal_100g"], name="later")
LATER = migrations.CreateModel(
    "Later",
    [
        ("id", models.UUIDField(primary_key=True)),
        ("device", ScopedForeignKey("devices.device")),
        ("product", ScopedForeignKey("products.product", related_name="+")),
        ("revision", models.BigIntegerField()),
        ("created_at", models.DateTimeField()),
        ("deleted_at", models.DateTimeField(null=True)),
    ],
    options={"db_table": "later"},
)


def add(field: models.Field[Any, Any]) -> migrations.AddField:
    return migrations.AddField("product", "later", field)


def alter(name: str, field: models.Field[Any, Any]) -> migrations.AlterField:
    return migrations.AlterField("product", name, field)


def do_nothing(apps: Any, schema_editor: Any) -> None: ...


ACCEPTED: dict[str, list[Any]] = {
    "a column that may be null": [add(Field(max_length=9, null=True))],
    "a column with a default of the database's": [add(Field(max_length=9, db_default="a, b"))],
    "a column with a number by default": [add(models.IntegerField(db_default=1))],
    "a column with the time by default": [add(models.DateTimeField(db_default=Now()))],
    "a default for a column": [
        alter("kcal_100g", models.SmallIntegerField(db_default=0)),
    ],
    "an index built beside writers": [postgres.AddIndexConcurrently("product", BY_KCAL)],
    "a constraint on what is written from now on": [
        postgres.AddConstraintNotValid("product", POSITIVE)
    ],
    "its validation, later": [postgres.ValidateConstraint("product", "products_kcal_in_range")],
    "a new table with all that belongs to it": [
        LATER,
        migrations.AddIndex("later", models.Index(fields=["device"], name="later")),
        DeviceScopedTable("Later", foreign_keys=[("product",)]),
    ],
    "a trigger function in other words": [
        migrations.RunSQL("CREATE OR REPLACE FUNCTION f() RETURNS trigger AS $$ DROP x; $$")
    ],
    "Python alone": [migrations.RunPython(do_nothing)],
    "what the database does not notice": [
        alter("kcal_100g", models.SmallIntegerField(help_text="later"))
    ],
}
REFUSED: dict[str, list[Any]] = {
    "a column dropped": [migrations.RemoveField("product", "barcode")],
    "a column renamed": [migrations.RenameField("product", "barcode", "ean")],
    "a table dropped": [migrations.DeleteModel("portion")],
    "a table renamed": [migrations.AlterModelTable("product", "foods")],
    "a column that the old code does not know it must fill": [add(models.IntegerField(default=0))],
    "a column that is filled row by row": [add(models.UUIDField(db_default=RandomUUID()))],
    "a unique column": [add(Field(max_length=9, null=True, unique=True))],
    "a column with an index": [add(Field(max_length=9, null=True, db_index=True))],
    "a column that refers": [
        add(models.ForeignKey("devices.device", models.CASCADE, null=True, related_name="+"))
    ],
    "a generated column": [
        add(
            models.GeneratedField(
                expression=models.F("kcal_100g") + 1,
                output_field=models.IntegerField(),
                db_persist=True,
            )
        )
    ],
    "another type": [alter("kcal_100g", models.BigIntegerField())],
    "a column that may be null no more": [alter("barcode", Field(max_length=14, default=""))],
    "an index built while writers wait": [migrations.AddIndex("product", BY_KCAL)],
    "a constraint that every row is asked for": [migrations.AddConstraint("product", POSITIVE)],
    "a unique constraint": [
        migrations.AddConstraint(
            "product", models.UniqueConstraint(fields=["device", "name"], name="later")
        )
    ],
    "a constraint validated under the lock": [
        postgres.AddConstraintNotValid("product", POSITIVE),
        postgres.ValidateConstraint("product", "later"),
    ],
    "Python under a lock": [
        add(Field(max_length=9, null=True)),
        migrations.RunPython(do_nothing),
    ],
    "rows changed all at once": [migrations.RunSQL("UPDATE products SET kcal_100g = 1")],
    "a trigger dropped": [migrations.RunSQL("DROP TRIGGER guard_hard_delete ON products")],
    "a harmful action behind a harmless one": [
        migrations.RunSQL("ALTER TABLE products ADD COLUMN a numeric(5, 2) NULL, DROP COLUMN name")
    ],
    "a harmful statement behind a harmless one": [
        migrations.RunSQL("COMMENT ON TABLE products IS 'a; b'; -- c;\nDROP TABLE products")
    ],
    "the triggers of a table, not a new one of it": [DeviceScopedTable("Product")],
    "a foreign key of a table in use": [DeviceScopedForeignKey("Portion", ["product"])],
}


def faults_of(loader: MigrationLoader, operations: list[Any], *, atomic: bool = True) -> list[str]:
    """Return the faults of a migration of these operations that follows all existing ones."""
    body = {"operations": operations, "atomic": atomic}
    migration = type("Migration", (migrations.Migration,), body)("9999_later", "products")
    return list(faults(migration, loader.project_state()))


@pytest.mark.parametrize("operations", ACCEPTED.values(), ids=ACCEPTED)
def test_it_accepts(loader: MigrationLoader, operations: list[Any]) -> None:
    concurrently = isinstance(operations[0], postgres.AddIndexConcurrently)
    assert faults_of(loader, operations, atomic=not concurrently) == []


@pytest.mark.parametrize("operations", REFUSED.values(), ids=REFUSED)
def test_it_refuses(loader: MigrationLoader, operations: list[Any]) -> None:
    assert faults_of(loader, operations)


def test_it_refuses_two_operations_without_a_transaction(loader: MigrationLoader) -> None:
    operations = [postgres.AddIndexConcurrently("product", BY_KCAL), *ACCEPTED["Python alone"]]
    [fault] = faults_of(loader, operations, atomic=False)
    assert "run again" in fault
