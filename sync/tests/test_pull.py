"""GET /v1/sync."""

from __future__ import annotations

import pytest

from conftest import Api

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_works(phone: Api) -> None:
    product = phone.product(protein_100g=3.6)
    phone.entry(product_id=product["id"], grams=10)
    phone.weight()
    phone.water()
    gone = phone.entry()["id"]
    phone.delete(f"/v1/food-entries/{gone}")
    r = phone.get("/v1/sync")
    assert r.status_code == 200
    r = phone.get("/v1/sync?last_pulled_at=1&schema_version=1&migration=null")
    assert r.json()["changes"]["food_entries"]["deleted"] == [gone]
