"""GET /v1/products/{id}."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.helpers.api import Api, offences
from tests.helpers.contract import PRODUCT
from tests.helpers.values import MALFORMED, WELL_FORMED


def test_it_works(phone: Api) -> None:
    product = phone.product(protein_100g=31.02, barcode="4006381333931")
    response = phone.get(f"/v1/products/{product['id']}")
    assert response.status_code == 200
    assert response.json() == product
    assert list(response.json()) == PRODUCT


def test_an_unknown_product_is_404(phone: Api) -> None:
    response = phone.get(f"/v1/products/{uuid.uuid4()}")
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}


def test_a_deleted_product_is_404(phone: Api) -> None:
    product = phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    response = phone.get(f"/v1/products/{product['id']}")
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.product(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.get(f"/v1/products/{malformed}")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Product not found"}


def test_a_trailing_slash_is_404(phone: Api) -> None:
    response = phone.get(f"/v1/products/{phone.product()['id']}/")
    assert response.status_code == 404
    assert response.json() == {"detail": "Not found"}


def test_include_adds_the_live_portions_the_default_first(phone: Api) -> None:
    product = phone.product()
    deleted, zest, apple = (phone.portion(product, name=name) for name in ("b", "zest", "Äpple"))
    phone.delete(f"/v1/portions/{deleted['id']}")
    found = phone.get(f"/v1/products/{product['id']}?include=portions").json()
    (default,) = phone.get(f"/v1/products/{product['id']}/portions?limit=1").json()
    assert found == product | {"portions": [default, apple, zest]}
    assert list(found) == [*PRODUCT, "portions"]


@pytest.mark.parametrize("value", ["entries", "Portions", "portions,portions", "%00"])
def test_an_unknown_include_is_refused(phone: Api, value: str) -> None:
    response = phone.get(f"/v1/products/{phone.product()['id']}?include={value}")
    assert offences(response) == [(["query", "include"], "invalid_choice")]


def test_include_is_checked_before_the_product_is_looked_up(phone: Api) -> None:
    assert phone.get(f"/v1/products/{uuid.uuid4()}?include=x").status_code == 422


def test_unknown_query_parameters_are_ignored(phone: Api) -> None:
    product = phone.product()
    assert phone.get(f"/v1/products/{product['id']}?colour=red&limit=x").json() == product


def test_it_takes_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    product = phone.product()
    with django_assert_num_queries(2):
        phone.get(f"/v1/products/{product['id']}")


def test_portions_take_one_query_more(phone: Api, django_assert_num_queries: Any) -> None:
    product = phone.product()
    for n in range(5):
        phone.portion(product, name=str(n))
    with django_assert_num_queries(3):
        phone.get(f"/v1/products/{product['id']}?include=portions")
