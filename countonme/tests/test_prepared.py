"""Prepared statements: what Django does around a query holds for these too."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.utils.functional import lazystr

from products.models import Product
from tests.helpers.api import Api

BODY = {"name": "Rice", "kcal_100g": 130}
WATER = {"date": "2025-02-05", "ml": 250}


class Spy:
    """A wrapper of `connection.execute_wrappers` that notes each statement."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.seen.append(sql.split(" ")[0])
        return execute(sql, params, many, context)


@pytest.mark.parametrize(
    ("method", "path", "body", "statements"),
    [
        ("GET", "/v1/products", None, ["SELECT", "SELECT"]),
        ("GET", "/v1/sync?last_pulled_at=0", None, ["SELECT"]),
        ("POST", "/v1/water-entries", WATER, ["SELECT", "INSERT"]),
        ("POST", "/v1/products", BODY, ["SELECT", "WITH"]),  # the product and its portion
    ],
)
def test_execute_wrappers_see_every_statement(
    phone: Api, method: str, path: str, body: Any, statements: list[str]
) -> None:
    spy = Spy()
    phone.request(method, path, body)
    with connection.execute_wrapper(spy):
        assert phone.request(method, path, body).status_code in (200, 201)
    seen = [verb for verb in spy.seen if verb in statements]
    assert len(seen) >= len(statements)
    assert set(seen) == set(statements)


def test_a_wrapper_may_refuse_a_statement(phone: Api) -> None:
    def refuse(*args: Any) -> Any:
        raise RuntimeError("no queries here")

    with connection.execute_wrapper(refuse), pytest.raises(RuntimeError, match="no queries"):
        Product.fetch(phone.device.pk, phone.device.pk)  # type: ignore[union-attr]  # registered


def test_without_a_wrapper_a_statement_is_run_as_before(phone: Api) -> None:
    created = phone.product()
    with connection.execute_wrapper(Spy()):
        wrapped = phone.get(f"/v1/products/{created['id']}").json()
    assert phone.get(f"/v1/products/{created['id']}").json() == wrapped == created


def test_an_insert_prepares_values_as_saving_does(phone: Api) -> None:
    assert phone.device
    values: Any = {"name": lazystr("Rice"), "kcal_100g": "130", "fat_100g": "3.6"}
    row = Product(device_id=phone.device.pk, **values)
    row.insert()
    stored = Product.objects.for_device(phone.device).get(pk=row.pk)
    assert (stored.name, stored.kcal_100g, float(stored.fat_100g)) == ("Rice", 130, 3.6)
