from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class SyncConfig(AppConfig):
    """How a phone that was offline catches up."""

    name = "sync"

    def ready(self) -> None:
        """Find the tables that the apps sync."""
        autodiscover_modules("sync")
