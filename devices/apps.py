from __future__ import annotations

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """Devices: who is calling."""

    name = "devices"

    def ready(self) -> None:
        """Register the OpenAPI description of device tokens."""
        from devices import schema  # noqa: F401  # drf-spectacular finds it by its class
