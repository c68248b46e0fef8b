"""GET /v1/food-entries/{id}."""

from __future__ import annotations

import uuid
from typing import Any

from tests.helpers.api import Api
from tests.helpers.contract import ENTRY
from tests.helpers.values import MALFORMED, WELL_FORMED

PATH = "/v1/food-entries"


def test_it_works(phone: Api) -> None:
    entry = phone.entry(protein=1.5, eaten_at="2025-02-05T12:30:00Z")
    response = phone.get(f"{PATH}/{entry['id']}")
    assert response.status_code == 200
    assert response.json() == entry
    assert list(response.json()) == ENTRY


def test_an_unknown_entry_is_404(phone: Api) -> None:
    response = phone.get(f"{PATH}/{uuid.uuid4()}")
    assert response.status_code == 404
    assert response.json() == {"detail": "Food entry not found"}


def test_a_deleted_entry_is_404(phone: Api) -> None:
    path = f"{PATH}/{phone.entry()['id']}"
    phone.delete(path)
    response = phone.get(path)
    assert response.status_code == 404
    assert response.json() == {"detail": "Food entry not found"}


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.entry(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.get(f"{PATH}/{malformed}")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Food entry not found"}


def test_it_takes_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    product = phone.product()
    entry = phone.entry(product_id=product["id"], grams=1)
    with django_assert_num_queries(2):
        phone.get(f"{PATH}/{entry['id']}")
