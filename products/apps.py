from __future__ import annotations

from django.apps import AppConfig


class ProductsConfig(AppConfig):
    """Products and their portions: what can be eaten."""

    name = "products"
