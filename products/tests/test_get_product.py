"""GET /v1/products/{id}."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.helpers.api import Api, offences
from tests.helpers.contract import PRODUCT


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


def test_portions_take_one_query_more(phone: Api, django_assert_num_queries: Any) -> None:
    product = phone.product()
    for n in range(5):
        phone.portion(product, name=str(n))
    with django_assert_num_queries(3):
        phone.get(f"/v1/products/{product['id']}?include=portions")
