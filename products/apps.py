from __future__ import annotations

from django.apps import AppConfig


class ProductsConfig(AppConfig):
    """What can be eaten."""

    name = "products"
