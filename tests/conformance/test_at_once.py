"""What arrives at the same moment, over all resources: each has a device of its own."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest

from tests.conformance.resources import RESOURCES
from tests.conformance.rows import Rows
from tests.helpers.api import new_phone
from tests.helpers.sql import state
from tests.helpers.threads import as_thread, at_once

pytestmark = pytest.mark.django_db(transaction=True)


def rows_of_each() -> list[Rows]:
    return [Rows(new_phone(), resource) for resource in RESOURCES]


def statuses(answers: list[Any]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


def in_threads(rows: Rows, count: int, method: str, path: str, body: Any = None) -> list[Any]:
    """Send the same request so many times at once."""
    return at_once(
        *(partial(as_thread(rows.phone).request, method, path, body) for _ in range(count))
    )


def test_requests_of_one_id_create_one_row() -> None:
    for rows, alone in zip(rows_of_each(), rows_of_each(), strict=True):
        alone.create()
        body = rows.body(id=str(uuid.uuid4()))
        answers = in_threads(rows, 4, "POST", rows.resource.path, body)
        assert statuses(answers) == [200, 200, 200, 201], rows.resource
        assert len({answer.content for answer in answers}) == 1, rows.resource
        assert rows.get(body) == answers[0].json(), rows.resource
        assert len(state(rows.phone)) == len(state(alone.phone)), rows.resource


def test_two_devices_that_choose_one_id_have_a_row_each() -> None:
    for mine, theirs in zip(rows_of_each(), rows_of_each(), strict=True):
        body = mine.body(id=str(uuid.uuid4()))
        answers = at_once(
            *(
                partial(as_thread(rows.phone).post, rows.resource.path, body)
                for rows in (mine, theirs)
            )
        )
        assert statuses(answers) == [201, 201], mine.resource
        assert {answer.json()["id"] for answer in answers} == {body["id"]}


def test_a_row_that_is_deleted_twice_is_deleted_once() -> None:
    for rows in rows_of_each():
        path = rows.path(rows.create())
        assert statuses(in_threads(rows, 3, "DELETE", path)) == [204, 404, 404], rows.resource


def test_a_quota_holds(settings: Any) -> None:
    for rows in rows_of_each():
        if rows.resource.quota:
            rows.create()
            rows.fill_quota(settings)
            rows.set_quota(settings, len(rows.list()) + 1)
            answers = in_threads(rows, 4, "POST", rows.resource.path, rows.body())
            assert statuses(answers) == [201, 409, 409, 409], rows.resource
