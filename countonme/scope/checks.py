"""System checks that every model and table with rows of devices is scoped to devices.

E001 to E003 and E007 check the models, before commands run. E004 to E006 check a database whose
migrations are all applied, in `manage.py check --database default` and `manage.py migrate`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped, device_scoped_models
from countonme.scope.query import ScopedQuery

TRIGGERS = ("stamp_revision_insert", "stamp_revision_update", "guard_hard_delete")

# All enabled triggers: table, name.
TRIGGERS_IN_FORCE = """
SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND pg_table_is_visible(tgrelid)
"""
# All validated foreign keys: table, its columns, the table referred to, its columns.
FOREIGN_KEYS_IN_FORCE = """
SELECT this.relname, ARRAY(
        SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place
    ), target.relname, ARRAY(
        SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place
    )
FROM pg_constraint
JOIN pg_class AS this ON this.oid = conrelid
JOIN pg_class AS target ON target.oid = confrelid
WHERE contype = 'f' AND convalidated AND pg_table_is_visible(conrelid)
"""
# All unique indexes: table, columns in their order, whether it is the primary key.
UNIQUE_IN_FORCE = """
SELECT relname, ARRAY(
        SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = number ORDER BY place
    ), indisprimary
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE indisunique AND pg_table_is_visible(indrelid)
"""


def check_models(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that every model with rows of devices is scoped to devices."""
    chosen = apps.get_app_configs() if app_configs is None else app_configs
    return [error for app in chosen for model in app.get_models() for error in check_model(model)]


def check_model(model: type[models.Model]) -> Iterator[CheckMessage]:
    """Yield an error for everything in a model that is not scoped to devices."""
    if issubclass(model, DeviceScoped):
        yield from _check_managers(model)
        yield from _check_references(model)
    elif _is_part_of_devices(model):
        return
    elif owned := next(_references_to_devices(model), None):
        yield Error(
            f"It has rows of devices, by {owned}, and does not derive from DeviceScoped.",
            hint="Derive it from countonme.scope.models.DeviceScoped.",
            obj=model,
            id="countonme.E001",
        )
    elif _is_ours(model) and model._meta.label not in settings.GLOBAL_MODELS:
        yield Error(
            "It has no rows of devices, and is not listed as one that every device sees.",
            hint="Derive it from countonme.scope.models.DeviceScoped, or list it in GLOBAL_MODELS.",
            obj=model,
            id="countonme.E007",
        )


def check_tables(databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that the databases enforce the scope by keys and triggers."""
    return [
        error
        for alias in databases or []
        if _is_migrated(connections[alias])
        for error in _check_tables(connections[alias])
    ]


def _references(model: type[models.Model]) -> Iterator[Any]:
    """Yield the fields of a model that refer to others, generic ones included."""
    options = model._meta
    for field in [*options.concrete_fields, *options.many_to_many, *options.private_fields]:
        if field.is_relation:
            yield field


def _is_of_devices(target: Any) -> bool:
    return isinstance(target, type) and (
        issubclass(target, DeviceScoped) or target is apps.get_model(settings.DEVICE_MODEL)
    )


def _references_to_devices(model: type[models.Model]) -> Iterator[str]:
    """Yield the names of fields that refer to a device, or to a row of one."""
    for field in model._meta.concrete_fields:
        if field.column == "device_id":
            yield field.name
    for field in _references(model):
        if _is_of_devices(field.related_model):
            yield field.name


def _is_ours(model: type[models.Model]) -> bool:
    return model._meta.app_label in settings.OWN_APPS


def _is_part_of_devices(model: type[models.Model]) -> bool:
    """Return whether a model is of the device's own app, as what holds its tokens."""
    return model._meta.app_label == apps.get_model(settings.DEVICE_MODEL)._meta.app_label


def _check_managers(model: type[DeviceScoped]) -> Iterator[CheckMessage]:
    """Yield an error for every manager whose queries could run without a scope."""
    for manager in model._meta.managers:
        query = manager.all().query
        if not isinstance(query, ScopedQuery) or query.scope is not None:
            yield Error(
                f"Its manager {manager.name} runs without a device.",
                hint="Derive it from LiveManager or AllObjectsManager of countonme.scope.query.",
                obj=model,
                id="countonme.E002",
            )
    if type(model._base_manager) is not models.Manager:
        yield Error(
            "Its base manager is not Django's own, which saving and forward keys rest on.",
            hint="Leave base_manager_name out of its Meta.",
            obj=model,
            id="countonme.E002",
        )


def _check_references(model: type[DeviceScoped]) -> Iterator[CheckMessage]:
    """Yield an error for every reference that could name a row of another device."""
    for field in _references(model):
        # Many-to-many and generic relations have no column for a composite foreign key.
        has_no_column = field.many_to_many or field in model._meta.private_fields
        is_of_devices = has_no_column or _is_of_devices(field.related_model)
        if is_of_devices and not isinstance(field, ScopedForeignKey):
            yield Error(
                f"Its field {field.name} could name a row of another device.",
                hint="Make it a countonme.scope.keys.ScopedForeignKey.",
                obj=model,
                id="countonme.E003",
            )


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    """Return whether all migrations are applied: a pending one may add what is missing."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _check_tables(connection: BaseDatabaseWrapper) -> Iterator[CheckMessage]:
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS_IN_FORCE)
        triggers = set(cursor.fetchall())
        cursor.execute(FOREIGN_KEYS_IN_FORCE)
        keys = [
            (table, target, set(zip(columns, named, strict=True)))
            for table, columns, target, named in cursor.fetchall()
        ]
        cursor.execute(UNIQUE_IN_FORCE)
        unique = cursor.fetchall()
    for model in device_scoped_models():
        table = model._meta.db_table
        missing = [name for name in TRIGGERS if (table, name) not in triggers]
        if missing:
            yield Error(
                f"Its table {table} is without {', '.join(missing)}.",
                hint=f"A migration lacks {_operation(model)}.",
                obj=model,
                id="countonme.E004",
            )
        unique_keys = [(columns, primary) for name, columns, primary in unique if name == table]
        if (["device_id", "id"], True) not in unique_keys:
            yield Error(
                f"The primary key of its table {table} is not device_id, id.",
                hint=f"A migration lacks {_operation(model)}.",
                obj=model,
                id="countonme.E006",
            )
        for columns, _ in unique_keys:
            if "device_id" not in columns:
                yield Error(
                    f"Its table {table} has {', '.join(columns)} unique among all devices' rows, "
                    "which tells a device about rows of others.",
                    hint="Make it unique with device_id.",
                    obj=model,
                    id="countonme.E006",
                )
        for field in model._meta.concrete_fields:
            if not isinstance(field, ScopedForeignKey):
                continue
            target = field.related_model._meta.db_table
            operation = f'DeviceScopedForeignKey("{model.__name__}", ["{field.name}"])'
            pairs = {("device_id", "device_id"), (field.column, "id")}
            if field.name == "device":
                operation = _operation(model)
                pairs = {("device_id", "id")}
            if not any(key[:2] == (table, target) and pairs <= key[2] for key in keys):
                yield Error(
                    f"Its table {table} is without a foreign key that keeps {field.column} to rows "
                    "of the same device.",
                    hint=f"A migration lacks {operation}.",
                    obj=model,
                    id="countonme.E005",
                )


def _operation(model: type[DeviceScoped]) -> str:
    """Return the operation that a migration of the model needs, as Python code."""
    return f'DeviceScopedTable("{model.__name__}")'
