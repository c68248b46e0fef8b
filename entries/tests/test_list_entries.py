"""GET /v1/food-entries."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.helpers.api import Api, links, names, offences
from tests.helpers.values import NOT_DAYS

PATH = "/v1/food-entries"

# The entries of `diary` that a query finds, in their order.
FILTERS = [
    ("date=2025-02-05", "bc"),
    ("date=2025-02-07", ""),
    ("from=2025-02-05", "dbc"),
    ("to=2025-02-05", "bca"),
    ("from=2025-02-04&to=2025-02-05", "bca"),
    ("from=2025-02-05&to=2025-02-05", "bc"),
    ("date=2025-02-05&from=2025-02-06", ""),
    ("date=2025-02-05&to=2025-02-05&from=2025-02-01", "bc"),
    ("meal_type=lunch", "ca"),
    ("meal_type=breakfast", ""),
    ("meal_type=lunch&date=2025-02-05", "c"),
    ("product_id={product}", "ba"),
    ("product_id={product}&meal_type=dinner", "b"),
    ("product_id={product}&to=2025-02-04", "a"),
    ("product_id={nobody}", ""),
    ("from=0001-01-01&to=9999-12-31", "dbca"),
    ("date=0001-01-01", ""),
    ("date=9999-12-31", ""),
    ("colour=red&kcal=1", "dbca"),
]


@pytest.fixture
def diary(phone: Api) -> dict[str, dict[str, Any]]:
    """Four entries of three days by name, `a` and `b` of one product."""
    product_id = phone.product(name="a")["id"]
    entries = {
        "a": {"date": "2025-02-04", "meal_type": "lunch", "product_id": product_id, "grams": 1},
        "b": {"date": "2025-02-05", "meal_type": "dinner", "product_id": product_id, "grams": 1},
        "c": {"date": "2025-02-05", "meal_type": "lunch"},
        "d": {"date": "2025-02-06", "meal_type": "snacks"},
    }
    logged = {}
    for name, body in entries.items():
        phone.patch(f"/v1/products/{product_id}", {"name": name})
        logged[name] = phone.entry(**body, **({} if "grams" in body else {"name": name}))
    return logged


def test_the_newest_day_is_first_and_within_a_day_the_oldest_entry(phone: Api) -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    logged = [("2025-02-05", "c"), ("2025-02-06", "a"), ("2025-02-04", "e"), ("2025-02-05", "d")]
    for seconds, (day, name) in enumerate([*logged, ("2025-02-06", "b")]):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            phone.entry(date=day, name=name)
    assert names(phone.get(PATH)) == ["a", "b", "c", "d", "e"]


def test_filters_all_count(phone: Api, diary: dict[str, dict[str, Any]]) -> None:
    named = {"product": diary["a"]["product_id"], "nobody": uuid.uuid4()}
    for query, found in FILTERS:
        response = phone.get(f"{PATH}?{query.format(**named)}")
        assert "".join(names(response)) == found, query


def test_entries_of_a_deleted_product_are_found_by_it(
    phone: Api, diary: dict[str, dict[str, Any]]
) -> None:
    product_id = diary["a"]["product_id"]
    phone.delete(f"/v1/products/{product_id}")
    found = phone.get(f"{PATH}?product_id={product_id}").json()
    assert found == [diary["b"], diary["a"]]


def test_a_product_is_named_in_either_case(phone: Api, diary: dict[str, dict[str, Any]]) -> None:
    product_id = diary["a"]["product_id"]
    for spelt in (product_id.upper(), product_id.title()):
        assert names(phone.get(f"{PATH}?product_id={spelt}")) == ["b", "a"]


def test_from_after_to_is_refused(phone: Api) -> None:
    response = phone.get(f"{PATH}?from=2025-02-06&to=2025-02-05")
    assert [loc for loc, _ in offences(response)] == [["query"]]


def test_days_are_checked(phone: Api) -> None:
    for name in ("date", "from", "to"):
        for day in NOT_DAYS:
            response = phone.get(f"{PATH}?{name}={day}")
            assert offences(response) == [(["query", name], "invalid")], day


@pytest.mark.parametrize("meal_type", ["", "Lunch", "brunch", "lunch,dinner", "%00"])
def test_meal_type_is_checked(phone: Api, meal_type: str) -> None:
    response = phone.get(f"{PATH}?meal_type={meal_type}")
    assert offences(response) == [(["query", "meal_type"], "invalid_choice")]


@pytest.mark.parametrize(
    "product_id",
    [
        "",
        "1",
        "urn:uuid:abcdef12-3456-4abc-8def-abcdef123456",
        "%7Babcdef12-3456-4abc-8def-abcdef123456%7D",
        "abcdef1234564abc8defabcdef123456",
        "%00",
    ],
)
def test_product_id_is_checked(phone: Api, product_id: str) -> None:
    response = phone.get(f"{PATH}?product_id={product_id}")
    assert offences(response) == [(["query", "product_id"], "invalid")]


def test_every_offending_parameter_is_listed(phone: Api) -> None:
    query = "date=x&from=x&to=x&meal_type=x&product_id=x&limit=x&offset=x"
    assert len(offences(phone.get(f"{PATH}?{query}"))) == 7


def test_links_lead_through_all_pages_and_keep_the_query(
    phone: Api, diary: dict[str, dict[str, Any]]
) -> None:
    pages = [phone.get(f"{PATH}?from=2025-02-01&to=2025-02-05&limit=2")]
    while "next" in links(pages[-1]):
        pages.append(phone.get(links(pages[-1])["next"]))
    assert [names(page) for page in pages] == [["b", "c"], ["a"]]
    assert names(phone.get(links(pages[1])["prev"])) == ["b", "c"]


def test_its_filters_take_two_queries(
    phone: Api, diary: dict[str, dict[str, Any]], django_assert_num_queries: Any
) -> None:
    for query in ("?date=2025-02-07", "?from=2025-02-01&to=2025-02-28&meal_type=lunch"):
        with django_assert_num_queries(2):
            phone.get(PATH + query)
