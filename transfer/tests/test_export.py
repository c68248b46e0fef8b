"""GET /v1/export."""

from __future__ import annotations

import csv
import io
import threading
import zipfile
from datetime import datetime
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from countonme.scope.exceptions import DeviceGone
from countonme.scope.models import device_scoped_models
from devices.models import Device
from tests.helpers.api import Api, offences
from tests.helpers.phones import device_of, row_of
from tests.helpers.transfer import FORMAT, export, rows
from transfer import exporting


def fill(phone: Api) -> None:
    """Write a row of each table, and a deleted one."""
    product = phone.product(name="Crème", protein_100g=31.5, barcode="4006381333931")
    portion = phone.portion(product)
    phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=1.5)
    phone.entry(eaten_at="2025-02-05T12:00:00+02:00")
    phone.delete(f"/v1/food-entries/{phone.entry()['id']}")
    phone.goal()
    phone.weight(weight_kg=79.95)
    phone.water()


def csvs(response: Any) -> dict[str, list[dict[str, str]]]:
    """Return the CSVs of a ZIP as a spreadsheet opens them."""
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.testzip() is None
    found = {}
    for name in archive.namelist():
        text = archive.read(name).decode()
        assert text.startswith("\ufeff")
        found[name] = list(csv.DictReader(io.StringIO(text[1:], newline="")))
    return found


def test_it_has_all_rows_as_rest_answers_them(phone: Api, other: Api) -> None:
    fill(phone)
    other.product()
    exported = export(phone)
    assert list(exported) == ["format", "exported_at", "rows"]
    assert exported["format"] == FORMAT
    assert datetime.fromisoformat(exported["exported_at"]).tzinfo
    (product,) = phone.get("/v1/products?include=portions").json()
    portions = product.pop("portions")
    expected = {
        "products": [product],
        "portions": portions,
        "food_entries": phone.get("/v1/food-entries").json(),
        "goals": [phone.get("/v1/goals/current").json()],
        "body_weights": phone.get("/v1/body-weights").json(),
        "water_entries": phone.get("/v1/water-entries").json(),
    }
    assert {table: exported["rows"][table] for table in expected} == expected


def test_it_has_every_table_that_a_device_owns(phone: Api) -> None:
    assert rows(phone) == {model._meta.db_table: [] for model in device_scoped_models()}


def test_no_secret_is_in_it(phone: Api) -> None:
    fill(phone)
    text, row = phone.get("/v1/export").content.decode(), row_of(phone)
    assert not [s for s in (phone.token, row.token_hash, row.token_hmac) if s and s in text]


def test_csv_is_a_zip_with_a_file_of_each_table(phone: Api) -> None:
    fill(phone)
    with time_machine.travel("2025-02-05T12:00:00Z", tick=False):
        response = phone.get("/v1/export?format=csv")
    assert response.headers["Content-Type"] == "application/zip"
    disposition = 'attachment; filename="countonme-2025-02-05.zip"'
    assert response.headers["Content-Disposition"] == disposition
    found, expected = csvs(response), rows(phone)
    assert list(found) == [f"{table}.csv" for table in expected]
    for table, listed in expected.items():
        assert [list(row) for row in found[f"{table}.csv"]] == [list(row) for row in listed]
    logged, soup = found["food_entries.csv"]
    assert (logged["kcal"], logged["protein"], logged["quantity"]) == ("371.25", "70.88", "1.5")
    assert (logged["eaten_at"], soup["eaten_at"]) == ("", "2025-02-05T10:00:00Z")
    assert found["products.csv"][0]["name"] == "Crème"
    assert found["portions.csv"][0]["is_default"] == "true"
    assert found["body_weights.csv"][0]["weight_kg"] == "79.95"


@pytest.mark.parametrize("start", "=+-@\uff1d\uff0b\uff0d\uff20")
def test_no_text_is_a_formula_to_a_spreadsheet(phone: Api, start: str) -> None:
    phone.product(name=f"{start}SUM(1)", brand=f"{start}2")
    (row,) = csvs(phone.get("/v1/export?format=csv"))["products.csv"]
    assert (row["name"], row["brand"]) == (f"'{start}SUM(1)", f"'{start}2")
    # The JSON is for an import, and keeps it.
    assert rows(phone)["products"][0]["name"] == f"{start}SUM(1)"


def test_another_format_is_refused(phone: Api) -> None:
    response = phone.get("/v1/export?format=xml")
    assert offences(response) == [(["query", "format"], "invalid_choice")]


def test_it_is_304_while_nothing_changes(phone: Api) -> None:
    tag = phone.get("/v1/export").headers["ETag"]
    assert phone.get("/v1/export", **{"If-None-Match": tag}).status_code == 304
    phone.water()
    assert phone.get("/v1/export", **{"If-None-Match": tag}).status_code == 200


def test_an_erased_device_is_401_before_anything_is_sent(phone: Api) -> None:
    device = device_of(phone)
    device.erase()
    for chunks in (exporting.as_json(device), exporting.as_csv(device)):
        with pytest.raises(DeviceGone):
            next(chunks)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("export_as", [exporting.as_json, exporting.as_csv])
def test_what_is_written_meanwhile_is_not_in_it(phone: Api, export_as: Any) -> None:
    """Of two rows that are written together, either both are in it or none."""
    phone.product()
    chunks = export_as(device_of(phone))
    sent = [next(chunks)]

    def write() -> None:
        phone.product()
        phone.weight()
        connection.close()

    writing = threading.Thread(target=write)
    writing.start()
    writing.join()
    sent += chunks
    again = b"".join(export_as(device_of(phone)))
    assert len(b"".join(sent)) < len(again)
    if export_as is exporting.as_json:
        assert b'"body_weights":[]' in b"".join(sent)


@pytest.mark.django_db(transaction=True)
def test_an_export_that_is_given_up_leaves_no_transaction_open(phone: Api) -> None:
    phone.product()
    chunks = exporting.as_json(device_of(phone))
    next(chunks)
    assert connection.in_atomic_block
    chunks.close()  # type: ignore[attr-defined]  # a generator
    assert not connection.in_atomic_block


def test_its_queries_do_not_grow_with_its_rows(phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "BATCH", 2)
    counts = []
    for _ in range(2):
        for _ in range(3):
            phone.water()
        with CaptureQueriesContext(connection) as queries:
            assert len(b"".join(exporting.as_json(Device.objects.get()))) > 500
        counts.append(len(queries))
    assert counts[0] == counts[1]
