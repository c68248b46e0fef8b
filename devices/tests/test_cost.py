"""What calls cost in statements: as many as when a device was a phone and held its own token."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.helpers.api import Api
from tests.helpers.phones import another_phone

RICE = {"name": "Rice", "kcal_100g": 130}
SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}
WATER = {"date": "2025-02-05", "ml": 250}
PUSHED = {"id": "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"} | WATER


def statements(phone: Api, method: str, path: str, body: Any) -> list[str]:
    """Make a call and return what it asked of the database, but for transactions and throttles."""
    with CaptureQueriesContext(connection) as queries:
        response = phone.request(method, path, body)
    assert response.status_code < 300, response.content
    asked = [query["sql"] for query in queries if '"cache"' not in query["sql"]]
    verbs = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
    return [text.split()[0] for text in asked if text.startswith(verbs)]


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/v1/auth/device", None, ["SELECT"]),
        ("GET", "/v1/products", None, ["SELECT"] * 2),
        ("GET", "/v1/stats/day/2025-02-05", None, ["SELECT"] * 2),
        # The token; the device, locked; the quota; the row.
        ("POST", "/v1/products", RICE, ["SELECT"] * 3 + ["WITH"]),
        ("POST", "/v1/food-entries", SOUP, ["SELECT"] * 3 + ["INSERT"]),
        ("POST", "/v1/water-entries", WATER, ["SELECT"] * 3 + ["INSERT"]),
        ("PATCH", "/v1/products/{product}", {"name": "Rye"}, ["SELECT"] * 3 + ["UPDATE"]),
        (
            "POST",
            "/v1/sync?last_pulled_at=2",
            {"water_entries": {"created": [PUSHED]}},
            ["SELECT"] * 4 + ["INSERT"],
        ),
        ("POST", "/v1/auth/rotate", None, ["SELECT"] * 2 + ["UPDATE"]),
        # The device is locked, since a phone may be signed out meanwhile.
        ("DELETE", "/v1/auth/device", None, ["SELECT"] * 2 + ["UPDATE"]),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_it_works(
    phone: Api, is_first: bool, method: str, path: str, body: Any, expected: list[str]
) -> None:
    caller = phone if is_first else another_phone(phone)
    product = caller.product()
    assert statements(caller, method, path.format(product=product["id"]), body) == expected


def test_registering_is_one_insert(nobody: Api) -> None:
    body = {"device_id": "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"}
    assert statements(nobody, "POST", "/v1/auth/register", body) == ["SELECT", "WITH"]
