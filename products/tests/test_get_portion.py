"""GET /v1/portions/{id}."""

from __future__ import annotations

import uuid
from typing import Any

from tests.helpers.api import Api
from tests.helpers.contract import PORTION
from tests.helpers.values import MALFORMED, WELL_FORMED


def test_it_works(phone: Api) -> None:
    portion = phone.portion(phone.product(), grams=12.25)
    response = phone.get(f"/v1/portions/{portion['id']}")
    assert response.status_code == 200
    assert response.json() == portion
    assert list(response.json()) == PORTION


def test_an_unknown_portion_is_404(phone: Api) -> None:
    response = phone.get(f"/v1/portions/{uuid.uuid4()}")
    assert response.status_code == 404
    assert response.json() == {"detail": "Portion not found"}


def test_a_deleted_portion_is_404(phone: Api) -> None:
    path = f"/v1/portions/{phone.portion(phone.product())['id']}"
    phone.delete(path)
    response = phone.get(path)
    assert response.status_code == 404
    assert response.json() == {"detail": "Portion not found"}


def test_a_products_id_is_404(phone: Api) -> None:
    assert phone.get(f"/v1/portions/{phone.product()['id']}").status_code == 404


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.portion(phone.product(), id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.get(f"/v1/portions/{malformed}")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Portion not found"}


def test_there_is_no_list_of_all_portions(phone: Api) -> None:
    response = phone.get("/v1/portions")
    assert response.status_code == 404
    assert response.json() == {"detail": "Not found"}


def test_it_takes_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    portion = phone.portion(phone.product())
    with django_assert_num_queries(2):
        phone.get(f"/v1/portions/{portion['id']}")
