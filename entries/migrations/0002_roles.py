"""What Moderator and Support may do to the models of this app."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations

from countonme.operators import roles


def grant(apps: Apps, schema_editor: Any) -> None:
    roles.grant(apps, apps.get_app_config("entries"), "row")


class Migration(migrations.Migration):
    dependencies = [
        ("entries", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    # Backwards they stay: roles may have been given to operators, and permissions go with models.
    operations = [migrations.RunPython(grant, migrations.RunPython.noop)]
