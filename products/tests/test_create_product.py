from __future__ import annotations

from typing import Any


def test_it_works(phone: Any) -> None:
    response = phone.post("/v1/products", {"name": "Chicken Breast", "kcal_100g": 165})
    assert response.status_code == 201
    assert phone.get("/v1/products").json() == [response.json()]
