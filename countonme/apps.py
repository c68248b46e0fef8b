from __future__ import annotations

from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core import checks
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate

from countonme.server import timeouts


class CountOnMeConfig(AppConfig):
    """The project, and the packages that all apps use."""

    name = "countonme"
    verbose_name = "CountOnMe"

    def ready(self) -> None:
        """Register what needs the models: checks, the log of logins, the end of `migrate`."""
        from countonme.operators import site
        from countonme.scope.checks import check_models, check_tables

        user_logged_in.connect(site.log_sign_in)
        user_logged_out.connect(site.log_sign_out)
        checks.register(check_models, checks.Tags.models)
        checks.register(check_tables, checks.Tags.database)
        # Django sends the signal only for apps with models, and this app has none.
        owner = apps.get_model(settings.DEVICE_MODEL)._meta.app_config
        post_migrate.connect(timeouts.set_on_role, sender=owner)
        if settings.METRICS_ADDRESS:
            from countonme.server import metrics

            settings.DATABASES["default"]["OPTIONS"]["cursor_factory"] = metrics.MeasuredCursor
            connection_created.connect(metrics.count_connection)
