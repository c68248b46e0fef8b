"""What the database keeps for every device-scoped table, as operations for migrations.

Functions come with the devices table, triggers with the table that they watch over.
"""

from __future__ import annotations

from django.db import migrations

# A device's revision rises once a transaction, not once a row: one UPDATE of the same row per row
# written would walk an ever longer chain of its versions. `revised_in` alone (the transaction's id)
# could meet its like in a restored backup; together with the transaction's time it can't.
FUNCTIONS = """
CREATE FUNCTION stamp_revision() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    this_transaction CONSTANT bigint := pg_current_xact_id()::text::bigint;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.device_id <> OLD.device_id THEN
        RAISE EXCEPTION 'a row never moves to another device'
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    SELECT revision INTO NEW.revision FROM devices
        WHERE id = NEW.device_id
            AND revised_in = this_transaction AND revised_at = transaction_timestamp();
    IF NOT FOUND THEN
        UPDATE devices
            SET revision = revision + 1,
                revised_in = this_transaction,
                revised_at = transaction_timestamp()
            WHERE id = NEW.device_id AND erased_at IS NULL
            RETURNING revision INTO NEW.revision;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'device % does not exist or is erased', NEW.device_id
                USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION guard_hard_delete() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM gone JOIN devices ON devices.id = gone.device_id
            WHERE gone.deleted_at IS NULL AND devices.erased_at IS NULL
    ) THEN
        RAISE EXCEPTION 'a live row is deleted softly first'
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    UPDATE devices
        SET revision = devices.revision + 1,
            purged_revision = greatest(devices.purged_revision, purged.revision),
            revised_in = pg_current_xact_id()::text::bigint,
            revised_at = transaction_timestamp()
        FROM (SELECT device_id, max(revision) AS revision FROM gone GROUP BY device_id) AS purged
        WHERE devices.id = purged.device_id AND devices.erased_at IS NULL;
    RETURN NULL;
END $$;
"""

DROP_FUNCTIONS = "DROP FUNCTION stamp_revision(); DROP FUNCTION guard_hard_delete();"


def device_table() -> migrations.RunSQL:
    """Return the operation that keeps room in the devices table.

    Every write updates a device's row; with room on its page and no index on what changes, the
    update stays on the page (HOT).
    """
    return migrations.RunSQL(
        """
        ALTER TABLE devices SET (fillfactor = 50);
        CREATE INDEX devices_created ON devices (created_at, id);
        """,
        "DROP INDEX devices_created; ALTER TABLE devices RESET (fillfactor);",
    )


def revision_functions() -> migrations.RunSQL:
    """Return the operation that creates the trigger functions."""
    return migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS)


def device_scoped_table(table: str) -> migrations.RunSQL:
    """Return the operation that puts a device-scoped table under the triggers.

    It also gets what operators ask of every table: the newest rows, and the deleted ones.

    Args:
        table: its name. It has the columns `device_id`, `deleted_at` and `revision`.
    """
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} SET (fillfactor = 90);
        ALTER TABLE {table} ADD CONSTRAINT {table}_device_id_fk
            FOREIGN KEY (device_id) REFERENCES devices (id);
        CREATE INDEX {table}_created ON {table} (created_at, id);
        CREATE INDEX {table}_deleted ON {table} (deleted_at) WHERE deleted_at IS NOT NULL;
        CREATE TRIGGER stamp_revision_insert BEFORE INSERT ON {table}
            FOR EACH ROW EXECUTE FUNCTION stamp_revision();
        CREATE TRIGGER stamp_revision_update BEFORE UPDATE ON {table}
            FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION stamp_revision();
        CREATE TRIGGER guard_hard_delete AFTER DELETE ON {table}
            REFERENCING OLD TABLE AS gone
            FOR EACH STATEMENT EXECUTE FUNCTION guard_hard_delete();
        """,
        f"""
        DROP TRIGGER stamp_revision_insert ON {table};
        DROP TRIGGER stamp_revision_update ON {table};
        DROP TRIGGER guard_hard_delete ON {table};
        DROP INDEX {table}_created, {table}_deleted;
        ALTER TABLE {table} DROP CONSTRAINT {table}_device_id_fk;
        ALTER TABLE {table} RESET (fillfactor);
        """,
    )


def scoped_foreign_key(table: str, column: str, target: str, via: str = "") -> migrations.RunSQL:
    """Return the operation that adds a composite foreign key between device-scoped tables.

    Args:
        table: the table that refers.
        column: its column, beside `device_id`.
        target: the table referred to, unique by (`device_id`, [`via`,] `id`).
        via: a further column, of the same name on both sides, that must agree.
    """
    through = f", {via}" if via else ""
    name = f"{table}_{column}_fk"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {name}
            FOREIGN KEY (device_id{through}, {column})
            REFERENCES {target} (device_id{through}, id)
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )
