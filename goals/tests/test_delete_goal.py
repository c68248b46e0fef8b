"""DELETE /v1/goals/{id}."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest
import time_machine

from goals.models import Goal
from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import MALFORMED, WELL_FORMED


def test_it_works(phone: Api) -> None:
    goal = phone.goal()
    response = phone.delete(f"/v1/goals/{goal['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert phone.get("/v1/goals/current").json() is None
    assert phone.get(f"/v1/goals/{goal['id']}").status_code == 404


def test_it_is_a_soft_delete(phone: Api) -> None:
    goal = phone.goal()
    moment = datetime(2030, 2, 5, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        phone.delete(f"/v1/goals/{goal['id']}")
    assert Goal._base_manager.get(pk=goal["id"]).deleted_at == moment


def test_the_goal_before_does_not_come_back(phone: Api) -> None:
    phone.goal()
    phone.delete(f"/v1/goals/{phone.goal()['id']}")
    assert phone.get("/v1/goals/current").json() is None


def test_a_new_one_can_be_set(phone: Api) -> None:
    phone.delete(f"/v1/goals/{phone.goal()['id']}")
    goal = phone.goal()
    assert phone.get("/v1/goals/current").json() == goal


def test_another_devices_stays(phone: Api, other: Api) -> None:
    theirs = other.goal()
    assert phone.delete(f"/v1/goals/{theirs['id']}").status_code == 404
    assert other.get("/v1/goals/current").json() == theirs


def test_a_malformed_id_is_404(phone: Api) -> None:
    goal = phone.goal(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.delete(f"/v1/goals/{malformed}")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Goal not found"}
    assert phone.get("/v1/goals/current").json() == goal


@pytest.mark.django_db(transaction=True)
def test_twice_at_once_deletes_once(phone: Api) -> None:
    path = f"/v1/goals/{phone.goal()['id']}"
    answers = at_once(*(partial(as_thread(phone).delete, path) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404]
