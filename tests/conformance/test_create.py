"""POST: a new row, the same request once more, and the client's own ids."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.conf import settings as configured

from tests.conformance.resources import RESOURCES
from tests.conformance.rows import Rows
from tests.helpers.api import offences, request_body
from tests.helpers.sql import next_transaction, state
from tests.helpers.values import NOT_IDS

ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
TAKEN = {"detail": "ID already in use"}
with_quota = pytest.mark.parametrize(
    "resource", [resource for resource in RESOURCES if resource.quota], ids=str
)


def test_it_works(mine: Rows) -> None:
    with time_machine.travel(datetime(2030, 2, 5, 12, 30, tzinfo=UTC), tick=False):
        response = mine.post()
    assert response.status_code == 201
    row = response.json()
    assert list(row) == mine.resource.answer
    assert row.items() >= mine.body().items()
    assert str(uuid.UUID(row["id"])) == row["id"]
    assert (row["created_at"], row["updated_at"]) == ("2030-02-05T12:30:00Z", None)
    assert mine.get(row) == row
    assert not mine.resource.is_listed or row in mine.list()


def test_a_required_field_is_missed(mine: Rows) -> None:
    for name in mine.resource.required:
        body = {field: value for field, value in mine.body().items() if field != name}
        assert offences(mine.send(body)) == [(["body", name], "required")]


def test_every_offending_field_is_listed(mine: Rows) -> None:
    missing = mine.resource.required[0]
    wrong = mine.resource.refused | {"id": ('"x"', "invalid")}
    wrong.pop(missing, None)
    body = {name: value for name, value in mine.body().items() if name != missing}
    sent = request_body(body, **{name: text for name, (text, _) in wrong.items()})
    expected = [(["body", name], code) for name, (_, code) in wrong.items()]
    assert sorted(offences(mine.send(sent))) == sorted([*expected, (["body", missing], "required")])


def test_a_body_that_is_no_json_object_is_400(mine: Rows) -> None:
    for body in (b"[]", b"null", b'"x"', b"1", b"{", b'[{"name": "Rice"}]', b'{"colour": NaN}'):
        response = mine.phone.post(mine.resource.path, body)
        assert (response.status_code, list(response.json())) == (400, ["detail"]), body


def test_unknown_and_read_only_fields_are_ignored(mine: Rows, theirs: Rows) -> None:
    plain = mine.create()
    expected = mine.stored(plain)
    mine.phone.delete(mine.path(plain))
    ignored = theirs.of_the_server()
    row = mine.create(**ignored)
    assert list(row) == mine.resource.answer
    stored = mine.stored(row)
    assert stored["id"] != expected.pop("id")
    assert stored["created_at"] != expected.pop("created_at")
    assert {name: stored[name] for name in expected} == expected


class TestId:
    def test_a_client_may_choose_it(self, mine: Rows) -> None:
        for chosen in (ID, str(uuid.UUID(int=0)), str(uuid.UUID(int=2**128 - 1))):
            row = mine.create(id=chosen)
            assert (row["id"], mine.get({"id": chosen})) == (chosen, row)
            mine.phone.delete(mine.path(row))

    def test_it_is_read_in_either_case_and_answered_in_lower(self, mine: Rows) -> None:
        for n, spell in enumerate((str.upper, str.title)):
            chosen = str(uuid.uuid4())
            row = mine.create(n, id=spell(chosen))
            assert row["id"] == chosen
            for again in (chosen, chosen.upper(), chosen.title()):
                repeated = mine.post(n, {"id": again})
                assert (repeated.status_code, repeated.json()) == (200, row)

    def test_null_and_an_empty_string_are_none(self, mine: Rows) -> None:
        ids = {mine.create(n, id=sent)["id"] for n, sent in enumerate((None, "", " "))}
        assert len(ids) == 3

    def test_a_malformed_one_is_refused(self, mine: Rows) -> None:
        before = state(mine.phone)
        for sent in NOT_IDS:
            assert offences(mine.post(id=sent)) == [(["body", "id"], "invalid")], sent
        assert state(mine.phone) == before

    def test_of_a_deleted_row_it_is_409_in_either_case(self, mine: Rows) -> None:
        mine.create(id=ID)
        mine.phone.delete(mine.path({"id": ID}))
        current = None if mine.resource.nth else mine.create()
        before = state(mine.phone)
        for spelt in (ID, ID.upper()):
            response = mine.post(0, {**mine.resource.changes, "id": spelt})
            assert (response.status_code, response.json()) == (409, TAKEN)
        assert state(mine.phone) == before
        assert current is None or mine.get(current) == current

    def test_that_another_device_has_it_or_had_it_changes_nothing(
        self, mine: Rows, theirs: Rows
    ) -> None:
        deleted = theirs.create()
        theirs.phone.delete(theirs.path(deleted))
        live = theirs.create()
        before = state(theirs.phone)
        for n, chosen in enumerate((deleted["id"], live["id"])):
            row = mine.create(n, id=chosen)
            assert (row["id"], mine.get(row)) == (chosen, row)
        assert state(theirs.phone) == before

    def test_of_another_kind_of_row_it_is_free(self, mine: Rows) -> None:
        other = mine.phone.weight if mine.resource.name == "water" else mine.phone.water
        taken = other(date="2030-01-01")["id"]
        assert mine.create(id=taken)["id"] == taken


class TestRepeatedRequest:
    def test_it_answers_200_and_changes_nothing(self, mine: Rows) -> None:
        row = mine.create(id=ID)
        next_transaction()
        before = state(mine.phone)
        for values in ({}, mine.resource.changes):
            again = mine.post(0, {**values, "id": ID})
            assert (again.status_code, again.json()) == (200, row)
        assert state(mine.phone) == before

    def test_it_answers_the_row_as_it_is_by_now(self, mine: Rows) -> None:
        row = mine.create()
        changed = mine.update("PATCH", row, mine.resource.changes).json()
        again = mine.post(0, {"id": row["id"]})
        assert (again.status_code, again.json()) == (200, changed)

    def test_it_is_validated(self, mine: Rows) -> None:
        row = mine.create()
        for name, (sent, code) in mine.resource.refused.items():
            response = mine.post(0, {"id": row["id"]}, **{name: sent})
            assert offences(response) == [(["body", name], code)]


@with_quota
class TestQuota:
    def test_it_is_that_of_the_contract(self, mine: Rows) -> None:
        assert mine.resource.quota
        assert getattr(configured, mine.resource.quota.setting) == mine.resource.quota.value

    def test_what_is_over_it_is_409_and_nothing_is_written(
        self, mine: Rows, theirs: Rows, settings: Any
    ) -> None:
        first = mine.create()
        full = mine.fill_quota(settings)
        next_transaction()
        before = state(mine.phone)
        response = mine.post()
        assert (response.status_code, response.json()) == (409, {"detail": full})
        assert state(mine.phone) == before
        theirs.create()
        mine.phone.delete(mine.path(first))
        mine.create()
        assert mine.post().status_code == 409

    def test_a_repeated_request_is_safe_at_it(self, mine: Rows, settings: Any) -> None:
        row = mine.create()
        mine.fill_quota(settings)
        again = mine.post(0, {"id": row["id"]})
        assert (again.status_code, again.json()) == (200, row)

    def test_an_update_does_not_count(self, mine: Rows, settings: Any) -> None:
        row = mine.create()
        mine.fill_quota(settings)
        for method in ("PUT", "PATCH"):
            assert mine.update(method, row, mine.resource.changes).status_code == 200
