"""Phones, and the codes and keys by which they join a device; empty as yet."""

import django.utils.timezone
from django.db import migrations, models

# What is known of a device that is erased ends with the statement that erases it.
FUNCTION = """
CREATE FUNCTION forget_phones() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM pairing_codes WHERE device_id = NEW.id;
    DELETE FROM recovery_keys WHERE device_id = NEW.id;
    DELETE FROM phones WHERE device_id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_phones AFTER UPDATE ON devices
    FOR EACH ROW WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL)
    EXECUTE FUNCTION forget_phones();
"""
WITHOUT_FUNCTION = "DROP TRIGGER forget_phones ON devices; DROP FUNCTION forget_phones()"

# `last_seen_at` is written every five minutes: with room on its page the update stays there (HOT).
# A code goes with what is left of the phone that asked for it.
ROOM_AND_KEY = """
ALTER TABLE phones SET (fillfactor = 80);
ALTER TABLE pairing_codes ADD CONSTRAINT pairing_codes_phone_fk
    FOREIGN KEY (device_id, phone_id) REFERENCES phones (device_id, id) ON DELETE CASCADE;
"""
WITHOUT_ROOM_AND_KEY = """
ALTER TABLE pairing_codes DROP CONSTRAINT pairing_codes_phone_fk;
ALTER TABLE phones RESET (fillfactor);
"""

SIGNED_IN = models.Q(signed_out_at=None, token_hash__isnull=False, token_hmac__isnull=False)
SIGNED_OUT = models.Q(
    signed_out_at__isnull=False,
    token_hash=None,
    token_hmac=None,
    previous_token_hash=None,
    previous_token_hmac=None,
    name=None,
    joined_by=None,
    replaces=None,
)


class Migration(migrations.Migration):
    dependencies = [("devices", "0003_roles")]

    operations = [
        migrations.CreateModel(
            name="Phone",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "device_id",
                        "id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=models.CASCADE,
                        related_name="phones",
                        to="devices.device",
                    ),
                ),
                ("id", models.UUIDField(editable=False)),
                ("name", models.CharField(max_length=50, null=True)),
                ("token_hash", models.CharField(editable=False, max_length=60, null=True)),
                ("token_hmac", models.CharField(editable=False, max_length=73, null=True)),
                ("previous_token_hash", models.CharField(editable=False, max_length=60, null=True)),
                ("previous_token_hmac", models.CharField(editable=False, max_length=73, null=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("last_seen_at", models.DateTimeField(editable=False, null=True)),
                ("signed_out_at", models.DateTimeField(editable=False, null=True)),
                ("joined_by", models.CharField(editable=False, max_length=73, null=True)),
                ("replaces", models.UUIDField(editable=False, null=True)),
            ],
            options={
                "db_table": "phones",
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=SIGNED_IN | SIGNED_OUT, name="phones_token_while_signed_in"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(previous_token_hash=None, previous_token_hmac=None)
                        | models.Q(
                            previous_token_hash__isnull=False, previous_token_hmac__isnull=False
                        ),
                        name="phones_previous_token_is_whole",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(replaces=None) | models.Q(joined_by__isnull=False),
                        name="phones_replaces_on_joining",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(name=None) | ~models.Q(name=""),
                        name="phones_name_is_not_blank",
                    ),
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(joined_by__isnull=False),
                        fields=["joined_by"],
                        name="phones_by_code",
                    ),
                    models.Index(
                        condition=models.Q(signed_out_at__isnull=False),
                        fields=["signed_out_at"],
                        name="phones_signed_out",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="PairingCode",
            fields=[
                (
                    "device",
                    models.OneToOneField(
                        editable=False,
                        on_delete=models.CASCADE,
                        primary_key=True,
                        related_name="pairing_code",
                        serialize=False,
                        to="devices.device",
                    ),
                ),
                ("phone_id", models.UUIDField(editable=False)),
                ("is_move", models.BooleanField(editable=False)),
                ("digest", models.CharField(editable=False, max_length=73)),
                ("expires_at", models.DateTimeField(editable=False)),
            ],
            options={
                "db_table": "pairing_codes",
                "default_permissions": (),
                "indexes": [models.Index(fields=["digest"], name="pairing_codes_by_digest")],
            },
        ),
        migrations.CreateModel(
            name="RecoveryKey",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "device_id",
                        "id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("id", models.BigIntegerField(editable=False)),
                (
                    "device",
                    models.ForeignKey(
                        db_index=False,
                        editable=False,
                        on_delete=models.CASCADE,
                        related_name="recovery_keys",
                        to="devices.device",
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=64)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("expires_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "db_table": "recovery_keys",
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(expires_at=None),
                        fields=("device",),
                        name="recovery_keys_one_present",
                    )
                ],
                "indexes": [models.Index(fields=["digest"], name="recovery_keys_by_digest")],
            },
        ),
        migrations.RunSQL(ROOM_AND_KEY, WITHOUT_ROOM_AND_KEY),
        migrations.RunSQL(FUNCTION, WITHOUT_FUNCTION),
    ]
