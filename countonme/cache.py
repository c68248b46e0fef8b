"""A database cache that counts right when several processes count at once."""

from __future__ import annotations

from typing import Any

from django.core.cache.backends.db import DatabaseCache
from django.db import connections, router, transaction


class AtomicDatabaseCache(DatabaseCache):
    """Django's database cache, whose own `incr()` reads, adds and writes without a lock."""

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a counter and return it.

        Raises:
            ValueError: there is no such key.
        """
        database = router.db_for_write(self.cache_model_class)
        with transaction.atomic(using=database), connections[database].cursor() as cursor:
            name = self.make_key(key, version=version)
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
            return super().incr(key, delta, version=version)

    def get_many(self, keys: Any, version: int | None = None) -> dict[str, Any]:
        return super().get_many(keys, version=version)
