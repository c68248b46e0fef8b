"""GET /v1/food-entries."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine

from entries.models import FoodEntry
from tests.helpers.api import Api, links, names, offences
from tests.helpers.sql import forgo_indexes
from tests.helpers.values import IDS, NOT_DAYS, NOT_LIMITS, NOT_OFFSETS

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


def test_it_works(phone: Api) -> None:
    entry = phone.entry()
    response = phone.get(f"{PATH}?date=2025-02-05")
    assert response.status_code == 200
    assert response.json() == [entry]


def test_no_entries_are_an_empty_array(phone: Api) -> None:
    response = phone.get(PATH)
    assert response.content == b"[]"
    assert "Link" not in response.headers


def test_deleted_entries_and_another_devices_are_not_listed(phone: Api, other: Api) -> None:
    kept, deleted = phone.entry(), phone.entry()
    other.entry()
    phone.delete(f"{PATH}/{deleted['id']}")
    assert phone.get(PATH).json() == [kept]


def test_the_newest_day_is_first_and_within_a_day_the_oldest_entry(phone: Api) -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    logged = [("2025-02-05", "c"), ("2025-02-06", "a"), ("2025-02-04", "e"), ("2025-02-05", "d")]
    for seconds, (day, name) in enumerate([*logged, ("2025-02-06", "b")]):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            phone.entry(date=day, name=name)
    assert names(phone.get(PATH)) == ["a", "b", "c", "d", "e"]


@time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False)
def test_ties_are_ordered_by_id(phone: Api) -> None:
    forgo_indexes()
    for chosen in (IDS[1], IDS[2], IDS[0]):
        phone.entry(id=chosen)
    assert [row["id"] for row in phone.get(PATH).json()] == IDS[:3]


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


def test_limit_and_offset_are_checked(phone: Api) -> None:
    for name, cases in [("limit", NOT_LIMITS), ("offset", NOT_OFFSETS)]:
        for value, code in cases:
            response = phone.get(f"{PATH}?{name}={value}")
            assert offences(response) == [(["query", name], code)], value


def test_every_offending_parameter_is_listed(phone: Api) -> None:
    query = "date=x&from=x&to=x&meal_type=x&product_id=x&limit=x&offset=x"
    assert len(offences(phone.get(f"{PATH}?{query}"))) == 7


def test_a_page_has_50_entries_unless_asked(phone: Api) -> None:
    FoodEntry.objects.for_device(phone.device).bulk_create(
        FoodEntry(
            device=phone.device, date=date(2025, 2, 5), meal_type="lunch", name=f"{n}", kcal=1
        )
        for n in range(201)
    )
    assert len(phone.get(PATH).json()) == 50
    assert len(phone.get(f"{PATH}?limit=200").json()) == 200


def test_links_lead_through_all_pages_and_keep_the_query(
    phone: Api, diary: dict[str, dict[str, Any]]
) -> None:
    pages = [phone.get(f"{PATH}?from=2025-02-01&to=2025-02-05&limit=2")]
    while "next" in links(pages[-1]):
        pages.append(phone.get(links(pages[-1])["next"]))
    assert [names(page) for page in pages] == [["b", "c"], ["a"]]
    assert names(phone.get(links(pages[1])["prev"])) == ["b", "c"]


def test_it_takes_two_queries_whatever_its_length(
    phone: Api, diary: dict[str, dict[str, Any]], django_assert_num_queries: Any
) -> None:
    for query in ("", "?date=2025-02-07", "?from=2025-02-01&to=2025-02-28&meal_type=lunch"):
        with django_assert_num_queries(2):
            phone.get(PATH + query)


@pytest.mark.django_db(transaction=True)
def test_every_write_of_an_entry_changes_the_etag(phone: Api) -> None:
    entry = phone.entry()
    tags = [phone.get(PATH).headers["ETag"]]
    for method, path, body in [
        ("POST", PATH, {"date": "2025-02-05", "meal_type": "lunch", "name": "Tea", "kcal": 1}),
        ("PATCH", f"{PATH}/{entry['id']}", {"kcal": 1}),
        ("DELETE", f"{PATH}/{entry['id']}", None),
    ]:
        phone.request(method, path, body)
        tags.append(phone.get(PATH).headers["ETag"])
    assert len(set(tags)) == 4
