"""PUT and PATCH /v1/portions/{id}, which do the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from tests.helpers.api import Api, defaults
from tests.helpers.threads import as_thread, at_once


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product with the portion that comes with it."""
    return phone.product()


@pytest.fixture
def default(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    """The default portion."""
    portion: dict[str, Any]
    (portion,) = phone.get(f"/v1/products/{product['id']}/portions").json()
    return portion


@pytest.fixture
def portion(phone: Api, product: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """Another portion."""
    return phone.portion(product, name="Crème", grams=12.5)


@pytest.fixture
def update(phone: Api) -> Callable[..., Any]:
    """Send an update of a portion."""

    def send(portion: dict[str, Any], body: Any) -> Any:
        return phone.put(f"/v1/portions/{portion['id']}", body)

    return send


def test_a_whole_record_sent_back_changes_nothing(
    portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    assert update(portion, portion).json() == portion
    assert update(default, default).json() == default


def test_a_portion_never_moves_to_another_product(
    phone: Api, portion: dict[str, Any], update: Any
) -> None:
    another = phone.product()
    assert update(portion, {"product_id": another["id"]}).json() == portion


def test_a_new_default_takes_it_from_the_other_which_is_an_update(
    phone: Api, portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    with time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False):
        update(portion, {"is_default": True})
    moved = {"updated_at": "2030-02-05T00:00:00Z"}
    assert phone.get(f"/v1/products/{portion['product_id']}/portions").json() == [
        portion | {"is_default": True} | moved,
        default | {"is_default": False} | moved,
    ]


def test_the_default_made_the_default_again_changes_nothing(
    phone: Api, portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    assert update(default, {"is_default": True}).json() == default
    assert phone.get(f"/v1/portions/{portion['id']}").json() == portion


@pytest.mark.parametrize("more", [{}, {"name": "1 slice", "grams": 1}])
def test_the_default_cannot_be_unset(
    phone: Api, default: dict[str, Any], portion: dict[str, Any], update: Any, more: dict[str, Any]
) -> None:
    response = update(default, {"is_default": False} | more)
    assert response.status_code == 409
    assert set(response.json()) == {"detail"}
    assert phone.get(f"/v1/portions/{default['id']}").json() == default


def test_the_only_portion_stays_the_default(
    phone: Api, default: dict[str, Any], update: Any
) -> None:
    assert update(default, {"is_default": False}).status_code == 409


def test_a_former_default_accepts_is_default_false(
    phone: Api, portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    update(portion, {"is_default": True})
    assert update(default, {"is_default": False}).status_code == 200


def test_other_products_keep_their_default(
    phone: Api, portion: dict[str, Any], update: Any
) -> None:
    another = phone.product()
    before = defaults(phone, another)
    update(portion, {"is_default": True})
    assert defaults(phone, another) == before


def test_entries_logged_with_it_stay_as_they_are(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], update: Any
) -> None:
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=2)
    update(portion, {"name": "1 slice", "grams": 500})
    assert phone.get(f"/v1/food-entries/{entry['id']}").json() == entry


def test_order_follows_the_new_name(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], update: Any
) -> None:
    phone.portion(product, name="Éclair")
    update(portion, {"name": "Źdźbło"})
    found = phone.get(f"/v1/products/{product['id']}/portions").json()
    assert [row["name"] for row in found] == ["100g", "Éclair", "Źdźbło"]


def test_a_deleted_products_portion_is_404(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], update: Any
) -> None:
    phone.delete(f"/v1/products/{product['id']}")
    assert update(portion, {"is_default": True}).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_two_that_want_to_be_the_default_at_once_leave_one(phone: Api) -> None:
    product = phone.product()
    portions = [phone.portion(product, name=str(n)) for n in range(4)]
    answers = at_once(
        *(
            partial(as_thread(phone).put, f"/v1/portions/{portion['id']}", {"is_default": True})
            for portion in portions
        )
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    (default,) = defaults(phone, product)
    assert default in {portion["id"] for portion in portions}
