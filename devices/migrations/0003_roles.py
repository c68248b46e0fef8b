"""What Moderator and Support may do to the models of this app."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations

from countonme.scope.migrations import grant

# Superusers may do everything; only they erase, and revoke tokens.
ROLES = {"Moderator": ["view", "block"], "Support": ["view", "export"]}


def grant_roles(apps: Apps, schema_editor: Any) -> None:
    grant(apps, "devices", "Device", ROLES)


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0002_cache"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    # Backwards they stay: roles may have been given to operators, and permissions go with models.
    operations = [migrations.RunPython(grant_roles, migrations.RunPython.noop)]
