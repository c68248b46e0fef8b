"""POST /v1/food-entries/restate."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from products.nutrients import COLUMNS_100G, NAMES
from tests.helpers.api import Api, offences
from tests.helpers.sql import copy_row, next_transaction, sql, state

PATH = "/v1/food-entries/restate"
YEAR = {"from": "2025-01-01", "to": "2025-12-31"}


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    return phone.product(protein_100g=31, fat_100g=3.6)


def restate(phone: Api, product: dict[str, Any], **days: Any) -> int:
    """Restate a year, unless other days are given; return how many entries changed."""
    response = phone.post(PATH, {"product_id": product["id"]} | YEAR | days)
    assert response.status_code == 200, response.content
    assert response.json().keys() == {"restated"}
    return int(response.json()["restated"])


def correct(phone: Api, product: dict[str, Any], **values: Any) -> None:
    assert phone.patch(f"/v1/products/{product['id']}", values).status_code == 200


def read(phone: Api, entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = phone.get(f"/v1/food-entries/{entry['id']}").json()
    return found


def test_name_energy_and_nutrients_are_those_of_the_product_now(
    phone: Api, product: dict[str, Any]
) -> None:
    entry = phone.entry(product_id=product["id"], grams=150.5)
    correct(phone, product, name="Ham", kcal_100g=107, protein_100g=None, salt_100g=2.21)
    assert read(phone, entry) == entry
    assert restate(phone, product) == 1
    now = read(phone, entry)
    assert now["updated_at"] is not None
    assert now == entry | {
        "name": "Ham",
        "kcal": 161.04,
        "protein": None,
        "salt": 3.33,
        "updated_at": now["updated_at"],
    }


def test_it_gives_what_logging_it_now_would_give(phone: Api, product: dict[str, Any]) -> None:
    entries = [
        phone.entry(product_id=product["id"], grams=grams)
        for grams in (0.01, 0.5, 1.5, 33.33, 66.67, 123.45, 9_999.99, 10_000)
    ]
    values = dict(zip(COLUMNS_100G, (999, 0.01, 0.05, 33.35, 0.5, 99.99, None, 1.15), strict=True))
    correct(phone, product, **values)
    assert restate(phone, product) == len(entries)
    for entry in entries:
        now, anew = read(phone, entry), phone.entry(product_id=product["id"], grams=entry["grams"])
        assert [now[name] for name in NAMES] == [anew[name] for name in NAMES], entry["grams"]


@pytest.mark.parametrize(
    ("per_100g", "grams", "expected"),
    [(0.01, 50, 0.01), (0.01, 49.99, 0), (1.15, 100, 1.15), (0.05, 10, 0.01), (33.35, 0.3, 0.1)],
)
def test_it_rounds_half_up(
    phone: Api, product: dict[str, Any], per_100g: float, grams: float, expected: float
) -> None:
    entry = phone.entry(product_id=product["id"], grams=grams)
    correct(phone, product, salt_100g=per_100g)
    assert restate(phone, product) == 1
    assert read(phone, entry)["salt"] == expected


def test_what_becomes_known_and_what_becomes_unknown(phone: Api, product: dict[str, Any]) -> None:
    entry = phone.entry(product_id=product["id"], grams=100)
    assert (entry["fat"], entry["salt"]) == (3.6, None)
    for fat, salt in ((None, 1), (None, 0), (0, 0), (0, None)):
        correct(phone, product, fat_100g=fat, salt_100g=salt)
        assert restate(phone, product) == 1, (fat, salt)
        now = read(phone, entry)
        assert (now["fat"], now["salt"]) == (fat, salt)


def test_portions_and_grams_stay(phone: Api, product: dict[str, Any]) -> None:
    portion = phone.portion(product, grams=150)
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=1.5)
    phone.patch(f"/v1/portions/{portion['id']}", {"grams": 1})
    correct(phone, product, kcal_100g=100)
    assert restate(phone, product) == 1
    now = read(phone, entry)
    kept = ("portion_id", "quantity", "grams", "date", "meal_type", "created_at")
    assert [now[name] for name in kept] == [entry[name] for name in kept]
    assert (now["grams"], now["kcal"]) == (225, 225)


def test_only_entries_that_differ_are_written(phone: Api, product: dict[str, Any]) -> None:
    old = phone.entry(product_id=product["id"], grams=100)
    correct(phone, product, kcal_100g=100)
    new = phone.entry(product_id=product["id"], grams=100)
    assert restate(phone, product) == 1
    changed = read(phone, old)
    assert (changed["kcal"], read(phone, new)) == (100, new)
    next_transaction()
    before = state(phone)
    assert restate(phone, product) == 0
    assert state(phone) == before
    assert read(phone, old) == changed


def test_the_days_are_inclusive(phone: Api, product: dict[str, Any]) -> None:
    days = ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"]
    entries = [phone.entry(product_id=product["id"], grams=100, date=day) for day in days]
    correct(phone, product, kcal_100g=100)
    assert restate(phone, product, **{"from": "2024-02-29", "to": "2024-03-01"}) == 2
    assert [read(phone, entry)["kcal"] for entry in entries] == [165, 100, 100, 165]


def test_other_products_deleted_entries_and_other_devices_stay(
    phone: Api, other: Api, product: dict[str, Any]
) -> None:
    theirs = other.product(id=product["id"])
    stays = [
        (phone, phone.entry(product_id=phone.product()["id"], grams=100)),
        (phone, phone.entry()),
        (other, other.entry(product_id=theirs["id"], grams=100)),
    ]
    gone = phone.entry(product_id=product["id"], grams=100)
    phone.delete(f"/v1/food-entries/{gone['id']}")
    correct(phone, product, kcal_100g=100)
    assert restate(phone, product) == 0
    for owner, entry in stays:
        assert read(owner, entry) == entry
    assert sql("SELECT kcal FROM food_entries WHERE id = %s", gone["id"]) == [(165,)]


def test_totals_follow(phone: Api, product: dict[str, Any]) -> None:
    phone.entry(product_id=product["id"], grams=200)
    correct(phone, product, kcal_100g=100)
    restate(phone, product)
    assert phone.get("/v1/stats/day/2025-02-05").json()["totals"]["kcal"] == 200


def test_the_next_pull_brings_the_entries_that_changed(phone: Api, product: dict[str, Any]) -> None:
    old = phone.entry(product_id=product["id"], grams=100)
    correct(phone, product, kcal_100g=100)
    phone.entry(product_id=product["id"], grams=100)
    next_transaction()
    after = phone.get("/v1/sync").json()["timestamp"]
    next_transaction()
    restate(phone, product)
    changes = phone.get(f"/v1/sync?last_pulled_at={after}").json()["changes"]
    brought = {table: rows["updated"] for table, rows in changes.items() if rows["updated"]}
    (row,) = brought.pop("food_entries")
    assert (row["id"], row["kcal"], brought) == (old["id"], 100, {})


def test_ten_years_are_one_update(phone: Api, product: dict[str, Any]) -> None:
    entry = phone.entry(product_id=product["id"], grams=100)
    copy_row(phone, "food_entries", entry["id"], 3_000, by_day=True)
    correct(phone, product, kcal_100g=100)
    with CaptureQueriesContext(connection) as queries:
        assert restate(phone, product, to="2035-01-08") == 3_001
    on_entries = [q["sql"] for q in queries.captured_queries if '"food_entries"' in q["sql"]]
    assert len(on_entries) == 1


def test_a_product_that_is_not_there_is_not_found(
    phone: Api, other: Api, product: dict[str, Any]
) -> None:
    phone.entry(product_id=product["id"], grams=100)
    phone.delete(f"/v1/products/{product['id']}")
    for key in (product["id"], other.product()["id"], str(uuid.uuid4())):
        response = phone.post(PATH, {"product_id": key} | YEAR)
        assert (response.status_code, response.json()) == (404, {"detail": "Product not found"})


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        ("2025-02-06", "2025-02-05", "invalid"),
        ("2015-01-01", "2025-01-08", "max_value"),
        ("0001-01-01", "9999-12-31", "max_value"),
    ],
)
def test_days_the_wrong_way_round_or_too_many_are_refused(
    phone: Api, product: dict[str, Any], first: str, last: str, code: str
) -> None:
    response = phone.post(PATH, {"product_id": product["id"], "from": first, "to": last})
    assert offences(response) == [(["body"], code)]


def test_3660_days_are_allowed(phone: Api, product: dict[str, Any]) -> None:
    assert restate(phone, product, **{"from": "2015-01-01", "to": "2025-01-07"}) == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("from", "required"), ("product_id", "required"), ("to", "required")]),
        (
            {"from": None, "to": "2025-02-30", "product_id": 1},
            [("from", "null"), ("product_id", "invalid"), ("to", "invalid")],
        ),
        (
            {"from": 20250205, "to": "", "product_id": None},
            [("from", "invalid"), ("product_id", "null"), ("to", "invalid")],
        ),
    ],
)
def test_every_field_is_checked(
    phone: Api, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = sorted(offences(phone.post(PATH, body)))
    assert found == [(["body", name], code) for name, code in expected]


def test_nothing_else_answers_there(phone: Api) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        response = phone.request(method, PATH, {} if method != "GET" else None)
        assert (response.status_code, response["Allow"]) == (405, "POST"), method
