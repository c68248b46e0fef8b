"""GET /v1/sync."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices import maintenance
from goals.serializers import CALCULATED
from products.nutrients import COLUMNS_100G, NAMES
from sync.tests.replica import TABLES, Replica, live, new_id, pull, revision, rows_of
from tests.helpers.api import Api
from tests.helpers.sql import insert_products, sql

pytestmark = pytest.mark.django_db(transaction=True)

NOTHING: dict[str, list[Any]] = {"created": [], "updated": [], "deleted": []}
COLUMNS = {
    "products": [
        *("name", "brand", "unit", *COLUMNS_100G, "barcode", "catalog_id"),
        *("servings", "cooked_grams"),
    ],
    "portions": ["product_id", "name", "grams", "is_default"],
    "recipe_items": [
        *("product_id", "ingredient_id", "portion_id", "quantity", "grams", "position")
    ],
    "food_entries": [
        *("product_id", "portion_id", "date", "meal_type", "name", "unit", "grams", "quantity"),
        *(*NAMES, "eaten_at"),
    ],
    "goals": [name for name in CALCULATED if name not in ("id", "created_at", "updated_at")],
    "body_weights": ["date", "weight_kg"],
    "water_entries": ["date", "ml"],
}


def fill(phone: Api) -> dict[str, Any]:
    """Write a row of each table, and return the product."""
    product = phone.product(fat_100g=3.6)
    phone.entry(product_id=product["id"], grams=10, eaten_at="2025-02-05T12:00:00+02:00")
    phone.goal()
    phone.weight()
    phone.water()
    return product


def test_it_works(phone: Api) -> None:
    product = fill(phone)
    answer = pull(phone)
    assert answer["timestamp"] > 1
    assert rows_of(answer, "products") == {
        product["id"]: {name: product[name] for name in ("id", *COLUMNS["products"])}
    }


def test_it_answers_the_tables_and_columns_of_the_contract_and_no_others(phone: Api) -> None:
    phone.recipe(phone.product(), {fill(phone)["id"]: 100})
    answer = pull(phone)
    assert list(answer) == ["changes", "timestamp"]
    assert {table: list(rows) for table, rows in answer["changes"].items()} == {
        table: ["created", "updated", "deleted"] for table in TABLES
    }
    for table, names in COLUMNS.items():
        rows = answer["changes"][table]["updated"]
        assert rows
        assert all(list(row) == ["id", *names] for row in rows)
    (eaten,) = answer["changes"]["food_entries"]["updated"]
    assert (eaten["date"], eaten["eaten_at"]) == ("2025-02-05", "2025-02-05T10:00:00Z")


@pytest.mark.parametrize(
    "sent", ["?last_pulled_at=", "?last_pulled_at=null", "?last_pulled_at=0", ""]
)
def test_a_first_sync_brings_what_is_live_and_nothing_deleted(phone: Api, sent: str) -> None:
    fill(phone)
    phone.delete(f"/v1/products/{phone.product()['id']}")
    answer = phone.get(f"/v1/sync{sent}").json()
    assert "experimentalStrategy" not in answer
    for table in TABLES:
        assert len(answer["changes"][table]["updated"]) == (table != "recipe_items")
        assert answer["changes"][table]["deleted"] == []


def test_a_later_sync_brings_what_was_written_and_deleted_since(phone: Api) -> None:
    fill(phone)
    gone = phone.entry()["id"]
    after = revision(phone)
    product = phone.product(name="New")
    phone.delete(f"/v1/food-entries/{gone}")
    answer = pull(phone, after)
    assert list(rows_of(answer, "products")) == [product["id"]]
    assert answer["changes"]["food_entries"] == NOTHING | {"deleted": [gone]}
    assert answer["changes"]["body_weights"] == NOTHING


def test_rows_come_in_the_order_in_which_they_were_written(phone: Api) -> None:
    first, second, third = (phone.product(name=name)["id"] for name in "abc")
    phone.patch(f"/v1/products/{first}", {"kcal_100g": 7})
    answer = phone.get("/v1/sync").json()
    assert list(rows_of(answer, "products")) == [second, third, first]


def test_with_nothing_new_it_costs_the_authentication_alone(phone: Api) -> None:
    fill(phone)
    after = revision(phone)
    with CaptureQueriesContext(connection) as queries:
        answer = pull(phone, after)
    assert len(queries) == 1
    assert answer == {"changes": dict.fromkeys(TABLES, NOTHING), "timestamp": after}


def test_queries_do_not_grow_with_rows(phone: Api) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            pull(phone)
        return len(queries)

    assert phone.device
    fill(phone)
    few = cost()
    insert_products(2500, phone.device)
    assert cost() == few


def test_what_another_device_has_stays_there(phone: Api, other: Api) -> None:
    fill(other)
    assert pull(phone)["changes"] == dict.fromkeys(TABLES, NOTHING)


def test_an_answer_is_kept_by_nobody_and_has_no_etag(phone: Api) -> None:
    response = phone.get("/v1/sync")
    assert response["Cache-Control"] == "no-store"
    assert "ETag" not in response


def test_past_a_purge_everything_replaces_what_the_phone_has(phone: Api) -> None:
    replica = Replica(phone)
    phone.delete(f"/v1/food-entries/{phone.entry()['id']}")
    kept = phone.entry()["id"]
    replica.pull()
    phone.delete(f"/v1/food-entries/{phone.entry()['id']}")
    for _ in maintenance.purge(timezone.now() + timedelta(seconds=1)):
        pass
    answer = pull(phone, replica.after)
    assert answer["experimentalStrategy"] == "replacement"
    assert list(rows_of(answer, "food_entries")) == [kept]
    assert answer["changes"]["food_entries"]["deleted"] == []
    replica.pull()
    assert replica.rows == live(phone)
    assert "experimentalStrategy" not in pull(phone, replica.after)


def test_a_first_sync_after_a_purge_replaces_nothing(phone: Api) -> None:
    phone.delete(f"/v1/food-entries/{phone.entry()['id']}")
    for _ in maintenance.purge(timezone.now() + timedelta(seconds=1)):
        pass
    assert "experimentalStrategy" not in pull(phone)


@pytest.mark.parametrize("ahead", [1, 10**12])
def test_a_revision_that_the_device_never_had_is_answered_with_everything(
    phone: Api, ahead: int
) -> None:
    fill(phone)
    answer = pull(phone, revision(phone) + ahead)
    assert answer["experimentalStrategy"] == "replacement"
    assert len(rows_of(answer, "food_entries")) == 1


@pytest.mark.parametrize(
    "sent", ["-1", "1.5", "abc", "%00", "1e3", "+1", " 1", "9" * 19, "%D9%A1", "undefined"]
)
def test_last_pulled_at_is_checked(phone: Api, sent: str) -> None:
    response = phone.get(f"/v1/sync?last_pulled_at={sent}")
    assert response.status_code == 422
    assert [error["loc"] for error in response.json()["errors"]] == [["query", "last_pulled_at"]]


def migration(tables: Any = (), columns: Any = ()) -> str:
    return quote(json.dumps({"from": 1, "tables": tables, "columns": columns}))


@pytest.mark.parametrize(
    ("sent", "whole"),
    [
        ("null", []),
        ("", []),
        (migration(), []),
        (migration(["water_entries", "moods", "__proto__"]), ["water_entries"]),
        (migration(["goals"]), ["goals"]),
        (migration([], [{"table": "products", "columns": ["barcode"]}]), ["products"]),
    ],
)
def test_a_migration_brings_all_rows_of_the_tables_that_it_names(
    phone: Api, sent: str, whole: list[str]
) -> None:
    fill(phone)
    after = revision(phone)
    answer = pull(phone, after, schema_version="2", migration=sent)
    found = [table for table in TABLES if answer["changes"][table]["updated"]]
    assert found == whole
    assert answer["timestamp"] == after


@pytest.mark.parametrize(
    "sent",
    [
        *("{", "[]", "1", '"products"', "{}", "%00", "[" * 100_000, '{"tables": []}'),
        *('{"tables": "products", "columns": []}', '{"tables": [[]], "columns": []}'),
        *('{"tables": [], "columns": ["products"]}', '{"tables": [], "columns": [{}]}'),
    ],
)
def test_a_migration_is_checked(phone: Api, sent: str) -> None:
    response = phone.get(f"/v1/sync?migration={sent if sent == '%00' else quote(sent)}")
    assert response.status_code == 422
    assert [error["loc"] for error in response.json()["errors"]] == [["query", "migration"]]


def test_each_parameter_is_refused_in_its_own_words(phone: Api) -> None:
    words = {
        "last_pulled_at": "timestamp of a pull",
        "schema_version": "version of a schema",
        "migration": "migration",
    }
    response = phone.get("/v1/sync?" + "&".join(f"{name}=undefined" for name in words))
    assert response.status_code == 422
    messages = {error["loc"][1]: error["msg"] for error in response.json()["errors"]}
    assert messages.keys() == words.keys()
    for name, word in words.items():
        assert word in messages[name]


def test_it_sees_one_moment(phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while a pull reads is in the next one, whole."""
    from concurrent.futures import ThreadPoolExecutor

    from sync import pull as module

    fill(phone)
    before, read = live(phone), module._of_table

    def write() -> None:
        assert phone.device
        insert_products(1, phone.device)
        sql("UPDATE water_entries SET ml = 1")
        connection.close()

    def of_table(*args: Any, **kwargs: Any) -> Any:
        if args[0].name == "products":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(write).result()
        return read(*args, **kwargs)

    replica = Replica(phone)
    with monkeypatch.context() as patch:
        patch.setattr(module, "_of_table", of_table)
        replica.pull()
    assert replica.rows == before
    replica.pull()
    assert replica.rows == live(phone) != before


def test_the_device_of_nobody_is_refused(nobody: Api) -> None:
    assert nobody.get(f"/v1/sync?last_pulled_at={new_id()}").status_code == 401
