from __future__ import annotations

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """Who is calling."""

    name = "devices"
