"""Caches that throttles count in: correct with several processes, usable without Redis."""

from __future__ import annotations

import logging
import time
from typing import Any, ClassVar

from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.db import connections, router, transaction
from django.utils import timezone
from redis import RedisError

logger = logging.getLogger(__name__)


class AtomicDatabaseCache(DatabaseCache):
    """Django's database cache with an atomic `incr()`: Django's own does not lock the row."""

    _table: str  # Django sets it, from LOCATION

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a counter without changing when it expires, and return it.

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


class ForgivingRedisCache(RedisCache):
    """Redis, for what throttles need. While it can't be reached, each process counts alone."""

    RETRY_SECONDS: ClassVar[float] = 5
    # On the class, because each thread has its own cache object, but all use one Redis.
    away_until: ClassVar[float | None] = None

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        limits = {"OPTIONS": {"MAX_ENTRIES": 100_000}}
        self._local = LocMemCache("while-redis-is-away", params | limits)

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return self._call("add", *args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        return self._call("get", *args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> Any:
        """Add to a counter and return it.

        Raises:
            ValueError: there is no such key.
        """
        return self._call("incr", *args, **kwargs)

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        away_until = ForgivingRedisCache.away_until
        if away_until is None or time.monotonic() >= away_until:
            try:
                answer = getattr(super(), method)(*args, **kwargs)
            except RedisError as error:
                if away_until is None:
                    reason = type(error).__name__
                    logger.error("Redis is away (%s): each process counts for itself", reason)
                ForgivingRedisCache.away_until = time.monotonic() + self.RETRY_SECONDS
            else:
                if away_until is not None:
                    logger.warning("Redis is back")
                    ForgivingRedisCache.away_until = None
                return answer
        return getattr(self._local, method)(*args, **kwargs)
