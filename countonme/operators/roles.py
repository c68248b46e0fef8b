"""What each role of operators may do."""

from __future__ import annotations

from django.apps import AppConfig
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions

# What each role may do to devices, and to the rows that they own. Superusers may do everything;
# only they erase, and delete for ever.
ROLES = {
    "Moderator": {"device": ["view", "block"], "row": ["view", "soft_delete", "restore"]},
    "Support": {"device": ["view", "export"], "row": ["view"]},
}


def grant(apps: Apps, config: AppConfig, kind: str) -> None:
    """Give the roles their permissions on an app's models, in a migration.

    Args:
        apps: the migration's registry.
        config: the app; its models' permissions are created, which Django would do only later.
        kind: what its models are, "device" or "row".
    """
    # Django passes over apps without models, which a migration's stub of an app looks like.
    config.models_module = config  # type: ignore[assignment]  # asked for its truth alone
    create_permissions(config, apps=apps, verbosity=0)
    group_model = apps.get_model("auth", "Group")
    permissions = apps.get_model("auth", "Permission").objects
    for role, actions in ROLES.items():
        group, _ = group_model.objects.get_or_create(name=role)
        for model in config.get_models():
            names = [f"{action}_{model._meta.model_name}" for action in actions[kind]]
            owned = permissions.filter(content_type__app_label=config.label, codename__in=names)
            group.permissions.add(*owned)
