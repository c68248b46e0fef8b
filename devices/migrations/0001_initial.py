"""Devices, and the functions by which the database keeps revisions and refuses."""

import uuid

import django.utils.timezone
from django.db import migrations, models

# A device's revision rises once a transaction, not once a row: one UPDATE of the same row per row
# written would walk an ever longer chain of its versions. `revised_in` alone (the transaction's id)
# could meet its like in a restored backup; together with the transaction's time it can't.
#
# Each statement in them is about one device, named by its id: so they also run on a shard.
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
DECLARE
    purged record;
BEGIN
    FOR purged IN
        SELECT device_id, max(revision) AS revision, bool_or(deleted_at IS NULL) AS has_live
            FROM gone GROUP BY device_id ORDER BY device_id
    LOOP
        UPDATE devices
            SET revision = devices.revision + 1,
                purged_revision = greatest(devices.purged_revision, purged.revision),
                revised_in = pg_current_xact_id()::text::bigint,
                revised_at = transaction_timestamp()
            WHERE id = purged.device_id AND erased_at IS NULL;
        IF FOUND AND purged.has_live THEN
            RAISE EXCEPTION 'a live row is deleted softly first'
                USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
"""

# Every write updates a device's row; with room on its page and no index on what changes, the update
# stays on the page (HOT).
ROOM = """
ALTER TABLE devices SET (fillfactor = 50);
CREATE INDEX devices_created ON devices (created_at, id);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Device",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                ("token_hash", models.CharField(editable=False, max_length=60, null=True)),
                ("token_hmac", models.CharField(editable=False, max_length=73, null=True)),
                ("previous_token_hash", models.CharField(editable=False, max_length=60, null=True)),
                ("previous_token_hmac", models.CharField(editable=False, max_length=73, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, null=True
                    ),
                ),
                ("last_seen_at", models.DateTimeField(editable=False, null=True)),
                ("blocked_at", models.DateTimeField(editable=False, null=True)),
                ("blocked_reason", models.CharField(blank=True, default="", max_length=200)),
                ("erased_at", models.DateTimeField(editable=False, null=True)),
                ("revision", models.BigIntegerField(default=1, editable=False)),
                ("revised_at", models.DateTimeField(editable=False, null=True)),
                ("revised_in", models.BigIntegerField(editable=False, null=True)),
                ("purged_revision", models.BigIntegerField(default=0, editable=False)),
            ],
            options={
                "db_table": "devices",
                "default_permissions": (
                    "view",
                    "block",
                    "revoke",
                    "issue_token",
                    "export",
                    "erase",
                ),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("created_at__isnull", False), ("erased_at", None)),
                            models.Q(
                                ("blocked_at", None),
                                ("blocked_reason", ""),
                                ("created_at", None),
                                ("erased_at__isnull", False),
                                ("last_seen_at", None),
                                ("previous_token_hash", None),
                                ("previous_token_hmac", None),
                                ("revised_at", None),
                                ("revised_in", None),
                                ("token_hash", None),
                                ("token_hmac", None),
                            ),
                            _connector="OR",
                        ),
                        name="devices_erased_is_blank",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("previous_token_hash", None),
                                ("token_hash", None),
                                ("token_hmac", None),
                            ),
                            models.Q(("token_hash__isnull", False), ("token_hmac__isnull", False)),
                            _connector="OR",
                        ),
                        name="devices_token_is_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("previous_token_hash", None), ("previous_token_hmac", None)),
                            models.Q(
                                ("previous_token_hash__isnull", False),
                                ("previous_token_hmac__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="devices_previous_token_is_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("purged_revision__gte", 0),
                            ("revision__gte", 1),
                            ("purged_revision__lte", models.F("revision")),
                        ),
                        name="devices_revision_counts_up",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            ROOM, "DROP INDEX devices_created; ALTER TABLE devices RESET (fillfactor)"
        ),
        migrations.RunSQL(
            FUNCTIONS, "DROP FUNCTION stamp_revision(); DROP FUNCTION guard_hard_delete()"
        ),
    ]
