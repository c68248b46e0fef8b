"""An index by which sync finds what changed, built beside traffic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("products", "0003_products_by_revision"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="portion",
            index=models.Index(fields=["device", "revision"], name="portions_by_revision"),
        ),
    ]
