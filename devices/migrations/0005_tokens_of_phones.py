"""Tokens move from devices to their first phones, whose ids are the devices' own.

The version before can't serve from here on. Taken back, the tokens of first phones are good again;
those of phones that were added since are not.
"""

from django.db import migrations, models

TO_PHONES = """
INSERT INTO phones (
    device_id, id, token_hash, token_hmac, previous_token_hash, previous_token_hmac,
    created_at, last_seen_at, signed_out_at
)
SELECT id, id, token_hash, token_hmac, previous_token_hash, previous_token_hmac,
    created_at, last_seen_at, CASE WHEN token_hash IS NULL THEN statement_timestamp() END
FROM devices WHERE erased_at IS NULL
"""
# Runs last where the migration is taken back.
TO_DEVICES = """
UPDATE devices SET
    token_hash = first.token_hash,
    token_hmac = first.token_hmac,
    previous_token_hash = first.previous_token_hash,
    previous_token_hmac = first.previous_token_hmac,
    last_seen_at = (SELECT max(last_seen_at) FROM phones WHERE device_id = devices.id)
FROM phones AS first
WHERE first.device_id = devices.id AND first.id = devices.id;
DELETE FROM phones;
DELETE FROM recovery_keys;
"""

BLANK = models.Q(
    erased_at__isnull=False,
    created_at=None,
    blocked_at=None,
    blocked_reason="",
    revised_at=None,
    revised_in=None,
    recovery_key_created_at=None,
)


class Migration(migrations.Migration):
    dependencies = [("devices", "0004_phones")]

    operations = [
        migrations.RunSQL(TO_PHONES, TO_DEVICES),
        migrations.RemoveConstraint("device", "devices_erased_is_blank"),
        migrations.RemoveConstraint("device", "devices_token_is_whole"),
        migrations.RemoveConstraint("device", "devices_previous_token_is_whole"),
        migrations.RemoveField("device", "last_seen_at"),
        migrations.RemoveField("device", "token_hash"),
        migrations.RemoveField("device", "token_hmac"),
        migrations.RemoveField("device", "previous_token_hash"),
        migrations.RemoveField("device", "previous_token_hmac"),
        migrations.AddField(
            "device",
            "sign_outs",
            models.BigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            "device",
            "recovery_key_created_at",
            models.DateTimeField(editable=False, null=True),
        ),
        migrations.AddConstraint(
            "device",
            models.CheckConstraint(
                condition=models.Q(erased_at=None, created_at__isnull=False) | BLANK,
                name="devices_erased_is_blank",
            ),
        ),
    ]
