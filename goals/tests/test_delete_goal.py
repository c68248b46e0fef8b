"""DELETE /v1/goals/{id}."""

from __future__ import annotations

from tests.helpers.api import Api


def test_the_goal_before_does_not_come_back(phone: Api) -> None:
    phone.goal()
    phone.delete(f"/v1/goals/{phone.goal()['id']}")
    assert phone.get("/v1/goals/current").json() is None
