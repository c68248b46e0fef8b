"""PUT and PATCH /v1/water-entries/{id}."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/water-entries"
LATER = datetime(2030, 2, 5, tzinfo=UTC)


@pytest.fixture
def water(phone: Api) -> dict[str, Any]:
    """A glass on 5 February 2025."""
    return phone.water()


@pytest.fixture(params=["PUT", "PATCH"])
def update(request: pytest.FixtureRequest, phone: Api) -> Callable[..., Any]:
    """Update a row at a later time, by either method."""

    def update(row: dict[str, Any], body: Any) -> Any:
        with time_machine.travel(LATER, tick=False):
            return phone.request(request.param, f"{PATH}/{row['id']}", body)

    return update


def test_a_full_day_takes_no_other_days_entry_and_lets_its_own_change(
    phone: Api, water: dict[str, Any], update: Any, settings: Any
) -> None:
    settings.MAX_WATER_ENTRIES_PER_DAY = 1
    full = phone.water(date="2025-02-06")
    response = update(water, {"date": "2025-02-06"})
    assert response.status_code == 409
    assert response.json() == {"detail": "A day has at most 1 water entries"}
    assert update(full, {"ml": 1, "date": "2025-02-06"}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_the_quota_holds_when_two_move_to_a_day_at_once(phone: Api, settings: Any) -> None:
    settings.MAX_WATER_ENTRIES_PER_DAY = 1
    rows = [phone.water(date=f"2025-02-0{day}") for day in (1, 2)]
    calls = [
        partial(as_thread(phone).patch, f"{PATH}/{row['id']}", {"date": "2025-02-05"})
        for row in rows
    ]
    assert sorted(answer.status_code for answer in at_once(*calls)) == [200, 409]
