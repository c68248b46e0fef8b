from __future__ import annotations

from django.apps import AppConfig


class CountOnMeConfig(AppConfig):
    """The kernel: what the apps share."""

    name = "countonme"
    verbose_name = "CountOnMe"
