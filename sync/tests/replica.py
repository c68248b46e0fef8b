"""A phone's copy of what it pulled, and what it pushes."""

from __future__ import annotations

import uuid
from typing import Any

from goals.serializers import BY_HAND, CALCULATION, METRICS
from products.nutrients import COLUMNS_100G, OPTIONAL
from tests.helpers.api import Api

TABLES = [
    "products",
    "portions",
    "recipe_items",
    "food_entries",
    "goals",
    "body_weights",
    "water_entries",
]
LISTS = {
    "products": "/v1/products",
    "food_entries": "/v1/food-entries",
    "body_weights": "/v1/body-weights",
    "water_entries": "/v1/water-entries",
}
Rows = dict[str, dict[str, dict[str, Any]]]


def new_id() -> str:
    return str(uuid.uuid4())


def product(**values: Any) -> dict[str, Any]:
    """Return a record as the library sends it."""
    what = {"name": "Rice", "brand": None, "unit": "g", "barcode": None, "catalog_id": None}
    what |= {"servings": None, "cooked_grams": None}
    return record(**what | dict.fromkeys(COLUMNS_100G) | {"kcal_100g": 130} | values)


def portion(of: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a record of a product's portion."""
    return record(
        **{"product_id": of["id"], "name": "1 cup", "grams": 150, "is_default": True} | values
    )


def item(of: dict[str, Any], ingredient: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return a record of 100 g of an ingredient in a recipe."""
    amount = {"portion_id": None, "quantity": None, "grams": 100, "position": 0}
    return record(product_id=of["id"], ingredient_id=ingredient["id"], **amount | values)


def entry(of: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    """Return a record of 150 g of a product, or of soup."""
    eaten = {"date": "2025-02-05", "meal_type": "lunch", "eaten_at": None, "quantity": None}
    what = {"product_id": of and of["id"], "portion_id": None, "name": "Soup", "unit": "g"}
    nutrients = {"grams": 150, "kcal": 250, **dict.fromkeys(OPTIONAL)}
    return record(**eaten | what | nutrients | values)


def weight(**values: Any) -> dict[str, Any]:
    return record(**{"date": "2025-02-05", "weight_kg": 80.5} | values)


def water(**values: Any) -> dict[str, Any]:
    return record(**{"date": "2025-02-05", "ml": 250} | values)


def goal(**values: Any) -> dict[str, Any]:
    """Return a record of a goal set by hand."""
    columns = dict.fromkeys((*METRICS, *CALCULATION)) | BY_HAND
    return record(**columns | {"goal_type": "manual"} | values)


def calculated_goal(**values: Any) -> dict[str, Any]:
    """Return a record of a goal that the server has to calculate."""
    columns = dict.fromkeys(CALCULATION) | METRICS | {"goal_type": "calculated"}
    return goal(**columns | values)


def record(**values: Any) -> dict[str, Any]:
    return {"id": new_id(), "_status": "created", "_changed": ""} | values


def pull(phone: Api, after: Any = "", **query: str) -> dict[str, Any]:
    """Return what a pull answers."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    response = phone.get(f"/v1/sync?last_pulled_at={after}{more}")
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def revision(phone: Api) -> int:
    """Return what a pull of now would have as its timestamp."""
    timestamp: int = pull(phone)["timestamp"]
    return timestamp


def created(**tables: Any) -> dict[str, Any]:
    """Return changes that create records."""
    return {name: {"created": rows, "updated": [], "deleted": []} for name, rows in tables.items()}


def updated(**tables: Any) -> dict[str, Any]:
    """Return changes that update records."""
    return {name: {"created": [], "updated": rows, "deleted": []} for name, rows in tables.items()}


def deleted(**tables: Any) -> dict[str, Any]:
    """Return changes that delete records, given themselves or by their ids."""
    ids = {
        name: [row["id"] if isinstance(row, dict) else row for row in rows]
        for name, rows in tables.items()
    }
    return {name: {"created": [], "updated": [], "deleted": rows} for name, rows in ids.items()}


def push(phone: Api, after: int, changes: Any) -> Any:
    return phone.post(f"/v1/sync?last_pulled_at={after}", changes)


def pushed(phone: Api, changes: Any, after: int | None = None) -> dict[str, Any]:
    """Push, and return what was left out and why."""
    response = push(phone, revision(phone) if after is None else after, changes)
    assert response.status_code == 200, response.content
    answer = response.json()
    named = {table: list(whys) for table, whys in answer["rejected"].items()}
    assert answer["experimentalRejectedIds"] == named
    rejected: dict[str, Any] = answer["rejected"]
    return rejected


def rows_of(answer: dict[str, Any], table: str) -> dict[str, dict[str, Any]]:
    """Return what a pull brings of a table, by id."""
    return {row["id"]: row for row in answer["changes"][table]["updated"]}


def live(phone: Api) -> Rows:
    """Return all that a phone has on the server."""
    answer = pull(phone)
    return {table: rows_of(answer, table) for table in TABLES}


class Replica:
    """What a phone has, by pulling only what is new."""

    def __init__(self, phone: Api) -> None:
        self.phone = phone
        self.after = 0
        self.rows: Rows = {table: {} for table in TABLES}

    def pull(self) -> None:
        answer = pull(self.phone, self.after)
        is_replaced = answer.get("experimentalStrategy") == "replacement"
        for table in TABLES:
            rows = {} if is_replaced else self.rows[table]
            assert answer["changes"][table]["created"] == []
            rows |= rows_of(answer, table)
            for key in answer["changes"][table]["deleted"]:
                rows.pop(key, None)
            self.rows[table] = rows
        assert answer["timestamp"] >= self.after or is_replaced
        self.after = answer["timestamp"]
