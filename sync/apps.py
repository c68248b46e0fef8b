from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class SyncConfig(AppConfig):
    """Sync of phones that were offline."""

    name = "sync"

    def ready(self) -> None:
        """Import each app's `sync.py`, which registers the tables to sync."""
        autodiscover_modules("sync")
