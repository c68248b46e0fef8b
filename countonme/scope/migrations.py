"""Operations of migrations that make device-scoped tables.

Applied migrations use these operations, so they must not change once they are released. What tables
need later becomes a new operation. `countonme/tests/test_triggers.py` tests what they make.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db.migrations.operations.base import Operation

# What each role of operators may do to rows. Only superusers may delete for ever.
ROLES = {"Moderator": ("view", "soft_delete", "restore"), "Support": ("view",)}
# A foreign key, after the fields that both tables share: ("product", "portion").
Path = Sequence[str]


class DeviceScopedTable(Operation):
    """Make a new table device-scoped, in the migration that creates it.

    The table gets the primary key (`device_id`, `id`), its foreign keys, triggers that set the
    revision and refuse hard deletes of live rows, an index by revision for sync, indexes for the
    operators' lists of new and of deleted rows, and a fillfactor that leaves room for HOT updates.
    The roles get their permissions.

    Args:
        model_name: the model of the table; it has the fields of `DeviceScoped` and its own.
        foreign_keys: the foreign keys to other device-scoped tables, each after the fields that
            both tables share: with `[("product",), ("product", "portion")]` an entry's portion must
            be a portion of the entry's product.
    """

    reversible = True

    def __init__(self, model_name: str, foreign_keys: Sequence[Path] = ()) -> None:
        self.model_name = model_name
        self.foreign_keys = foreign_keys

    def describe(self) -> str:
        return f"Make {self.model_name} device-scoped"

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing: Django's state has the fields already, and no place for the rest."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        table = model._meta.db_table
        # Before the foreign keys take their locks.
        if not schema_editor.collect_sql:
            grant(to_state.apps, app_label, self.model_name, ROLES)
        schema_editor.execute(
            f"""
            ALTER TABLE {table} SET (fillfactor = 90);
            ALTER TABLE {table} DROP CONSTRAINT {table}_pkey;
            ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (device_id, id);
            ALTER TABLE {table} ADD CONSTRAINT {table}_device_id_fk
                FOREIGN KEY (device_id) REFERENCES devices (id);
            CREATE INDEX {table}_by_revision ON {table} (device_id, revision);
            CREATE INDEX {table}_created ON {table} (created_at, id);
            CREATE INDEX {table}_deleted ON {table} (deleted_at) WHERE deleted_at IS NOT NULL;
            CREATE TRIGGER stamp_revision_insert BEFORE INSERT ON {table}
                FOR EACH ROW EXECUTE FUNCTION stamp_revision();
            CREATE TRIGGER stamp_revision_update BEFORE UPDATE ON {table}
                FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION stamp_revision();
            CREATE TRIGGER guard_hard_delete AFTER DELETE ON {table}
                REFERENCING OLD TABLE AS gone
                FOR EACH STATEMENT EXECUTE FUNCTION guard_hard_delete();
            """
        )
        for path in self.foreign_keys:
            schema_editor.execute(foreign_key(model, path))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Undo everything except the permissions: operators may have the roles already."""
        model = from_state.apps.get_model(app_label, self.model_name)
        table = model._meta.db_table
        for path in self.foreign_keys:
            schema_editor.execute(without_foreign_key(model, path))
        schema_editor.execute(
            f"""
            DROP TRIGGER stamp_revision_insert ON {table};
            DROP TRIGGER stamp_revision_update ON {table};
            DROP TRIGGER guard_hard_delete ON {table};
            DROP INDEX {table}_by_revision, {table}_created, {table}_deleted;
            ALTER TABLE {table} DROP CONSTRAINT {table}_device_id_fk;
            ALTER TABLE {table} DROP CONSTRAINT {table}_pkey;
            ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (id);
            ALTER TABLE {table} RESET (fillfactor);
            """
        )


class DeviceScopedForeignKey(Operation):
    """Add the constraint of a foreign key to a device-scoped table that exists already.

    It needs a migration of its own: it also locks the table that it refers to, and writers lock two
    tables in any order.

    Args:
        model_name: the model that has the foreign key.
        path: the foreign key, written as in `DeviceScopedTable`.
    """

    reversible = True

    def __init__(self, model_name: str, path: Path) -> None:
        self.model_name = model_name
        self.path = path

    def describe(self) -> str:
        return f"Add the foreign key {self.path[-1]} of {self.model_name}, within a device"

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Change nothing: Django's state has the key already."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(foreign_key(model, self.path))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(without_foreign_key(model, self.path))


def foreign_key(model: Any, path: Path) -> str:
    """Return the SQL of a composite foreign key: the device, the shared fields and the id."""
    *shared, key = (model._meta.get_field(name) for name in path)
    table, target = model._meta.db_table, key.related_model._meta
    # A shared field may have another name there: a portion's product is an item's ingredient.
    keys = [field for field in target.fields if field.many_to_one and field.name != "device"]
    there = [next(k for k in keys if k.related_model is f.related_model) for f in shared]
    columns = ", ".join(["device_id", *(field.column for field in shared), key.column])
    referred = ", ".join(["device_id", *(field.column for field in there), "id"])
    return (
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_{key.column}_fk "
        f"FOREIGN KEY ({columns}) REFERENCES {target.db_table} ({referred})"
    )


def without_foreign_key(model: Any, path: Path) -> str:
    table, column = model._meta.db_table, model._meta.get_field(path[-1]).column
    return f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_fk"


def grant(apps: Apps, app_label: str, model_name: str, roles: Mapping[str, Sequence[str]]) -> None:
    """Give roles permissions on a model; create the roles and permissions that are missing.

    Args:
        roles: the actions on the model that each role may do.
    """
    config = apps.get_app_config(app_label)
    # Django skips apps without a models module, which a migration's stub of an app lacks.
    config.models_module = config  # type: ignore[assignment]  # only its truth value is read
    create_permissions(config, apps=apps, verbosity=0)
    groups = apps.get_model("auth", "Group").objects
    permissions = apps.get_model("auth", "Permission").objects
    for role, actions in roles.items():
        group, _ = groups.get_or_create(name=role)
        names = [f"{action}_{model_name.lower()}" for action in actions]
        owned = permissions.filter(content_type__app_label=app_label, codename__in=names)
        group.permissions.add(*owned)
