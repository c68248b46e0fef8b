from __future__ import annotations

from django.apps import AppConfig


class EntriesConfig(AppConfig):
    """Food entries: what was eaten."""

    name = "entries"
