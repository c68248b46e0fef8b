"""GET /v1/water-entries/{id}."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.helpers.api import Api
from tests.helpers.values import MALFORMED, WELL_FORMED

PATH = "/v1/water-entries"


def test_it_works(phone: Api) -> None:
    water = phone.water()
    response = phone.get(f"{PATH}/{water['id']}")
    assert (response.status_code, response.json()) == (200, water)


@pytest.mark.parametrize("fate", ["deleted", "another device's", "unknown"])
def test_what_is_not_there_is_404(phone: Api, other: Api, fate: str) -> None:
    water = (other if fate == "another device's" else phone).water()
    if fate == "deleted":
        phone.delete(f"{PATH}/{water['id']}")
    named = uuid.uuid4() if fate == "unknown" else water["id"]
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        response = phone.request(method, f"{PATH}/{named}", {} if method[0] == "P" else None)
        assert response.status_code == 404
        assert response.json() == {"detail": "Water entry not found"}


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.water(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.get(f"{PATH}/{malformed}")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Water entry not found"}


def test_it_takes_two_queries(phone: Api, django_assert_num_queries: Any) -> None:
    water = phone.water()
    with django_assert_num_queries(2):
        phone.get(f"{PATH}/{water['id']}")
