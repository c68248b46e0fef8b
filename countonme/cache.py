"""A database cache that counts right when several processes count at once."""

from __future__ import annotations

from django.core.cache.backends.db import DatabaseCache
from django.db import connections, router, transaction
from django.utils import timezone


class AtomicDatabaseCache(DatabaseCache):
    """Django's database cache, but for `incr()`: its own reads, adds and writes without a lock."""

    _table: str  # Django sets it, from LOCATION

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a counter, which expires when it would have, and return it.

        Raises:
            ValueError: there is no such key.
        """
        database = router.db_for_write(self.cache_model_class)
        with transaction.atomic(using=database), connections[database].cursor() as cursor:
            name = self.make_and_validate_key(key, version=version)
            table = connections[database].ops.quote_name(self._table)
            sql = f"SELECT expires FROM {table} WHERE cache_key = %s FOR UPDATE"  # noqa: S608  # ours
            cursor.execute(sql, [name])
            found = cursor.fetchone()
            value = self.get(key, version=version)
            if found is None or value is None:
                raise ValueError(f"Key '{key}' not found")
            left = (found[0] - timezone.now()).total_seconds()
            self.set(key, value + delta, timeout=left, version=version)
            return int(value) + delta
