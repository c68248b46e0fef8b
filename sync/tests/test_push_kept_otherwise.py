"""POST /v1/sync: what the server keeps otherwise than the phone wrote it comes back."""

from __future__ import annotations

from typing import Any

import pytest

from goals.serializers import BY_HAND
from products.nutrients import NAMES, OPTIONAL
from sync.tests.replica import (
    Replica,
    created,
    entry,
    goal,
    live,
    new_id,
    portion,
    product,
    pull,
    pushed,
    revision,
    rows_of,
    updated,
    water,
    weight,
)
from tests.helpers.api import Api, new_phone

pytestmark = pytest.mark.django_db(transaction=True)

# A column, what a phone writes there, and what is kept.
NORMALISED = [
    ("products", "name", "Cafe\u0301 ", "Café"),
    ("products", "name", "Oat  \t Milk", "Oat Milk"),
    ("products", "brand", " Farm ", "Farm"),
    ("products", "brand", " ", None),
    ("products", "kcal_100g", 130.0000001, 130),
    *(("products", f"{name}_100g", 1 / 3, 0.33) for name in OPTIONAL),
    ("products", "protein_100g", 0.1 + 0.2, 0.3),
    ("products", "fat_100g", 3.5999999046325684, 3.6),
    ("products", "barcode", " 96385074 ", "96385074"),
    ("products", "barcode", "", None),
    ("portions", "name", "1\u00a0slice", "1 slice"),
    ("portions", "grams", 100 / 3, 33.33),
    ("food_entries", "name", " Soup\n", "Soup"),
    ("food_entries", "kcal", 72.40000152587891, 72.4),
    ("food_entries", "kcal", 72.405, 72.41),
    *(("food_entries", name, 1 / 3, 0.33) for name in OPTIONAL),
    ("food_entries", "grams", 1 / 3, 0.33),
    ("food_entries", "quantity", 2, None),
    ("food_entries", "eaten_at", "2025-02-05T13:30:00+01:00", "2025-02-05T12:30:00Z"),
    ("food_entries", "eaten_at", "2025-02-05T12:30:00.000Z", "2025-02-05T12:30:00Z"),
    ("food_entries", "eaten_at", "", None),
    ("goals", "daily_calories_kcal", 1999.9999999, 2000),
    *(("goals", name, value + 1e-7, value) for name, value in BY_HAND.items()),
    ("body_weights", "weight_kg", 180 * 0.45359237, 81.65),
    ("water_entries", "ml", 249.9999999, 250),
]
# Columns of an entry with a product, which the server works out.
WORKED_OUT = {"name": "Mine", "unit": "ml", **dict.fromkeys(NAMES, 1)}


def world(**values: Any) -> dict[str, list[dict[str, Any]]]:
    """Return a record of each table, with values of a column by `table__column`."""
    food = product(fat_100g=3.6)
    rows = {
        "products": [food],
        "portions": [portion(food)],
        "food_entries": [entry()],
        "goals": [goal()],
        "body_weights": [weight()],
        "water_entries": [water()],
    }
    for name, value in values.items():
        table, column = name.split("__")
        rows[table][0][column] = value
    return rows


def stamps(phone: Api) -> list[Any]:
    """Return when the rows that lists of REST answer were updated."""
    paths = ("products", "food-entries", "body-weights", "water-entries")
    rows = [row for path in paths for row in phone.get(f"/v1/{path}").json()]
    rows += phone.get("/v1/products?include=portions").json()[0]["portions"]
    rows.append(phone.get("/v1/goals/current").json())
    return [row["updated_at"] for row in rows]


def test_what_is_normalised_comes_back_with_the_next_pull(db: None) -> None:
    for table, column, sent, kept in NORMALISED:
        replica = Replica(new_phone())
        replica.pull()
        changes = world(**{f"{table}__{column}": sent})
        assert pushed(replica.phone, created(**changes), replica.after) == {}, (column, sent)
        replica.pull()
        row = replica.rows[table][changes[table][0]["id"]]
        assert row[column] == kept, (column, sent)
        assert replica.rows == live(replica.phone)


def test_it_comes_back_too_where_it_equals_what_is_stored(db: None) -> None:
    for table, column, sent, kept in NORMALISED:
        phone, rows = new_phone(), world(**{f"{table}__{column}": kept})
        pushed(phone, created(**rows))
        written, after = stamps(phone), revision(phone)
        changes = updated(**{table: [rows[table][0] | {column: sent}]})
        assert pushed(phone, changes, after) == {}, (column, sent)
        brought = rows_of(pull(phone, after), table)
        assert {key: row[column] for key, row in brought.items()} == {rows[table][0]["id"]: kept}
        assert stamps(phone) == written, (column, sent)


