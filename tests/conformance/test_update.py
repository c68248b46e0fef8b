"""PUT and PATCH, which do the same."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.conformance.rows import Rows
from tests.helpers.api import offences, request_body
from tests.helpers.sql import next_transaction, state

METHODS = ["PUT", "PATCH"]
each_method = pytest.mark.parametrize("method", METHODS)
LATER = datetime(2030, 2, 5, 12, 30, tzinfo=UTC)
CHANGED = {"updated_at": "2030-02-05T12:30:00Z"}


@pytest.fixture(autouse=True)
def row(mine: Rows) -> dict[str, Any]:
    """A row of a transaction before."""
    created = mine.create()
    next_transaction()
    return created


@each_method
def test_it_works(mine: Rows, row: dict[str, Any], method: str) -> None:
    with time_machine.travel(LATER, tick=False):
        response = mine.update(method, row, mine.resource.changes)
    assert response.status_code == 200
    assert response.json() == row | mine.resource.changes | CHANGED
    assert list(response.json()) == mine.resource.answer
    assert mine.get(row) == response.json()


@each_method
def test_a_field_left_out_keeps_its_value(mine: Rows, row: dict[str, Any], method: str) -> None:
    expected = row
    for name, value in mine.resource.changes.items():
        with time_machine.travel(LATER, tick=False):
            response = mine.update(method, row, {name: value})
        expected = expected | {name: value} | CHANGED
        assert (response.status_code, response.json()) == (200, expected)
    assert mine.get(row) == expected


@each_method
def test_one_that_changes_something_raises_the_revision(
    mine: Rows, row: dict[str, Any], method: str
) -> None:
    before = mine.stored(row)["revision"]
    tag = mine.phone.get(mine.path(row)).headers["ETag"]
    mine.update(method, row, mine.resource.changes)
    assert mine.stored(row)["revision"] > before
    assert mine.phone.get(mine.path(row)).headers["ETag"] != tag


@each_method
def test_a_whole_record_changed_and_sent_back_changes_that_alone(
    mine: Rows, row: dict[str, Any], method: str
) -> None:
    with time_machine.travel(LATER, tick=False):
        response = mine.update(method, row, row | mine.resource.changes)
    assert response.json() == row | mine.resource.changes | CHANGED


def test_one_that_changes_nothing_leaves_updated_at_and_the_revision(
    mine: Rows, row: dict[str, Any]
) -> None:
    before = state(mine.phone)
    tag = mine.phone.get(mine.path(row)).headers["ETag"]
    for method in METHODS:
        for body in ({}, row, mine.body(), {"colour": "red"}):
            response = mine.update(method, row, body)
            assert (response.status_code, response.json()) == (200, row), (method, body)
    assert state(mine.phone) == before
    assert mine.phone.get(mine.path(row)).headers["ETag"] == tag


def test_unknown_and_read_only_fields_are_ignored(
    mine: Rows, theirs: Rows, row: dict[str, Any]
) -> None:
    ignored = theirs.of_the_server()
    before = state(mine.phone)
    for method in METHODS:
        assert mine.update(method, row, ignored).json() == row
    assert state(mine.phone) == before


def test_an_id_in_the_body_is_ignored(mine: Rows, theirs: Rows, row: dict[str, Any]) -> None:
    others = [theirs.create()] + ([mine.create(1)] if mine.resource.nth else [])
    for method in METHODS:
        for key in (*(other["id"] for other in others), str(uuid.uuid4()), "x", None):
            assert mine.update(method, row, {"id": key}).json() == row
    with time_machine.travel(LATER, tick=False):
        response = mine.update("PUT", row, {"id": others[-1]["id"], **mine.resource.changes})
    assert response.json() == row | mine.resource.changes | CHANGED
    assert theirs.get(others[0]) == others[0]
    assert len(others) == 1 or mine.get(others[1]) == others[1]


def test_every_offending_field_is_listed_and_none_lets_another_through(
    mine: Rows, row: dict[str, Any]
) -> None:
    wrong = mine.resource.refused_updates
    before = state(mine.phone)
    everything = request_body({}, **{name: sent for name, (sent, _) in wrong.items()})
    expected = [(["body", name], code) for name, (_, code) in wrong.items()]
    for method in METHODS:
        assert sorted(offences(mine.update(method, row, everything))) == sorted(expected)
        for name, (sent, code) in wrong.items():
            body = request_body(mine.resource.changes, **{name: sent})
            assert offences(mine.update(method, row, body)) == [(["body", name], code)]
    assert state(mine.phone) == before


def test_a_body_that_is_no_json_object_is_400(mine: Rows, row: dict[str, Any]) -> None:
    before = state(mine.phone)
    for method in METHODS:
        for body in (b"[]", b"null", b'"x"', b"1", b"{", b'{"colour": NaN}'):
            response = mine.update(method, row, body)
            assert (response.status_code, list(response.json())) == (400, ["detail"]), body
    assert state(mine.phone) == before
