"""Fixtures of all tests: phones that call the API."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.api import Api, new_phone
from tests.helpers.caches import forget_caches


@pytest.fixture
def phone(db: None) -> Api:
    """A registered device."""
    return new_phone()


@pytest.fixture
def other(db: None) -> Api:
    """Another registered device."""
    return new_phone()


@pytest.fixture
def nobody(db: None) -> Api:
    """A client without a token."""
    return Api()


@pytest.fixture(autouse=True)
def own_cache(settings: Any) -> Iterator[None]:
    """Give each test its own keys in the caches, which other workers may use too."""
    prefix = uuid.uuid4().hex
    for alias in settings.CACHES:
        settings.CACHES[alias]["KEY_PREFIX"] = prefix
    forget_caches()
    yield
    forget_caches()
