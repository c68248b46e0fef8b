from __future__ import annotations

from django.apps import AppConfig


class EntriesConfig(AppConfig):
    """What was eaten."""

    name = "entries"
