"""What is another device's answers as what never existed: byte for byte, at the same cost."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from conftest import Api

WHEN = {"date": "2025-02-05", "meal_type": "lunch"}
SOUP = WHEN | {"name": "Soup", "kcal": 250}
# Method, path and body; {theirs} and {mine} stand for ids of what the path or the body names.
CALLS: list[tuple[str, str, str, Any]] = [
    ("product", "GET", "/v1/products/{theirs}", None),
    ("product", "GET", "/v1/products/{theirs}?include=portions", None),
    ("product", "PUT", "/v1/products/{theirs}", {"name": "x"}),
    ("product", "PATCH", "/v1/products/{theirs}", {}),
    ("product", "DELETE", "/v1/products/{theirs}", None),
    ("product", "GET", "/v1/products/{theirs}/portions", None),
    ("product", "GET", "/v1/products/{theirs}/portions?offset=1", None),
    ("product", "POST", "/v1/products/{theirs}/portions", {"name": "x", "grams": 1}),
    (
        "product",
        "POST",
        "/v1/products/{theirs}/portions",
        {"name": "x", "grams": 1, "is_default": True, "id": "{portion}"},
    ),
    ("portion", "GET", "/v1/portions/{theirs}", None),
    ("portion", "PUT", "/v1/portions/{theirs}", {"grams": 1}),
    ("portion", "PATCH", "/v1/portions/{theirs}", {"is_default": True}),
    ("portion", "PATCH", "/v1/portions/{theirs}", {"is_default": False}),
    ("portion", "DELETE", "/v1/portions/{theirs}", None),
    ("entry", "GET", "/v1/food-entries/{theirs}", None),
    ("entry", "PUT", "/v1/food-entries/{theirs}", {"kcal": 1}),
    ("entry", "PATCH", "/v1/food-entries/{theirs}", {}),
    ("entry", "DELETE", "/v1/food-entries/{theirs}", None),
    ("product", "POST", "/v1/food-entries", WHEN | {"product_id": "{theirs}", "grams": 1}),
    (
        "product",
        "POST",
        "/v1/food-entries",
        WHEN | {"product_id": "{theirs}", "portion_id": "{portion}"},
    ),
    (
        "portion",
        "POST",
        "/v1/food-entries",
        WHEN | {"product_id": "{product}", "portion_id": "{theirs}"},
    ),
    ("product", "PUT", "/v1/food-entries/{entry}", {"product_id": "{theirs}", "grams": 1}),
    ("product", "PUT", "/v1/food-entries/{custom}", {"product_id": "{theirs}", "grams": 1}),
    ("portion", "PATCH", "/v1/food-entries/{entry}", {"portion_id": "{theirs}"}),
    (
        "portion",
        "PUT",
        "/v1/food-entries/{custom}",
        {"product_id": "{product}", "portion_id": "{theirs}"},
    ),
    ("product", "GET", "/v1/food-entries?product_id={theirs}", None),
]
LISTS = [
    "/v1/products?search=chicken",
    "/v1/products?barcode=96385074",
    "/v1/products?include=portions",
    "/v1/food-entries?date=2025-02-05",
    "/v1/food-entries?from=2025-02-05&meal_type=lunch",
    "/v1/stats/day/2025-02-05",
    "/v1/stats/daily?from=2025-02-05&to=2025-02-06",
]
NOTHING = {
    "product": (404, b'{"detail":"Product not found"}'),
    "portion": (404, b'{"detail":"Portion not found"}'),
    "entry": (404, b'{"detail":"Food entry not found"}'),
    "list": (200, b"[]"),
}
VARYING = {"X-Request-ID", "ETag"}


@pytest.fixture
def mine(phone: Api) -> dict[str, str]:
    """The ids of what the phone has."""
    return ids(phone)


@pytest.fixture
def theirs(other: Api) -> dict[str, str]:
    """The ids of what the other phone has."""
    return ids(other)


def ids(owner: Api) -> dict[str, str]:
    """Create one of each resource and return their ids."""
    product = owner.product(barcode="96385074")
    portion = owner.portion(product)
    entry = owner.entry(product_id=product["id"], portion_id=portion["id"])
    custom = owner.entry()
    rows = {"product": product, "portion": portion, "entry": entry, "custom": custom}
    return {name: row["id"] for name, row in rows.items()}


def delete(owner: Api, named: dict[str, str]) -> None:
    """Delete one of each resource."""
    for path in ("food-entries/{entry}", "portions/{portion}", "products/{product}"):
        assert owner.delete(f"/v1/{path.format(**named)}").status_code == 204


def everything(owner: Api) -> list[Any]:
    """Return all that a phone can read."""
    lists = ("/v1/products?include=portions", "/v1/food-entries", "/v1/stats/day/2025-02-05")
    return [owner.get(path).json() for path in lists]


def call(phone: Api, method: str, path: str, body: Any, named: dict[str, str]) -> tuple[Any, int]:
    """Send a request that names ids; return the answer and its number of queries."""
    if isinstance(body, dict):
        body = {
            key: value.format(**named) if isinstance(value, str) else value
            for key, value in body.items()
        }
    with CaptureQueriesContext(connection) as queries:
        response = phone.request(method, path.format(**named), body)
    headers = {name: value for name, value in response.headers.items() if name not in VARYING}
    return (response.status_code, headers, response.content), len(queries)


def test_it_works(phone: Api, other: Api, mine: dict[str, str], theirs: dict[str, str]) -> None:
    for owner, named in [(phone, mine), (other, theirs)]:
        (products, entries, _) = everything(owner)
        assert [row["id"] for row in products] == [named["product"]]
        assert [row["id"] for row in entries] == [named["entry"], named["custom"]]


@pytest.mark.parametrize("deleted", [False, True])
def test_anothers_id_answers_as_one_that_never_existed(
    phone: Api, other: Api, mine: dict[str, str], theirs: dict[str, str], deleted: bool
) -> None:
    if deleted:
        delete(other, theirs)
    before = everything(phone), everything(other)
    for kind, method, path, body in CALLS:
        never, cost = call(phone, method, path, body, mine | {"theirs": str(uuid.uuid4())})
        foreign = call(phone, method, path, body, mine | {"theirs": theirs[kind]})
        assert foreign == (never, cost), (method, path, body)
        assert never[0::2] == NOTHING[kind if "?product_id" not in path else "list"]
    assert (everything(phone), everything(other)) == before


def test_a_chosen_id_in_use_answers_alike_whosever_it_is(
    phone: Api, other: Api, mine: dict[str, str], theirs: dict[str, str]
) -> None:
    gone = ids(other)
    delete(other, gone)
    own = {"product": phone.product()["id"], "entry": phone.entry()["id"]}
    phone.delete(f"/v1/products/{own['product']}")
    phone.delete(f"/v1/food-entries/{own['entry']}")
    bodies = {
        "product": ("/v1/products", {"name": "x", "kcal_100g": 1}),
        "entry": ("/v1/food-entries", SOUP),
    }
    for kind, (path, body) in bodies.items():
        answers = [
            call(phone, "POST", path, body | {"id": key}, mine)
            for key in (theirs[kind], gone[kind], own[kind])
        ]
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0][0] == 409


@pytest.mark.parametrize("path", LISTS)
def test_lists_and_statistics_are_those_of_an_empty_device(
    phone: Api, other: Api, path: str
) -> None:
    before, cost = call(phone, "GET", path, None, {})
    ids(other)
    assert call(phone, "GET", path, None, {}) == (before, cost)


def test_quotas_count_the_own_rows_alone(phone: Api, other: Api, settings: Any) -> None:
    settings.MAX_PRODUCTS_PER_DEVICE = settings.MAX_PORTIONS_PER_PRODUCT = 2
    settings.MAX_ENTRIES_PER_DAY = 2
    ids(other)
    ids(phone)


def test_without_a_token_nothing_is_answered(nobody: Api, phone: Api, mine: dict[str, str]) -> None:
    before = everything(phone)
    lists = [("GET", path) for path in LISTS]
    calls = {(method, path) for _, method, path, _ in CALLS} | {("POST", "/v1/products"), *lists}
    for method, path in calls:
        named = mine | {"theirs": str(uuid.uuid4())}
        response = nobody.request(method, path.format(**named), {} if method[0] == "P" else None)
        assert response.status_code == 401, (method, path)
        assert response.json() == {"detail": "Invalid or expired token"}
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert everything(phone) == before
