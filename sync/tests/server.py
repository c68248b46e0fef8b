"""What the server has, as REST lists it, and whether replicas have the same."""

from __future__ import annotations

from typing import Any

from attacks.client import Phone
from sync.tests.replicas import TABLES, Replica, Rows

# What lists of REST answer beside what is synced.
NOT_SYNCED = {"id", "created_at", "updated_at", "portions", "recipe"}


def post(rest: Phone, path: str, **body: Any) -> dict[str, Any]:
    """Create a row over REST, and return it."""
    answer = rest.post(path, body)
    assert answer.status == 201, answer
    created: dict[str, Any] = answer.json()
    return created


def server_rows(rest: Phone) -> Rows:
    """Return all that REST lists, in the columns that are synced, by table and id."""

    def collect(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {row["id"]: {k: v for k, v in row.items() if k not in NOT_SYNCED} for row in rows}

    products = every(rest, "/v1/products?include=portions")
    # REST lists no items of a product that lacks servings.
    first_pull = rest.get("/v1/sync?last_pulled_at=0").json()
    items = first_pull["changes"]["recipe_items"]["updated"]
    goal = rest.get("/v1/goals/current").json()
    return {
        "products": collect(products),
        "portions": collect([portion for product in products for portion in product["portions"]]),
        "recipe_items": collect(items),
        "food_entries": collect(every(rest, "/v1/food-entries")),
        "goals": collect([goal] if goal else []),
        "body_weights": collect(every(rest, "/v1/body-weights")),
        "water_entries": collect(every(rest, "/v1/water-entries")),
    }


def every(rest: Phone, path: str) -> list[dict[str, Any]]:
    """Return all rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    joint = "&" if "?" in path else "?"
    while True:
        answer = rest.get(f"{path}{joint}limit=200&offset={len(rows)}")
        assert answer.status == 200, answer
        page = answer.json()
        rows += page
        if len(page) < 200:
            return rows


def assert_all_equal(rest: Phone, *replicas: Replica) -> Rows:
    """Every replica shows what REST lists, and has nothing left to push."""
    expected = server_rows(rest)
    for replica in replicas:
        found = differences(replica.rows(), expected)
        assert not found, "\n".join(found)
        assert replica.unsynced() == {}
    return expected


def differences(here: Rows, there: Rows) -> list[str]:
    """Return what two copies don't have in common, a line a row."""
    return [
        f"{table} {row_id}: {here[table].get(row_id)} != {there[table].get(row_id)}"
        for table in TABLES
        for row_id in here[table].keys() | there[table].keys()
        if here[table].get(row_id) != there[table].get(row_id)
    ]
