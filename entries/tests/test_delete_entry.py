"""DELETE /v1/food-entries/{id}."""

from __future__ import annotations

from tests.helpers.api import Api

PATH = "/v1/food-entries"


def test_product_and_portion_stay(phone: Api) -> None:
    product = phone.product()
    portion = phone.portion(product)
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"])
    phone.delete(f"{PATH}/{entry['id']}")
    assert phone.get("/v1/products").json() == [product]
    assert phone.get(f"/v1/portions/{portion['id']}").json() == portion
