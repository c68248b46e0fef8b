"""GET /v1/body-weights."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.api import Api, links, offences
from tests.helpers.values import NOT_DAYS

PATH = "/v1/body-weights"


def days(response: Any) -> list[int]:
    """Return the days of February that were answered."""
    assert response.status_code == 200, response.content
    return [int(row["date"][-2:]) for row in response.json()]


@pytest.fixture
def four(phone: Api, other: Api) -> None:
    """Weighings of the 1st, 3rd, 5th and 7th, noted in another order, and one of a stranger."""
    for day in (5, 1, 7, 3):
        phone.weight(date=f"2025-02-0{day}")
    other.weight(date="2025-02-04")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [1, 3, 5, 7]),
        ("?from=2025-02-03", [3, 5, 7]),
        ("?to=2025-02-03", [1, 3]),
        ("?from=2025-02-02&to=2025-02-05", [3, 5]),
        ("?from=2025-02-04&to=2025-02-04", []),
        ("?from=0001-01-01&to=9999-12-31", [1, 3, 5, 7]),
        ("?limit=2", [1, 3]),
        ("?limit=2&offset=3", [7]),
        ("?date=2025-02-03&colour=red", [1, 3, 5, 7]),
    ],
)
@pytest.mark.usefixtures("four")
def test_it_lists_a_range_oldest_first(phone: Api, query: str, found: list[int]) -> None:
    assert days(phone.get(PATH + query)) == found


@pytest.mark.usefixtures("four")
def test_links_lead_through_all_pages(phone: Api) -> None:
    page = phone.get(f"{PATH}?from=2025-02-02&limit=2")
    assert days(page) == [3, 5]
    last = phone.get(links(page)["next"])
    assert days(last) == [7]
    assert "next" not in links(last)


def test_from_after_to_is_refused(phone: Api) -> None:
    response = phone.get(f"{PATH}?from=2025-02-06&to=2025-02-05")
    assert offences(response) == [(["query"], "invalid")]


@pytest.mark.parametrize("name", ["from", "to"])
def test_days_are_checked(phone: Api, name: str) -> None:
    for day in NOT_DAYS:
        assert offences(phone.get(f"{PATH}?{name}={day}")) == [(["query", name], "invalid")]


@pytest.mark.usefixtures("four")
def test_its_filters_take_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        phone.get(f"{PATH}?from=2025-02-02&to=2025-02-05")
