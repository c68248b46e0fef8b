"""POST /v1/products/{id}/portions."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from products.models import Portion
from tests.helpers.api import Api, defaults, offences
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import (
    MALFORMED,
    WELL_FORMED,
)

BODY = {"name": "1 slice", "grams": 30}


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product with the portion that comes with it."""
    return phone.product()


@pytest.fixture
def path(product: dict[str, Any]) -> str:
    """Where the portions of the product are."""
    return f"/v1/products/{product['id']}/portions"


def test_the_product_is_that_of_the_path(phone: Api, product: dict[str, Any], path: str) -> None:
    another = phone.product()
    body = BODY | {"product_id": another["id"], "product": another["id"], "updated_at": "x"}
    assert phone.post(path, body).json()["product_id"] == product["id"]
    assert len(phone.get(f"/v1/products/{another['id']}/portions").json()) == 1


@pytest.mark.parametrize("is_default", [{}, {"is_default": False}])
def test_the_default_stays_where_it_is(
    phone: Api, product: dict[str, Any], path: str, is_default: dict[str, bool]
) -> None:
    before = phone.get(path).json()
    assert phone.portion(product, **is_default)["is_default"] is False
    assert phone.get(path).json()[:1] == before


def test_a_new_default_takes_it_from_the_other_which_is_an_update(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    (first,) = phone.get(path).json()
    third = phone.portion(product, name="third")
    with time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False):
        second = phone.portion(product, name="second", is_default=True)
    assert second["is_default"] is True
    assert second["updated_at"] is None
    demoted = first | {"is_default": False, "updated_at": "2030-02-05T00:00:00Z"}
    assert phone.get(path).json() == [second, demoted, third]


def test_other_products_keep_their_default(phone: Api, product: dict[str, Any]) -> None:
    another = phone.product()
    before = defaults(phone, another)
    phone.portion(product, is_default=True)
    assert defaults(phone, another) == before


def test_an_unknown_product_is_404(phone: Api) -> None:
    response = phone.post(f"/v1/products/{uuid.uuid4()}/portions", BODY)
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}


def test_a_deleted_product_is_404_and_nothing_is_written(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    phone.delete(f"/v1/products/{product['id']}")
    response = phone.post(path, BODY)
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}
    assert phone.device is not None
    assert Portion.all_objects.for_device(phone.device).count() == 1


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.product(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.post(f"/v1/products/{malformed}/portions", BODY)
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Product not found"}


@pytest.mark.parametrize("id", ["00000000-0000-4000-8000-000000000000", "malformed"])
def test_the_body_is_checked_before_the_product_is_looked_up(phone: Api, id: str) -> None:
    response = phone.post(f"/v1/products/{id}/portions", {"name": "1 slice"})
    assert offences(response) == [(["body", "grams"], "required")]


def test_the_id_of_another_products_portion_answers_that_portion(
    phone: Api, product: dict[str, Any]
) -> None:
    portion = phone.portion(product)
    another = phone.product()
    response = phone.post(f"/v1/products/{another['id']}/portions", BODY | {"id": portion["id"]})
    assert (response.status_code, response.json()) == (200, portion)
    assert len(phone.get(f"/v1/products/{another['id']}/portions").json()) == 1


def test_a_full_product_keeps_its_default_and_leaves_others_room(
    phone: Api, product: dict[str, Any], path: str, settings: Any
) -> None:
    settings.MAX_PORTIONS_PER_PRODUCT = 2
    phone.portion(product)
    before = phone.get(path).json()
    assert phone.post(path, BODY | {"is_default": True}).status_code == 409
    assert phone.get(path).json() == before
    phone.portion(phone.product())


def test_the_product_is_named_in_either_case(phone: Api, product: dict[str, Any]) -> None:
    for spelt in (product["id"].upper(), product["id"].title()):
        path = f"/v1/products/{spelt}/portions"
        created = phone.post(path, BODY)
        assert (created.status_code, created.json()["product_id"]) == (201, product["id"])
        assert created.json() in phone.get(path).json()


@pytest.mark.django_db(transaction=True)
def test_two_that_want_to_be_the_default_at_once_leave_one(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    answers = at_once(
        *(partial(as_thread(phone).post, path, BODY | {"is_default": True}) for _ in range(4))
    )
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len(phone.get(path).json()) == 5
    (default,) = defaults(phone, product)
    assert default in {answer.json()["id"] for answer in answers}
