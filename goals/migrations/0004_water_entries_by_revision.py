"""An index by which sync finds what changed, built beside traffic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("goals", "0003_body_weights_by_revision"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="waterentry",
            index=models.Index(fields=["device", "revision"], name="water_entries_by_revision"),
        ),
    ]
