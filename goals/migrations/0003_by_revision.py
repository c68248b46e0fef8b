from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is built beside traffic, which no transaction can.
    atomic = False

    dependencies = [
        ("devices", "0003_roles"),
        ("goals", "0002_roles"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="bodyweight",
            index=models.Index(fields=["device", "revision"], name="body_weights_by_revision"),
        ),
        AddIndexConcurrently(
            model_name="waterentry",
            index=models.Index(fields=["device", "revision"], name="water_entries_by_revision"),
        ),
    ]
