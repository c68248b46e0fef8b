"""Caches between tests."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches

from devices import signing


def forget_caches() -> None:
    """Have caches made anew from the settings."""
    for cache in caches.all(initialized_only=True):
        cache.close()
    connections: Any = vars(caches)["_connections"]
    for alias in caches.settings:
        if hasattr(connections, alias):
            delattr(connections, alias)
    signing._keys.cache_clear()
