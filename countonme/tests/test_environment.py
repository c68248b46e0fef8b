"""What the environment sets: a wrong value is one sentence that names its variable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from countonme.server import environment

Read = Callable[[], Any]

REFUSED: list[tuple[Read, list[str]]] = [
    (lambda: environment.whole_number("SOME", 5, 1, 9), ["x", "-1", "0", "10", "1.5", "٣"]),
    (lambda: environment.flag("SOME", False), ["maybe", "2"]),
    (lambda: environment.rate("SOME", "10/min"), ["10", "x/min", "3/fortnight", "10/", "-1/min"]),
    (lambda: environment.log_level("SOME"), ["foo", "10"]),
    (lambda: environment.strings("SOME", ["*"]), ["[x", "[1]", '["a"']),
    (lambda: environment.redis_url("SOME"), ["foo", "http://host", "redis://host:port"]),
    (lambda: environment.address("SOME"), ["9464", ":9464", "host", "host:", "host:0", "host:x"]),
]
READ: list[tuple[Read, str, Any]] = [
    (lambda: environment.whole_number("SOME", 5, 1, 9), "9", 9),
    (lambda: environment.whole_number("SOME", 5, 1, 9), "", 5),
    (lambda: environment.flag("SOME", False), "True", True),
    (lambda: environment.flag("SOME", True), "off", False),
    (lambda: environment.flag("SOME", True), "", True),
    (lambda: environment.rate("SOME", "10/min"), "3/hour", "3/hour"),
    (lambda: environment.rate("SOME", "10/min"), "", ""),
    (lambda: environment.log_level("SOME"), "debug", "DEBUG"),
    (lambda: environment.strings("SOME", ["*"]), "a,b", ["a", "b"]),
    (lambda: environment.strings("SOME", ["*"]), '["a", "b"]', ["a", "b"]),
    (lambda: environment.redis_url("SOME"), "rediss://host:1/0", "rediss://host:1/0"),
    (lambda: environment.address("SOME"), "127.0.0.1:9464", ("127.0.0.1", 9464)),
    (lambda: environment.address("SOME"), "[::1]:9464", ("::1", 9464)),
    (lambda: environment.address("SOME"), "", None),
]


@pytest.mark.parametrize(
    ("read", "text"), [(read, text) for read, texts in REFUSED for text in texts]
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, read: Read, text: str) -> None:
    monkeypatch.setenv("SOME", text)
    with pytest.raises(ImproperlyConfigured, match=r"^SOME .*\.$"):
        read()


@pytest.mark.parametrize(("read", "text", "value"), READ)
def test_a_right_value_is_read(
    monkeypatch: pytest.MonkeyPatch, read: Read, text: str, value: Any
) -> None:
    monkeypatch.setenv("SOME", text)
    assert read() == value


@pytest.mark.parametrize(
    "url", ["foo", "http://host/name", "mysql://host/name", "postgres://host:port/name"]
)
def test_only_postgresql_is_a_database(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_URL must be a postgres:// URL\.$"):
        environment.postgresql(url)


def test_a_database_has_a_name() -> None:
    with pytest.raises(ImproperlyConfigured, match="must end with the name of a database"):
        environment.postgresql("postgres://user@host")


def test_no_sentence_shows_a_password() -> None:
    with pytest.raises(ImproperlyConfigured) as error:
        environment.postgresql("postgres://user:secret@host:port/name")
    assert "secret" not in str(error.value)


def test_a_database_may_have_several_hosts() -> None:
    url = "postgresql://user:secret@one:5433,two:5434/name?target_session_attrs=read-write"
    found = environment.postgresql(url)
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("one,two", "5433,5434", "name")
    assert found["OPTIONS"] == {"target_session_attrs": "read-write"}
