from __future__ import annotations

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """Who is calling."""

    name = "devices"

    def ready(self) -> None:
        """Have the document know the tokens."""
        from devices import schema  # noqa: F401  # drf-spectacular finds it by its class
