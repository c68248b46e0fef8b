"""Devices, and the functions by which the database keeps revisions and refuses."""

import uuid

import django.utils.timezone
from django.db import migrations, models

from countonme.scope import triggers


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
                "default_permissions": ("view", "block", "revoke", "export", "erase"),
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
        triggers.device_table(),
        triggers.revision_functions(),
    ]
