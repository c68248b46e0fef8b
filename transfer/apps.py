from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class TransferConfig(AppConfig):
    """A device's data on its way out and in."""

    name = "transfer"

    def ready(self) -> None:
        """Import each app's `transfer.py`: its rules of an import, and other apps' formats."""
        autodiscover_modules("transfer")
