"""One row: GET, DELETE, and what is not there, by every call."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import time_machine

from tests.conformance.rows import Rows
from tests.helpers.api import Api, offences, request_body
from tests.helpers.sql import next_transaction, state
from tests.helpers.values import MALFORMED, WELL_FORMED

METHODS = ("GET", "PUT", "PATCH", "DELETE")


def call(phone: Api, method: str, path: str, body: Any) -> Any:
    return phone.request(method, path, body if method in ("PUT", "PATCH") else None)


def test_it_works(mine: Rows) -> None:
    row = mine.create()
    response = mine.phone.get(mine.path(row))
    assert response.status_code == 200
    assert response.json() == row
    assert list(response.json()) == mine.resource.answer


def test_a_get_takes_two_queries(mine: Rows, django_assert_num_queries: Any) -> None:
    path = mine.path(mine.create())
    with django_assert_num_queries(2):
        mine.phone.get(path)


def test_unknown_query_parameters_are_ignored(mine: Rows) -> None:
    row = mine.create()
    assert mine.phone.get(f"{mine.path(row)}?colour=red&limit=x").json() == row


def test_an_id_in_a_path_is_read_in_either_case(mine: Rows) -> None:
    row = mine.create(id=WELL_FORMED)
    for spelt in (WELL_FORMED.upper(), WELL_FORMED.title()):
        path = mine.path({"id": spelt})
        for method in ("GET", "PUT", "PATCH"):
            response = call(mine.phone, method, path, {})
            assert (response.status_code, response.json()) == (200, row)
    assert mine.phone.delete(mine.path({"id": WELL_FORMED.upper()})).status_code == 204
    assert mine.phone.get(mine.path(row)).status_code == 404


def test_what_is_not_there_is_404_and_answers_alike(mine: Rows, theirs: Rows) -> None:
    of_another_kind = mine.phone.weight if mine.resource.name == "water" else mine.phone.water
    gone = {
        "unknown": {"id": str(uuid.uuid4())},
        "deleted": mine.create(),
        "another device's": theirs.create(),
        "another kind's": of_another_kind(),
    }
    mine.phone.delete(mine.path(gone["deleted"]))
    next_transaction()
    before = state(mine.phone), state(theirs.phone)
    for fate, row in gone.items():
        for method in METHODS:
            response = call(mine.phone, method, mine.path(row), mine.resource.changes)
            assert response.status_code == 404, (fate, method)
            assert response.content == b'{"detail":"%s not found"}' % mine.resource.noun.encode()
    assert (state(mine.phone), state(theirs.phone)) == before


def test_a_malformed_id_in_a_path_is_404(mine: Rows) -> None:
    mine.create(id=WELL_FORMED)
    before = state(mine.phone)
    for malformed in MALFORMED:
        for method in METHODS:
            path = mine.path({"id": malformed})
            response = call(mine.phone, method, path, mine.resource.changes)
            assert response.status_code == 404, (method, malformed)
            assert response.json() == {"detail": f"{mine.resource.noun} not found"}
    assert state(mine.phone) == before


def test_a_body_is_checked_before_its_row_is_looked_up(mine: Rows) -> None:
    name, (sent, code) = next(iter(mine.resource.refused_updates.items()))
    for key in (str(uuid.uuid4()), "malformed"):
        for method in ("PUT", "PATCH"):
            response = mine.update(method, {"id": key}, request_body({}, **{name: sent}))
            assert offences(response) == [(["body", name], code)]


def test_a_trailing_slash_is_404(mine: Rows) -> None:
    for path in (mine.resource.path, mine.path(mine.create())):
        for method in (*METHODS, "POST"):
            response = mine.phone.request(method, f"{path}/", {})
            assert (response.status_code, response.json()) == (404, {"detail": "Not found"})


def test_other_methods_are_405_and_those_there_are_are_named(mine: Rows) -> None:
    of_all = {"POST", "GET", "HEAD"} if mine.resource.is_listed else {"POST"}
    of_one = {"GET", "HEAD", "PUT", "PATCH", "DELETE"}
    row = mine.create()
    before = state(mine.phone)
    for path, allowed in ((mine.resource.path, of_all), (mine.path(row), of_one)):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - allowed:
            response = mine.phone.request(method, path, {})
            assert (response.status_code, response.json()) == (
                405,
                {"detail": "Method not allowed"},
            )
            assert set(response.headers["Allow"].split(", ")) == allowed
    assert state(mine.phone) == before


def test_without_a_token_it_is_401(mine: Rows, nobody: Api) -> None:
    path = mine.path(mine.create())
    before = state(mine.phone)
    calls = [("POST", mine.resource.path), *((method, path) for method in METHODS)]
    if mine.resource.is_listed:
        calls.append(("GET", mine.resource.path))
    for method, called in calls:
        response = nobody.request(method, called, mine.body())
        assert response.status_code == 401
        assert response.json() == {"detail": "Invalid or expired token"}
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert state(mine.phone) == before


class TestDelete:
    def test_it_works(self, mine: Rows) -> None:
        others = [mine.create(n) for n in (1, 2)] if mine.resource.nth else []
        row = mine.create()
        response = mine.phone.delete(mine.path(row))
        assert (response.status_code, response.content) == (204, b"")
        assert "Content-Type" not in response.headers
        assert mine.phone.get(mine.path(row)).status_code == 404
        assert [mine.get(other) for other in others] == others

    def test_it_is_404_the_second_time(self, mine: Rows) -> None:
        path = mine.path(mine.create())
        mine.phone.delete(path)
        next_transaction()
        before = state(mine.phone)
        response = mine.phone.delete(path)
        assert response.status_code == 404
        assert response.json() == {"detail": f"{mine.resource.noun} not found"}
        assert state(mine.phone) == before

    def test_it_is_soft(self, mine: Rows) -> None:
        row = mine.create()
        before = mine.stored(row)
        next_transaction()
        with time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False):
            mine.phone.delete(mine.path(row))
        after = mine.stored(row)
        assert datetime.fromisoformat(after["deleted_at"]) == datetime(2030, 2, 5, tzinfo=UTC)
        assert after["revision"] > before["revision"]
        kept = before.keys() - {"deleted_at", "revision"}
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}

    def test_a_new_one_may_take_its_place(self, mine: Rows) -> None:
        row = mine.create()
        mine.phone.delete(mine.path(row))
        assert mine.create().items() >= mine.body().items()
