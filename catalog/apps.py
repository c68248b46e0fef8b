from __future__ import annotations

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """The catalog: foods that everybody may look up."""

    name = "catalog"
