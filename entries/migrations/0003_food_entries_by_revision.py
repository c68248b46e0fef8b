"""An index by which sync finds what changed, built beside traffic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("entries", "0002_roles"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="foodentry",
            index=models.Index(fields=["device", "revision"], name="food_entries_by_revision"),
        ),
    ]
