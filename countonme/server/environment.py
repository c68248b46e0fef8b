"""What the environment sets. A wrong value is a sentence that names its variable."""

from __future__ import annotations

import os
import re
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE = {"true", "on", "ok", "y", "yes", "1"}
FALSE = {"false", "off", "n", "no", "0"}
# What DRF's throttles know: so many calls in a second, a minute, an hour or a day.
RATE = re.compile(r"[0-9]+/(s|sec|second|m|min|minute|h|hour|d|day)")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

SCHEMES = {"postgres", "postgresql", "psql", "pgsql"}

env = environ.Env()


def whole_number(name: str, default: int, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    """Return a whole number; an empty text counts as not set.

    Raises:
        ImproperlyConfigured: it is none, or out of bounds.
    """
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and minimum <= int(text) <= maximum):
        raise ImproperlyConfigured(
            f"{name} must be a whole number from {minimum} to {maximum}, not {text}."
        )
    return int(text)


def flag(name: str, default: bool) -> bool:
    """Return true or false; an empty text counts as not set.

    Raises:
        ImproperlyConfigured: it is neither.
    """
    text = os.environ.get(name, "").strip().lower()
    if text and text not in TRUE | FALSE:
        raise ImproperlyConfigured(f"{name} must be true or false, not {text}.")
    return text in TRUE if text else default


def rate(name: str, default: str) -> str:
    """Return a rate such as `10/min`; an empty text is no limit.

    Raises:
        ImproperlyConfigured: it is no rate.
    """
    text = os.environ.get(name, default)
    if text and not RATE.fullmatch(text):
        raise ImproperlyConfigured(
            f"{name} must be a number per second, minute, hour or day, such as {default}, "
            f"not {text}."
        )
    return text


def log_level(name: str = "LOG_LEVEL", default: str = "INFO") -> str:
    """Return the name of a level of Python's logging.

    Raises:
        ImproperlyConfigured: there is no such level.
    """
    text = (os.environ.get(name) or default).upper()
    if text not in LOG_LEVELS:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(LOG_LEVELS)}, not {text}.")
    return text


def strings(name: str, default: list[str]) -> list[str]:
    """Return strings, which are separated by commas or a JSON list.

    Raises:
        ImproperlyConfigured: it begins like a JSON list, and is none of strings.
    """
    if not os.environ.get(name, "").startswith("["):
        found: list[str] = env.list(name, default=default)
        return found
    try:
        listed = env.json(name)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
        raise ImproperlyConfigured(f"{name} is no JSON list of strings.")
    return listed


def postgresql(url: str) -> dict[str, Any]:
    """Return Django's settings of the database at a URL. It may hold a password: nothing shows it.

    Raises:
        ImproperlyConfigured: it is no URL of a PostgreSQL database.
    """
    # Of a URL that it does not know, django-environ prints the password in a warning.
    is_ours = url.partition("://")[0] in SCHEMES and "://" in url
    try:
        found: dict[str, Any] = env.db_url_config(url) if is_ours else {}
    except ValueError:
        found = {}
    if not found:
        raise ImproperlyConfigured("DATABASE_URL must be a postgres:// URL.")
    if not found["NAME"]:
        raise ImproperlyConfigured(
            "DATABASE_URL must end with the name of a database: postgres://user@host/name."
        )
    return found


def address(name: str) -> tuple[str, int] | None:
    """Return a host and a port, such as `127.0.0.1:9464`; None if it is not set.

    Raises:
        ImproperlyConfigured: it is no address.
    """
    text = os.environ.get(name, "")
    host, _, port = text.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and 0 < int(port) <= 65535
    if text and not (host and is_port):
        raise ImproperlyConfigured(f"{name} must be a host and a port, 127.0.0.1:9464, not {text}.")
    return (host.strip("[]"), int(port)) if text else None


def redis_url(name: str = "CACHE_URL") -> str:
    """Return the URL of a Redis, or an empty text for none. It may hold a password, too.

    Raises:
        ImproperlyConfigured: it is no such URL.
    """
    url = os.environ.get(name, "")
    if url:
        from redis import ConnectionPool

        try:
            ConnectionPool.from_url(url)
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} must be a redis://, rediss:// or unix:// URL."
            ) from None
    return url
