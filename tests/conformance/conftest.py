"""Fixtures: the rows of each resource, at one phone and at another."""

from __future__ import annotations

import pytest

from tests.conformance.resources import RESOURCES, Resource
from tests.conformance.rows import Rows
from tests.helpers.api import Api


@pytest.fixture(params=RESOURCES, ids=str)
def resource(request: pytest.FixtureRequest) -> Resource:
    """Each resource, unless a test names its own."""
    chosen: Resource = request.param
    return chosen


@pytest.fixture
def mine(phone: Api, resource: Resource) -> Rows:
    """The resource's rows at a phone; there are none of its own making yet."""
    return Rows(phone, resource)


@pytest.fixture
def theirs(other: Api, resource: Resource) -> Rows:
    """Those of another device."""
    return Rows(other, resource)
