"""GET /v1/products/{id}/portions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.helpers.api import Api, names
from tests.helpers.sql import forgo_indexes
from tests.helpers.values import IDS, MALFORMED, WELL_FORMED


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product with the portion that comes with it."""
    return phone.product()


@pytest.fixture
def path(product: dict[str, Any]) -> str:
    """Where the portions of the product are."""
    return f"/v1/products/{product['id']}/portions"


def test_the_default_is_first_then_the_folded_name(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    for name in ("zest", "Äpple", "Slice", "10 pieces", "2 pieces"):
        phone.portion(product, name=name)
    phone.portion(product, name="pack", is_default=True)
    ordered = ["pack", "10 pieces", "100g", "2 pieces", "Äpple", "Slice", "zest"]
    assert names(phone.get(path)) == ordered


def test_ties_are_ordered_by_id(phone: Api, product: dict[str, Any], path: str) -> None:
    forgo_indexes()
    for chosen, name in [(IDS[1], "Éclair"), (IDS[2], "eclair"), (IDS[0], "ECLAIR")]:
        phone.portion(product, id=chosen, name=name)
    assert [row["id"] for row in phone.get(path).json()[1:]] == IDS[:3]


def test_only_the_products_live_portions_are_listed(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    phone.portion(phone.product(), name="another product's")
    deleted = phone.portion(product, name="deleted")
    phone.delete(f"/v1/portions/{deleted['id']}")
    assert names(phone.get(path)) == ["100g"]


def test_an_unknown_product_is_404(phone: Api) -> None:
    response = phone.get(f"/v1/products/{uuid.uuid4()}/portions")
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}


def test_a_deleted_product_is_404(phone: Api, product: dict[str, Any], path: str) -> None:
    phone.delete(f"/v1/products/{product['id']}")
    for page in (path, f"{path}?offset=5"):
        response = phone.get(page)
        assert response.status_code == 404
        assert response.json() == {"detail": "Product not found"}


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.product(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.get(f"/v1/products/{malformed}/portions")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Product not found"}


def test_there_is_no_list_of_all_portions(phone: Api) -> None:
    response = phone.get("/v1/portions")
    assert response.status_code == 404
    assert response.json() == {"detail": "Not found"}


def test_the_query_is_checked_before_the_product_is_looked_up(phone: Api) -> None:
    assert phone.get(f"/v1/products/{uuid.uuid4()}/portions?limit=0").status_code == 422
