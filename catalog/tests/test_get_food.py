"""GET /v1/catalog/foods/{id} and GET /v1/catalog/sources."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from catalog.models import Food, Source, food_id
from tests.helpers.api import Api
from tests.helpers.catalog import new_food, new_source, record, run_import


def test_it_is_the_food_as_a_search_answers_it(phone: Api) -> None:
    food = new_food()
    (found,) = phone.get("/v1/catalog/foods?search=chicken").json()
    assert phone.get(f"/v1/catalog/foods/{str(food.pk).upper()}").json() == found


def test_what_its_source_withdrew_is_found_and_says_so(phone: Api) -> None:
    food = new_food(withdrawn_at=timezone.now())
    answer = phone.get(f"/v1/catalog/foods/{food.pk}").json()
    assert answer["withdrawn"] is True


@pytest.mark.parametrize("id", ["2c94a01b-4fe7-5e45-8f16-9e931a58bc51", "x"])
def test_an_unknown_one_is_404(phone: Api, id: str) -> None:
    response = phone.get(f"/v1/catalog/foods/{id}")
    assert (response.status_code, response.json()) == (404, {"detail": "Food not found"})


def test_a_hidden_one_is_404(phone: Api) -> None:
    assert phone.get(f"/v1/catalog/foods/{new_food(is_hidden=True).pk}").status_code == 404


def test_ids_are_the_same_in_every_installation() -> None:
    # SHA-1 of the bytes of the namespace and "fdc:171477", as RFC 9562, section 5.5 has it; so is
    # the namespace, of that of URLs and "countonme:catalog".
    assert food_id("fdc", "171477") == uuid.UUID("2c94a01b-4fe7-5e45-8f16-9e931a58bc50")


def test_sources_say_whom_to_name_and_how_many_of_their_foods_can_be_found(phone: Api) -> None:
    new_source("openfoodfacts")
    run_import(record("1"), record("2"), record("3"))
    Food.objects.filter(source_id="1").update(withdrawn_at=timezone.now())
    Food.objects.filter(source_id="2").update(is_hidden=True)
    imported_at: Any = Source.objects.get(pk="fdc").imported_at
    assert phone.get("/v1/catalog/sources").json() == [
        {
            "source": "fdc",
            "name": "FDC",
            "licence": "CC0 1.0",
            "url": "https://fdc.example",
            "foods": 1,
            "imported_at": imported_at.isoformat().replace("+00:00", "Z"),
        },
        {
            "source": "openfoodfacts",
            "name": "OPENFOODFACTS",
            "licence": "CC0 1.0",
            "url": "https://openfoodfacts.example",
            "foods": 0,
            "imported_at": None,
        },
    ]


def test_the_database_refuses_to_delete_a_food(phone: Api) -> None:
    food = new_food()
    with pytest.raises(IntegrityError, match="withdrawn, not deleted"), transaction.atomic():
        food.delete()
    assert Food.objects.filter(pk=food.pk).exists()


def test_the_database_refuses_a_barcode_that_is_none(phone: Api) -> None:
    food = new_food(barcode="96385074")
    with pytest.raises(IntegrityError, match="barcode_is_gtin"), transaction.atomic():
        Food.objects.filter(pk=food.pk).update(barcode="96385075")
