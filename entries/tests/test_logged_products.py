"""GET /v1/food-entries/products."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
import time_machine

from tests.helpers.api import Api, links, names, offences
from tests.helpers.sql import copy_row

PATH = "/v1/food-entries/products"
LAST = date(2025, 2, 5)


@pytest.fixture
def foods(phone: Api) -> dict[str, str]:
    """The ids of some products, by name; the last was never logged."""
    return {name: phone.product(name=name)["id"] for name in ("ham", "egg", "rice", "tea", "jam")}


def log(phone: Api, product_id: str, days_ago: int = 0, meal_type: str = "lunch") -> dict[str, Any]:
    """Log 100 g of a product, so many days before the last day."""
    when = {"date": str(LAST - timedelta(days_ago)), "meal_type": meal_type}
    return phone.entry(product_id=product_id, grams=100, **when)


def found(phone: Api, **query: Any) -> list[str]:
    """Return the names of the products answered."""
    return names(phone.get(f"{PATH}?{'&'.join(f'{key}={value}' for key, value in query.items())}"))


def test_they_are_answered_as_in_the_list_of_products(phone: Api, foods: dict[str, str]) -> None:
    ham = phone.product(name="Ham", brand="Farm", unit="g", protein_100g=20.5, barcode="96385074")
    log(phone, ham["id"])
    for order in ("recent", "frequent"):
        assert phone.get(f"{PATH}?order={order}").json() == [ham]


@pytest.mark.parametrize("order", ["recent", "frequent"])
def test_only_live_products_that_live_entries_name(
    phone: Api, other: Api, foods: dict[str, str], order: str
) -> None:
    theirs = other.product(name="theirs", id=foods["jam"])
    log(other, theirs["id"])
    for name in ("ham", "egg", "rice"):
        entry = log(phone, foods[name])
    phone.entry(name="Soup")
    phone.delete(f"/v1/food-entries/{entry['id']}")
    phone.delete(f"/v1/products/{foods['egg']}")
    assert found(phone, order=order) == ["ham"]
    assert found(other, order=order) == ["theirs"]


# Recent


def test_the_last_diary_day_is_first_whenever_it_was_written(
    phone: Api, foods: dict[str, str]
) -> None:
    for name, days_ago in (("tea", 1), ("ham", 0), ("egg", 3), ("rice", 2)):
        log(phone, foods[name], days_ago)
    log(phone, foods["ham"], 9)
    assert found(phone) == ["ham", "tea", "rice", "egg"]
    assert found(phone, order="recent") == found(phone)


def test_within_a_day_the_last_written_is_first(phone: Api, foods: dict[str, str]) -> None:
    for seconds, name in enumerate(("ham", "egg", "rice", "ham")):
        with time_machine.travel(1_900_000_000 + seconds, tick=False):
            log(phone, foods[name])
    assert found(phone, order="recent") == ["ham", "rice", "egg"]


def test_a_deleted_entry_does_not_bring_a_product_forward(
    phone: Api, foods: dict[str, str]
) -> None:
    log(phone, foods["ham"], 2)
    log(phone, foods["egg"], 1)
    entry = log(phone, foods["ham"])
    assert found(phone) == ["ham", "egg"]
    phone.delete(f"/v1/food-entries/{entry['id']}")
    assert found(phone) == ["egg", "ham"]


# Frequent


def test_those_on_the_most_days_are_first(phone: Api, foods: dict[str, str]) -> None:
    for days_ago in range(3):
        log(phone, foods["ham"], 10 + days_ago)
    for days_ago in range(2):
        log(phone, foods["egg"], days_ago)
    # Five times on one day are one day.
    for _ in range(5):
        log(phone, foods["rice"])
    assert found(phone, order="frequent") == ["ham", "egg", "rice"]


def test_of_as_many_days_the_last_logged_is_first(phone: Api, foods: dict[str, str]) -> None:
    for name, days_ago in (("ham", 2), ("egg", 0), ("rice", 1)):
        log(phone, foods[name], days_ago)
    assert found(phone, order="frequent") == ["egg", "rice", "ham"]


def test_the_last_90_days_that_have_an_entry_count(phone: Api, foods: dict[str, str]) -> None:
    for name, days_ago in (("ham", 90), ("ham", 5), ("rice", 89), ("rice", 10), ("egg", 3)):
        log(phone, foods[name], days_ago)
    fillers = [phone.entry(date=str(LAST - timedelta(days_ago))) for days_ago in range(89)]
    assert found(phone, order="frequent") == ["rice", "egg", "ham"]
    # Without an entry on one of these days, one day further back counts.
    phone.delete(f"/v1/food-entries/{fillers[0]['id']}")
    assert found(phone, order="frequent") == ["ham", "rice", "egg"]


def test_a_pause_of_years_forgets_nothing(phone: Api, foods: dict[str, str]) -> None:
    for days_ago in (2000, 2001):
        log(phone, foods["ham"], days_ago)
    log(phone, foods["egg"])
    assert found(phone, order="frequent") == ["ham", "egg"]


def test_a_day_planned_far_ahead_costs_one_day(phone: Api, foods: dict[str, str]) -> None:
    for days_ago in (1, 2):
        log(phone, foods["ham"], days_ago)
    phone.entry(product_id=foods["egg"], grams=1, date="2100-12-31")
    assert found(phone, order="frequent") == ["ham", "egg"]


def test_the_clock_has_no_say(phone: Api, foods: dict[str, str]) -> None:
    for days_ago in (1, 2):
        log(phone, foods["ham"], days_ago)
    log(phone, foods["egg"])
    for year in (2020, 2099):
        with time_machine.travel(date(year, 1, 1)):
            assert found(phone, order="frequent") == ["ham", "egg"]


# Meals


def test_only_entries_of_the_meal_count(phone: Api, foods: dict[str, str]) -> None:
    for days_ago in range(3):
        log(phone, foods["ham"], days_ago, "breakfast")
        log(phone, foods["tea"], 5 + days_ago, "dinner")
    log(phone, foods["ham"], 9, "dinner")
    log(phone, foods["egg"], 4, "dinner")
    assert found(phone, meal_type="dinner", order="recent") == ["egg", "tea", "ham"]
    assert found(phone, meal_type="dinner", order="frequent") == ["tea", "egg", "ham"]
    assert found(phone, meal_type="snacks") == []


def test_the_90_days_are_those_of_all_meals(phone: Api, foods: dict[str, str]) -> None:
    for days_ago in (90, 91):
        log(phone, foods["ham"], days_ago, "dinner")
    log(phone, foods["egg"], 89, "dinner")
    for days_ago in range(89):
        phone.entry(date=str(LAST - timedelta(days_ago)), meal_type="snacks")
    assert found(phone, order="frequent", meal_type="dinner") == ["egg", "ham"]


# Pages


def test_links_lead_through_all_pages(phone: Api, foods: dict[str, str]) -> None:
    for days_ago, name in enumerate(("ham", "egg", "rice")):
        log(phone, foods[name], days_ago)
    pages = [phone.get(f"{PATH}?order=frequent&meal_type=lunch&limit=2")]
    while "next" in links(pages[-1]):
        pages.append(phone.get(links(pages[-1])["next"]))
    assert [names(page) for page in pages] == [["ham", "egg"], ["rice"]]
    assert names(phone.get(links(pages[1])["prev"])) == ["ham", "egg"]
    assert found(phone, offset=5) == []


def test_ties_are_in_the_order_of_ids(phone: Api) -> None:
    with time_machine.travel(1_900_000_000, tick=False):
        ids = sorted(phone.product()["id"] for _ in range(5))
        for key in ids[::-1]:
            log(phone, key)
    for order in ("recent", "frequent"):
        assert [row["id"] for row in phone.get(f"{PATH}?order={order}").json()] == ids


@pytest.mark.parametrize("order", ["recent", "frequent"])
def test_it_takes_two_queries(
    phone: Api, foods: dict[str, str], order: str, django_assert_num_queries: Any
) -> None:
    for name in ("ham", "egg", "rice"):
        copy_row(phone, "food_entries", log(phone, foods[name])["id"], 100, by_day=True)
    for more in ("", "&meal_type=lunch"):
        with django_assert_num_queries(2):
            assert len(phone.get(f"{PATH}?order={order}{more}").json()) == 3


def test_an_answer_is_kept_until_something_is_written(phone: Api, foods: dict[str, str]) -> None:
    log(phone, foods["ham"])
    first = phone.get(f"{PATH}?order=recent")
    etag = first["ETag"]
    assert phone.get(f"{PATH}?order=recent", **{"If-None-Match": etag}).status_code == 304
    assert phone.get(f"{PATH}?order=frequent", **{"If-None-Match": etag}).status_code == 200


@pytest.mark.parametrize("name", ["order", "meal_type"])
@pytest.mark.parametrize("value", ["", "Recent", "lunch,dinner", "%00"])
def test_order_and_meal_are_checked(phone: Api, name: str, value: str) -> None:
    response = phone.get(f"{PATH}?{name}={value}")
    assert offences(response) == [(["query", name], "invalid_choice")]


def test_every_offending_parameter_is_listed(phone: Api) -> None:
    assert len(offences(phone.get(f"{PATH}?order=x&meal_type=x&limit=0&offset=-1"))) == 4


def test_nothing_else_answers_there(phone: Api) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        response = phone.request(method, PATH, {})
        assert (response.status_code, response["Allow"]) == (405, "GET, HEAD"), method
