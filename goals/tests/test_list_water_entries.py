"""GET /v1/water-entries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.helpers.api import Api, links, offences
from tests.helpers.values import NOT_DAYS

PATH = "/v1/water-entries"


def ml(response: Any) -> list[int]:
    """Return what was answered, by its ml."""
    assert response.status_code == 200, response.content
    return [row["ml"] for row in response.json()]


@pytest.fixture
def four(phone: Api, other: Api) -> None:
    """1 ml on the 4th, 2 and 3 on the 5th, 4 on the 6th, noted in another order; and a stranger."""
    for n, (number, day) in enumerate([(2, 5), (4, 6), (1, 4), (3, 5)]):
        with time_machine.travel(datetime(2025, 3, 1, tzinfo=UTC) + timedelta(n), tick=False):
            phone.water(ml=number, date=f"2025-02-0{day}")
    other.water(ml=99)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [4, 2, 3, 1]),
        ("?date=2025-02-05", [2, 3]),
        ("?date=2025-02-07", []),
        ("?from=2025-02-05", [4, 2, 3]),
        ("?to=2025-02-05", [2, 3, 1]),
        ("?from=2025-02-04&to=2025-02-05", [2, 3, 1]),
        ("?date=2025-02-05&from=2025-02-06", []),
        ("?from=0001-01-01&to=9999-12-31", [4, 2, 3, 1]),
        ("?limit=2", [4, 2]),
        ("?limit=2&offset=3", [1]),
        ("?meal_type=lunch&ml=1", [4, 2, 3, 1]),
    ],
)
@pytest.mark.usefixtures("four")
def test_it_lists_the_newest_day_first_and_a_day_as_it_was_logged(
    phone: Api, query: str, found: list[int]
) -> None:
    assert ml(phone.get(PATH + query)) == found


@pytest.mark.usefixtures("four")
def test_links_lead_through_all_pages(phone: Api) -> None:
    page = phone.get(f"{PATH}?to=2025-02-05&limit=2")
    assert ml(page) == [2, 3]
    assert ml(phone.get(links(page)["next"])) == [1]


def test_from_after_to_is_refused(phone: Api) -> None:
    response = phone.get(f"{PATH}?from=2025-02-06&to=2025-02-05")
    assert offences(response) == [(["query"], "invalid")]


@pytest.mark.parametrize("name", ["date", "from", "to"])
def test_days_are_checked(phone: Api, name: str) -> None:
    for day in NOT_DAYS:
        assert offences(phone.get(f"{PATH}?{name}={day}")) == [(["query", name], "invalid")]


@pytest.mark.usefixtures("four")
def test_its_filters_take_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        phone.get(f"{PATH}?from=2025-02-02&to=2025-02-05")
