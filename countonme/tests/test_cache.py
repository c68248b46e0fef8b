"""What throttles count in where Redis is configured and away."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches

from countonme.server.cache import ForgivingRedisCache
from tests.helpers.api import Api
from tests.helpers.caches import forget_caches


@pytest.fixture
def redis_at(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Configure a Redis at a port of this machine."""
    monkeypatch.setattr(ForgivingRedisCache, "away_until", None)

    def configure(port: int) -> None:
        redis = {
            "BACKEND": "countonme.server.cache.ForgivingRedisCache",
            "LOCATION": f"redis://127.0.0.1:{port}/0",
            "KEY_PREFIX": f"port-{port}",
            "OPTIONS": {"socket_timeout": 0.1, "socket_connect_timeout": 0.1},
        }
        settings.CACHES = {"default": redis, "shared": redis}
        forget_caches()

    return configure


@pytest.fixture
def refusing() -> int:
    """A port where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_it_works(redis_at: Any, refusing: int) -> None:
    redis_at(refusing)
    assert caches["shared"].add("key", 0, timeout=60)
    assert [caches["shared"].incr("key") for _ in range(3)] == [1, 2, 3]
    assert caches["shared"].get("key") == 3


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["refusing", "silent"])
def test_throttles_go_on(
    redis_at: Any, kind: str, request: pytest.FixtureRequest, settings: Any, nobody: Api
) -> None:
    redis_at(request.getfixturevalue(kind))
    answers = [nobody.post("/v1/auth/register", {}).status_code for _ in range(11)]
    assert answers == [422] * 10 + [429]


@pytest.mark.django_db
def test_the_device_throttle_goes_on(
    redis_at: Any, refusing: int, settings: Any, phone: Api
) -> None:
    redis_at(refusing)
    settings.DEVICE_THROTTLE = "2/day"
    assert [phone.get("/v1/products").status_code for _ in range(3)] == [200, 200, 429]


def test_it_is_said_once_in_the_log(
    redis_at: Any, refusing: int, caplog: pytest.LogCaptureFixture
) -> None:
    redis_at(refusing)
    for _ in range(3):
        caches["shared"].add("key", 0)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "each process counts for itself" in caplog.text


def test_it_is_asked_again_after_a_while(
    redis_at: Any, silent: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    redis_at(silent)
    caches["shared"].add("key", 0)
    assert ForgivingRedisCache.away_until is not None
    asked: list[str] = []

    def answer(self: Any, key: str, *args: Any, **kwargs: Any) -> bool:
        asked.append(key)
        return True

    monkeypatch.setattr("django.core.cache.backends.redis.RedisCache.add", answer)
    caches["shared"].add("too-soon", 0)
    monkeypatch.setattr(ForgivingRedisCache, "away_until", 0.0)
    caches["shared"].add("in-time", 0)
    caches["shared"].add("from-then-on", 0)
    assert asked == ["in-time", "from-then-on"]
    assert "Redis is back" in caplog.text
