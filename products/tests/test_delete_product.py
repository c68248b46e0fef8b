"""DELETE /v1/products/{id}."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest
import time_machine

from products.models import Portion, Product
from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once


def test_its_portions_go_with_it(phone: Api) -> None:
    product = phone.product()
    portion = phone.portion(product)
    phone.delete(f"/v1/products/{product['id']}")
    assert phone.get(f"/v1/portions/{portion['id']}").status_code == 404
    response = phone.get(f"/v1/products/{product['id']}/portions")
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}
    assert phone.device is not None
    product_deleted = Product.all_objects.for_device(phone.device).get().deleted_at
    portions = Portion.all_objects.for_device(phone.device)
    assert [row.deleted_at for row in portions] == [product_deleted] * 2


def test_a_portion_deleted_before_keeps_its_time(phone: Api) -> None:
    product = phone.product()
    portion = phone.portion(product)
    earlier = datetime(2030, 1, 1, tzinfo=UTC)
    with time_machine.travel(earlier, tick=False):
        phone.delete(f"/v1/portions/{portion['id']}")
    phone.delete(f"/v1/products/{product['id']}")
    assert phone.device is not None
    row = Portion.all_objects.for_device(phone.device).get(pk=portion["id"])
    assert row.deleted_at == earlier


def test_other_products_keep_their_portions(phone: Api) -> None:
    kept, product = phone.product(), phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    assert len(phone.get(f"/v1/products/{kept['id']}/portions").json()) == 1


def test_entries_logged_from_it_stay_as_they_are(phone: Api) -> None:
    product = phone.product(protein_100g=31)
    portion = phone.portion(product)
    entries = [
        phone.entry(product_id=product["id"], grams=150),
        phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=2),
    ]
    day = phone.get("/v1/stats/day/2025-02-05").json()
    phone.delete(f"/v1/products/{product['id']}")
    assert phone.get("/v1/food-entries?date=2025-02-05").json() == entries
    assert phone.get("/v1/stats/day/2025-02-05").json() == day


def test_nothing_more_can_be_added_to_it(phone: Api) -> None:
    product = phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    body = {"name": "1 slice", "grams": 30}
    assert phone.post(f"/v1/products/{product['id']}/portions", body).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_no_portion_outlives_a_product_that_is_deleted_at_once(phone: Api) -> None:
    for _ in range(3):
        product = phone.product()
        path = f"/v1/products/{product['id']}"
        body = {"name": "1 slice", "grams": 30}
        at_once(
            partial(as_thread(phone).delete, path),
            partial(as_thread(phone).post, f"{path}/portions", body),
        )
    assert phone.device is not None
    assert not Portion.objects.for_device(phone.device).exists()