def test_it_ends_as_soon_as_the_phone_has_pulled(phone: Api) -> None:
    replica, rows = Replica(phone), world(products__name="Rice  ")
    replica.pull()
    pushed(phone, created(**rows), replica.after)
    replica.pull()
    changes = updated(**{table: list(kept.values()) for table, kept in replica.rows.items()})
    assert pushed(phone, changes, replica.after) == {}
    assert revision(phone) == replica.after


def test_a_push_repeated_before_the_pull_raises_no_revision_again(phone: Api) -> None:
    rows = world()
    pushed(phone, created(**rows))
    after = revision(phone)
    changes = updated(products=[rows["products"][0] | {"name": "Rice "}])
    pushed(phone, changes, after)
    raised = revision(phone)
    pushed(phone, changes, after)
    assert raised == revision(phone) == after + 1


def test_what_an_entry_takes_from_its_product_comes_back(phone: Api) -> None:
    fed = phone.product(protein_100g=1, carbs_100g=2, fat_100g=3)
    eaten = phone.entry(product_id=fed["id"], grams=10)
    stored = live(phone)["food_entries"][eaten["id"]]
    for column, mine in WORKED_OUT.items():
        after = revision(phone)
        assert pushed(phone, updated(food_entries=[stored | {column: mine}]), after) == {}
        assert rows_of(pull(phone, after), "food_entries") == {eaten["id"]: stored}, column
        assert phone.get(f"/v1/food-entries/{eaten['id']}").json() == eaten


def test_the_unit_of_a_product_stays_and_comes_back(phone: Api) -> None:
    juice = phone.product(name="Juice", unit="ml")
    stored = live(phone)["products"][juice["id"]]
    after = revision(phone)
    changes = updated(products=[stored | {"unit": "g", "name": "Nectar"}])
    assert pushed(phone, changes, after) == {}
    brought = rows_of(pull(phone, after), "products")[juice["id"]]
    assert brought == stored | {"name": "Nectar"}


def test_another_unit_alone_changes_nothing_and_is_taken_back(phone: Api) -> None:
    juice = phone.product(name="Juice", unit="ml")
    stored = live(phone)["products"][juice["id"]]
    after = revision(phone)
    assert pushed(phone, updated(products=[stored | {"unit": "g"}]), after) == {}
    assert rows_of(pull(phone, after), "products") == {juice["id"]: stored}
    assert phone.get(f"/v1/products/{juice['id']}").json() == juice


def test_a_column_that_the_phone_does_not_have_is_not_otherwise(phone: Api) -> None:
    fed = phone.product(protein_100g=1)
    after = revision(phone)
    assert pushed(phone, updated(products=[{"id": fed["id"], "name": fed["name"]}])) == {}
    assert revision(phone) == after


@pytest.mark.parametrize("kind", [created, updated])
def test_a_pull_brings_the_rows_of_a_push_in_their_order(phone: Api, kind: Any) -> None:
    foods = [product(name=f"Food {n}") for n in range(20)]
    rows = {
        "products": foods,
        "portions": [portion(food) for food in foods],
        "food_entries": [entry() for _ in range(20)],
        "body_weights": [weight(date=f"2025-02-{n:02}") for n in range(1, 21)],
        "water_entries": [water() for _ in range(20)],
    }
    if kind is updated:
        pushed(phone, created(**rows))
        changed = {"name": "x", "kcal": 1, "weight_kg": 70, "ml": 1}
        rows = {
            table: [row | {name: changed[name] for name in row.keys() & changed} for row in listed]
            for table, listed in rows.items()
        }
    after = revision(phone)
    reordered = {table: listed[10:] + listed[:10][::-1] for table, listed in rows.items()}
    assert pushed(phone, kind(**reordered), after) == {}
    answer = pull(phone, after)
    for table, listed in reordered.items():
        assert list(rows_of(answer, table)) == [row["id"] for row in listed], table


def test_a_day_lists_the_entries_of_a_push_in_their_order(phone: Api) -> None:
    eaten = [entry(id=new_id()) for _ in range(20)]
    pushed(phone, created(food_entries=eaten))
    listed = phone.get("/v1/food-entries?date=2025-02-05").json()
    assert [row["id"] for row in listed] == [row["id"] for row in eaten]
