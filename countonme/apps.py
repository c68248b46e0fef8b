from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class CountOnMeConfig(AppConfig):
    """The kernel: what the apps share."""

    name = "countonme"
    verbose_name = "CountOnMe"

    def ready(self) -> None:
        """Register the checks, which need the models."""
        from countonme.checks import check_models, check_tables

        checks.register(check_models, checks.Tags.models)
        checks.register(check_tables, checks.Tags.database)
