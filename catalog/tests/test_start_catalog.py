from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from catalog.models import Food, Source
from countonme.server import serve
from tests.helpers.api import Api
from tests.helpers.catalog import new_source, record, run_import

pytestmark = pytest.mark.django_db


def start() -> str:
    output = io.StringIO()
    call_command("start_catalog", stdout=output)
    return output.getvalue()


def test_an_empty_catalog_gets_the_starter_as_foods_of_fdc(phone: Api) -> None:
    assert start() == ""
    assert Food.objects.filter(source="fdc").count() >= 300
    assert Source.objects.get().name == "USDA FoodData Central"
    first, *_ = phone.get("/v1/foods?search=chick").json()
    assert first["food"]["name"] == "Chicken breast, roasted"


def test_a_catalog_with_an_import_is_left_alone() -> None:
    run_import(record(), source="own")
    start()
    assert not Food.objects.exclude(source="own").exists()


def test_a_start_that_was_interrupted_is_done_again() -> None:
    new_source()
    start()
    assert Food.objects.exists()


def test_make_run_starts_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "collect_static", lambda: None)
    monkeypatch.setattr("django.db.connections.close_all", lambda: None)
    serve.prepare()
    assert Food.objects.exists()
