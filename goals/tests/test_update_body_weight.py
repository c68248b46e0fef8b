"""PUT and PATCH /v1/body-weights/{id}."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/body-weights"
TAKEN = {"detail": "This day has a body weight already"}
LATER = datetime(2030, 2, 5, tzinfo=UTC)


@pytest.fixture
def weight(phone: Api) -> dict[str, Any]:
    """A weighing of 5 February 2025."""
    return phone.weight()


@pytest.fixture(params=["PUT", "PATCH"])
def update(request: pytest.FixtureRequest, phone: Api) -> Callable[..., Any]:
    """Update a row at a later time, by either method."""

    def update(row: dict[str, Any], body: Any) -> Any:
        with time_machine.travel(LATER, tick=False):
            return phone.request(request.param, f"{PATH}/{row['id']}", body)

    return update


def test_it_moves_to_a_free_day(phone: Api, weight: dict[str, Any], update: Any) -> None:
    assert update(weight, {"date": "2025-02-06"}).json()["date"] == "2025-02-06"
    phone.weight(date="2025-02-05")


def test_it_is_not_moved_to_a_day_that_has_one(
    phone: Api, weight: dict[str, Any], update: Any
) -> None:
    another = phone.weight(date="2025-02-06")
    response = update(weight, {"date": "2025-02-06", "weight_kg": 1})
    assert (response.status_code, response.json()) == (409, TAKEN)
    assert phone.get(PATH).json() == [weight, another]


def test_it_stays_on_its_own_day(weight: dict[str, Any], update: Any) -> None:
    assert update(weight, {"date": "2025-02-05", "weight_kg": 81}).status_code == 200


def test_it_moves_where_one_was_deleted_or_is_another_devices(
    phone: Api, other: Api, weight: dict[str, Any], update: Any
) -> None:
    other.weight(date="2025-02-06")
    phone.delete(f"{PATH}/{phone.weight(date='2025-02-06')['id']}")
    assert update(weight, {"date": "2025-02-06"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_two_moved_to_a_day_at_once_one_gets_there(phone: Api) -> None:
    rows = [phone.weight(date=f"2025-02-0{day}") for day in (1, 2)]
    calls = [
        partial(as_thread(phone).patch, f"{PATH}/{row['id']}", {"date": "2025-02-05"})
        for row in rows
    ]
    assert sorted(answer.status_code for answer in at_once(*calls)) == [200, 409]
