from __future__ import annotations

from django.apps import AppConfig, apps
from django.conf import settings
from django.core import checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from countonme.server import timeouts


class CountOnMeConfig(AppConfig):
    """The project, and the packages that all apps use."""

    name = "countonme"
    verbose_name = "CountOnMe"

    def ready(self) -> None:
        """Register our system checks, and what `migrate` does at its end; both need the models."""
        from countonme.scope.checks import check_models, check_tables

        checks.register(check_models, checks.Tags.models)
        checks.register(check_tables, checks.Tags.database)
        # Django sends the signal only for apps with models, and this app has none.
        owner = apps.get_model(settings.DEVICE_MODEL)._meta.app_config
        post_migrate.connect(timeouts.set_on_role, sender=owner)
        if settings.METRICS_ADDRESS:
            from countonme.server import metrics

            settings.DATABASES["default"]["OPTIONS"]["cursor_factory"] = metrics.MeasuredCursor
            connection_created.connect(metrics.count_connection)
