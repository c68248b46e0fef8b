"""DELETE /v1/food-entries/{id}."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial

import pytest
import time_machine

from entries.models import FoodEntry
from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import MALFORMED, WELL_FORMED

PATH = "/v1/food-entries"


def test_it_works(phone: Api) -> None:
    kept, entry = phone.entry(), phone.entry()
    response = phone.delete(f"{PATH}/{entry['id']}")
    assert response.status_code == 204
    assert response.content == b""
    assert phone.get(PATH).json() == [kept]


def test_it_is_404_from_then_on(phone: Api) -> None:
    path = f"{PATH}/{phone.entry()['id']}"
    phone.delete(path)
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        response = phone.request(method, path, {} if method[0] == "P" else None)
        assert response.status_code == 404
        assert response.json() == {"detail": "Food entry not found"}


def test_it_is_a_soft_delete(phone: Api) -> None:
    entry = phone.entry()
    moment = datetime(2030, 2, 5, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        phone.delete(f"{PATH}/{entry['id']}")
    assert phone.device is not None
    row = FoodEntry.all_objects.for_device(phone.device).get()
    assert (str(row.pk), row.deleted_at) == (entry["id"], moment)


def test_product_and_portion_stay(phone: Api) -> None:
    product = phone.product()
    portion = phone.portion(product)
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"])
    phone.delete(f"{PATH}/{entry['id']}")
    assert phone.get("/v1/products").json() == [product]
    assert phone.get(f"/v1/portions/{portion['id']}").json() == portion


def test_an_unknown_entry_is_404(phone: Api) -> None:
    response = phone.delete(f"{PATH}/{uuid.uuid4()}")
    assert response.status_code == 404
    assert response.json() == {"detail": "Food entry not found"}


def test_a_malformed_id_is_404(phone: Api) -> None:
    entry = phone.entry(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.delete(f"{PATH}/{malformed}")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Food entry not found"}
    assert phone.get(PATH).json() == [entry]


@pytest.mark.django_db(transaction=True)
def test_twice_at_once_deletes_once(phone: Api) -> None:
    path = f"{PATH}/{phone.entry()['id']}"
    answers = at_once(*(partial(as_thread(phone).delete, path) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404]
