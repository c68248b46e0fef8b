from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from countonme import timeouts


class CountOnMeConfig(AppConfig):
    """The kernel: what the apps share."""

    name = "countonme"
    verbose_name = "CountOnMe"

    def ready(self) -> None:
        post_migrate.connect(timeouts.set_on_role, sender=self)
