from __future__ import annotations

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.db.models.signals import post_migrate

from countonme.server import timeouts


class CountOnMeConfig(AppConfig):
    """The project, and what the apps stand on."""

    name = "countonme"
    verbose_name = "CountOnMe"

    def ready(self) -> None:
        """Register what `check` and `migrate` do beyond Django's own; it needs the models."""
        from countonme.scope.checks import check_models, check_tables

        checks.register(check_models, checks.Tags.models)
        checks.register(check_tables, checks.Tags.database)
        # Django sends the signal for apps with models alone.
        owner = apps.get_model(settings.DEVICE_MODEL)._meta.app_config
        post_migrate.connect(timeouts.set_on_role, sender=owner)
