from __future__ import annotations

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """How a phone that was offline catches up."""

    name = "sync"
