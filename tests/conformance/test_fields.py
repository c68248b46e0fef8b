"""What each field takes and refuses, in new rows and in updates."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from tests.conformance.resources import RESOURCES
from tests.conformance.rows import Rows
from tests.conformance.rules import Rule
from tests.helpers.api import offences, request_body
from tests.helpers.sql import state

EITHER_WAY = [("PUT", "PATCH"), ("PATCH", "PUT")]


def each_rule(of: str, what: str) -> pytest.MarkDecorator:
    """Run a test for each rule, of what creates a row or updates it, that keeps or refuses any.

    The fields that share a rule are tried together.
    """
    params = []
    for resource in RESOURCES:
        fields = getattr(resource, of)
        sharing: dict[int, list[str]] = {}
        for name, rule in fields.items():
            if getattr(rule, what):
                sharing.setdefault(id(rule), []).append(name)
        params += [
            pytest.param(resource, names, fields[names[0]], id=f"{resource}-{'-'.join(names)}")
            for names in sharing.values()
        ]
    return pytest.mark.parametrize(("resource", "names", "rule"), params)


def assert_kept(row: dict[str, Any], names: list[str], kept: Any, sent: str) -> None:
    """An integer is one in JSON too, nothing is -0; else numbers are alike however written."""
    for found in (row[name] for name in names):
        assert found == kept, sent
        assert found != 0 or str(found)[0] != "-", sent
        if isinstance(kept, int):
            assert type(found) is type(kept), sent


def assert_refused(response: Any, names: list[str], code: str, sent: str) -> None:
    assert sorted(offences(response)) == [(["body", name], code) for name in sorted(names)], sent


@each_rule("fields", "kept")
def test_what_is_kept(mine: Rows, names: list[str], rule: Rule, settings: Any) -> None:
    mine.set_quota(settings, 1000)
    for n, (sent, kept) in enumerate(rule.kept.items()):
        response = mine.post(n, **dict.fromkeys(names, sent))
        assert response.status_code == 201, (sent, response.content)
        assert_kept(response.json(), names, kept, sent)
        assert mine.get(response.json()) == response.json(), sent


@each_rule("fields", "refused")
def test_what_is_refused(mine: Rows, names: list[str], rule: Rule) -> None:
    before = state(mine.phone)
    for sent, code in rule.refused.items():
        assert_refused(mine.post(**dict.fromkeys(names, sent)), names, code, sent)
    for sent in ("NaN", "Infinity", "-Infinity"):
        assert mine.post(**dict.fromkeys(names, sent)).status_code == 400, sent
    assert state(mine.phone) == before


@each_rule("updates", "kept")
def test_what_an_update_keeps_and_that_the_same_again_changes_nothing(
    mine: Rows, names: list[str], rule: Rule
) -> None:
    row = mine.create()
    for (sent, kept), methods in zip(rule.kept.items(), cycle(EITHER_WAY), strict=False):
        body = request_body({}, **dict.fromkeys(names, sent))
        first, again = (mine.update(method, row, body) for method in methods)
        assert first.status_code == 200, (sent, first.content)
        assert_kept(first.json(), names, kept, sent)
        assert again.json() == first.json(), sent


@each_rule("updates", "refused")
def test_what_an_update_refuses(mine: Rows, names: list[str], rule: Rule) -> None:
    row = mine.create()
    before = state(mine.phone)
    for (sent, code), (method, _) in zip(rule.refused.items(), cycle(EITHER_WAY), strict=False):
        response = mine.update(method, row, request_body({}, **dict.fromkeys(names, sent)))
        assert_refused(response, names, code, sent)
    assert state(mine.phone) == before
