from __future__ import annotations

from django.apps import AppConfig


class GoalsConfig(AppConfig):
    """Goals, body weights and water."""

    name = "goals"
