"""What each field takes and refuses, in new rows and in updates."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from tests.conformance.resources import RESOURCES
from tests.conformance.rows import Rows
from tests.helpers.api import offences, request_body
from tests.helpers.sql import state

EITHER_WAY = cycle([("PUT", "PATCH"), ("PATCH", "PUT")])


def each_field(of: str) -> pytest.MarkDecorator:
    """Run a test for each field that is sent to create a row, or to update it."""
    pairs = [(resource, name) for resource in RESOURCES for name in getattr(resource, of)]
    return pytest.mark.parametrize(
        ("resource", "name"), [pytest.param(*pair, id="-".join(map(str, pair))) for pair in pairs]
    )


def assert_kept(found: Any, kept: Any, sent: str) -> None:
    """An integer is one in JSON too, nothing is -0; else numbers are alike however written."""
    assert found == kept, sent
    assert found != 0 or str(found)[0] != "-", sent
    if isinstance(kept, int):
        assert type(found) is type(kept), sent


@each_field("fields")
def test_what_is_kept(mine: Rows, name: str, settings: Any) -> None:
    mine.set_quota(settings, 1000)
    for n, (sent, kept) in enumerate(mine.resource.fields[name].kept.items()):
        response = mine.post(n, **{name: sent})
        assert response.status_code == 201, (sent, response.content)
        assert_kept(response.json()[name], kept, sent)
        assert mine.get(response.json()) == response.json(), sent


@each_field("fields")
def test_what_is_refused(mine: Rows, name: str) -> None:
    before = state(mine.phone)
    for sent, code in mine.resource.fields[name].refused.items():
        assert offences(mine.post(**{name: sent})) == [(["body", name], code)], sent
    for sent in ("NaN", "Infinity", "-Infinity"):
        assert mine.post(**{name: sent}).status_code == 400, sent
    assert state(mine.phone) == before


@each_field("updates")
def test_what_an_update_keeps_and_that_the_same_again_changes_nothing(
    mine: Rows, name: str
) -> None:
    row = mine.create()
    kept_of = mine.resource.updates[name].kept
    for (sent, kept), methods in zip(kept_of.items(), EITHER_WAY, strict=False):
        body = request_body({}, **{name: sent})
        first, again = (mine.update(method, row, body) for method in methods)
        assert first.status_code == 200, (sent, first.content)
        assert_kept(first.json()[name], kept, sent)
        assert again.json() == first.json() == mine.get(row), sent


@each_field("updates")
def test_what_an_update_refuses(mine: Rows, name: str) -> None:
    row = mine.create()
    before = state(mine.phone)
    for method in ("PUT", "PATCH"):
        for sent, code in mine.resource.updates[name].refused.items():
            response = mine.update(method, row, request_body({}, **{name: sent}))
            assert offences(response) == [(["body", name], code)], sent
    assert state(mine.phone) == before
