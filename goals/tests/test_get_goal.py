"""GET /v1/goals/{id} and GET /v1/goals/current."""

from __future__ import annotations

from typing import Any

import pytest

from goals.serializers import METRICS
from tests.helpers.api import Api


def test_it_works(phone: Api) -> None:
    for set_goal in (phone.goal, lambda: phone.post("/v1/goals/calculated", METRICS).json()):
        goal = set_goal()
        for path in (f"/v1/goals/{goal['id']}", "/v1/goals/current"):
            response = phone.get(path)
            assert response.status_code == 200
            assert response.json() == goal


def test_without_a_goal_the_current_one_is_null(phone: Api, other: Api) -> None:
    other.goal()
    response = phone.get("/v1/goals/current")
    assert response.status_code == 200
    assert response.content == b"null"
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["ETag"]


def test_a_replaced_goal_is_404(phone: Api) -> None:
    goal = phone.goal()
    phone.goal()
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        path = f"/v1/goals/{goal['id']}"
        response = phone.request(method, path, {} if method[0] == "P" else None)
        assert response.status_code == 404
        assert response.json() == {"detail": "Goal not found"}


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/goals/current", "GET, HEAD"),
        ("/v1/goals/calculate", "POST"),
        ("/v1/goals/calculated", "POST"),
        ("/v1/goals/manual", "POST"),
        ("/v1/goals/progress", "GET, HEAD"),
    ],
)
def test_a_word_in_the_place_of_the_id_is_a_call_of_its_own(
    phone: Api, path: str, allowed: str
) -> None:
    response = phone.delete(path)
    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) >= set(allowed.split(", ")) - {"HEAD"}


def test_the_current_goal_takes_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    phone.goal()
    with django_assert_num_queries(2):
        phone.get("/v1/goals/current")


@pytest.mark.django_db(transaction=True)
def test_the_current_goals_etag_changes_with_it(phone: Api) -> None:
    tags = [phone.get("/v1/goals/current").headers["ETag"]]
    phone.goal()
    tags.append(phone.get("/v1/goals/current").headers["ETag"])
    goal = phone.goal()
    tags.append(phone.get("/v1/goals/current").headers["ETag"])
    phone.patch(f"/v1/goals/{goal['id']}", {"water_ml": 1})
    tags.append(phone.get("/v1/goals/current").headers["ETag"])
    assert len(set(tags)) == 4
    response = phone.get("/v1/goals/current", **{"If-None-Match": tags[-1]})
    assert (response.status_code, response.content) == (304, b"")
