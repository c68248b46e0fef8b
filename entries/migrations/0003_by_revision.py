from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is built beside traffic, which no transaction can.
    atomic = False

    dependencies = [
        ("devices", "0003_roles"),
        ("entries", "0002_roles"),
        ("products", "0003_by_revision"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="foodentry",
            index=models.Index(fields=["device", "revision"], name="food_entries_by_revision"),
        ),
    ]
