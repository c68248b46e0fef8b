"""GET of a list: its order, its pages, and what is asked of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from tests.conformance.resources import RESOURCES
from tests.conformance.rows import Rows
from tests.helpers.api import links, offences
from tests.helpers.sql import copy_row, forgo_indexes, next_transaction
from tests.helpers.values import IDS, NOT_LIMITS, NOT_OFFSETS

# Of several sorts of rows in one list the first.
LISTS = {resource.path: resource for resource in reversed(RESOURCES) if resource.is_listed}
TIED = [resource for resource in LISTS.values() if resource.has_ties]
each_list = pytest.mark.parametrize("resource", LISTS.values(), ids=str)
# Of five rows: the page that a query finds, and the offsets of its neighbours.
PAGES = [
    ("", [0, 1, 2, 3, 4], {}),
    ("limit=5", [0, 1, 2, 3, 4], {}),
    ("limit=4", [0, 1, 2, 3], {"next": 4}),
    ("limit=2", [0, 1], {"next": 2}),
    ("limit=2&offset=2", [2, 3], {"next": 4, "prev": 0}),
    ("limit=2&offset=3", [3, 4], {"prev": 1}),
    ("limit=2&offset=4", [4], {"prev": 2}),
    ("limit=2&offset=1", [1, 2], {"next": 3, "prev": 0}),
    ("limit=200&offset=4", [4], {"prev": 0}),
    ("offset=5", [], {"prev": 0}),
    ("offset=6", [], {"prev": 0}),
    ("limit=2&offset=6", [], {"prev": 4}),
    ("limit=2&offset=7", [], {}),
    ("limit=1&offset=4", [4], {"prev": 3}),
    ("limit=1&offset=1000000", [], {}),
    # Of a repeated parameter the last counts.
    ("limit=x&limit=1&offset=9&offset=2", [2], {"next": 3, "prev": 1}),
]
UNKNOWN = [
    "colour=red",
    "Limit=0",
    "page=2",
    "name=x",
    "limit[]=0",
    "&&&",
    "=",
    "%FF=%FF",
    "device_id=1",
]


@pytest.fixture
def five(mine: Rows) -> list[dict[str, Any]]:
    """Five rows in order, created in another."""
    there = mine.list()
    created = {n: mine.create(n) for n in (3, 1, 4, 2, 0)[len(there) :]}
    return [*there, *(created[n] for n in sorted(created))]


@each_list
def test_it_works(mine: Rows, five: list[dict[str, Any]]) -> None:
    response = mine.phone.get(mine.resource.path)
    assert response.status_code == 200
    assert response.json() == five
    assert "Link" not in response.headers


@each_list
def test_without_rows_it_is_an_empty_array(mine: Rows) -> None:
    response = mine.phone.get(mine.resource.path)
    # A product comes with a portion.
    assert (response.content == b"[]") == (mine.resource.name != "portion")
    assert "Link" not in response.headers


@each_list
def test_deleted_rows_and_another_devices_are_not_listed(mine: Rows, theirs: Rows) -> None:
    before = mine.list()
    theirs.create(1)
    kept, deleted = mine.create(0), mine.create(2)
    mine.phone.delete(mine.path(deleted))
    assert mine.list() == [*before, kept]


@pytest.mark.parametrize("resource", TIED, ids=str)
def test_ties_are_ordered_by_id(mine: Rows) -> None:
    forgo_indexes()
    before = [row["id"] for row in mine.list()]
    with time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False):
        for chosen in (IDS[1], IDS[2], IDS[0]):
            mine.create(id=chosen)
    assert [row["id"] for row in mine.list()] == before + IDS[:3]


@each_list
def test_links_lead_through_all_pages_and_back(mine: Rows, five: list[dict[str, Any]]) -> None:
    for limit in (1, 2, 3):
        pages = [mine.phone.get(f"{mine.resource.path}?limit={limit}")]
        while "next" in links(pages[-1]):
            pages.append(mine.phone.get(links(pages[-1])["next"]))
        assert [row for page in pages for row in page.json()] == five
        assert {len(page.json()) for page in pages[:-1]} == {limit}
        assert "prev" not in links(pages[0])
        for page, before in zip(pages[1:], pages, strict=False):
            assert mine.phone.get(links(page)["prev"]).json() == before.json()


@each_list
def test_links_name_the_neighbours(mine: Rows, five: list[dict[str, Any]]) -> None:
    for query, page, neighbours in PAGES:
        response = mine.phone.get(f"{mine.resource.path}?{query}")
        assert response.json() == [five[place] for place in page], query
        offsets = {
            relation: int(re.findall(r"offset=(\d+)", path)[0])
            for relation, path in links(response).items()
        }
        assert offsets == neighbours, query


@each_list
@pytest.mark.usefixtures("five")
def test_links_keep_the_other_parameters(mine: Rows) -> None:
    query = "x=%22%3E%2C&x=2&limit=2&offset=2"
    found = links(mine.phone.get(f"{mine.resource.path}?{query}"))
    assert set(found) == {"next", "prev"}
    assert all("x=%22%3E%2C&x=2" in path for path in found.values())


@each_list
def test_unknown_parameters_are_ignored(mine: Rows, five: list[dict[str, Any]]) -> None:
    for query in UNKNOWN:
        assert mine.list(f"?{query}") == five, query


@each_list
def test_limit_and_offset_are_checked(mine: Rows) -> None:
    for name, refused in (("limit", NOT_LIMITS), ("offset", NOT_OFFSETS)):
        for value, code in refused:
            response = mine.phone.get(f"{mine.resource.path}?{name}={value}")
            assert offences(response) == [(["query", name], code)], value
    response = mine.phone.get(f"{mine.resource.path}?limit=0&offset=x")
    assert offences(response) == [
        (["query", "limit"], "min_value"),
        (["query", "offset"], "invalid"),
    ]


@each_list
def test_a_page_has_50_rows_unless_asked_and_200_at_most_for_two_queries(
    mine: Rows, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        mine.list()
    row = mine.create()
    with django_assert_num_queries(2):
        mine.list()
    copy_row(mine.phone, mine.resource.table, row["id"], 201, by_day=not mine.resource.has_ties)
    for query, length in (("", 50), ("?limit=1", 1), ("?limit=200", 200)):
        with django_assert_num_queries(2):
            assert len(mine.list(query)) == length
    assert "offset=50" in links(mine.phone.get(mine.resource.path))["next"]


@each_list
def test_there_is_no_next_past_the_last_offset(
    mine: Rows, five: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countonme.api.query.MAX_OFFSET", 1)
    assert "next" in links(mine.phone.get(f"{mine.resource.path}?limit=1"))
    assert "next" not in links(mine.phone.get(f"{mine.resource.path}?limit=1&offset=1"))


@each_list
def test_every_write_makes_it_stale_and_another_devices_does_not(mine: Rows, theirs: Rows) -> None:
    def written(write: Callable[[], Any]) -> Any:
        next_transaction()
        write()
        return mine.phone.get(mine.resource.path, **{"If-None-Match": tags[-1]})

    tags = [mine.phone.get(mine.resource.path).headers["ETag"]]
    rows: list[dict[str, Any]] = []
    for write in (
        lambda: rows.append(mine.create()),
        lambda: mine.update("PATCH", rows[0], mine.resource.changes),
        lambda: mine.phone.delete(mine.path(rows[0])),
    ):
        response = written(write)
        assert response.status_code == 200
        tags.append(response.headers["ETag"])
        unchanged = written(lambda: theirs.post())
        assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert len(set(tags)) == 4
