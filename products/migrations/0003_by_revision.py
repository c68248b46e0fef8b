from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # An index is built beside traffic, which no transaction can.
    atomic = False

    dependencies = [
        ("devices", "0003_roles"),
        ("products", "0002_roles"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="portion",
            index=models.Index(fields=["device", "revision"], name="portions_by_revision"),
        ),
        AddIndexConcurrently(
            model_name="product",
            index=models.Index(fields=["device", "revision"], name="products_by_revision"),
        ),
    ]
