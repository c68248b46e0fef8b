"""Checks what follows from a list of nutrients with one line more; `test_nutrients.py` runs it.

In a process of its own, as models are made once a process: `python -m products.tests.ninth_nutrient
LIST DATABASE` takes the file with the list, and a migrated database, which it leaves as it was.
"""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import Any

import django
from django.apps import apps
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

DAY = "2025-02-05"
COLUMNS = {"products": "potassium_100g", "food_entries": "potassium"}


def read_list(path: str) -> None:
    """Have a file be `products.nutrients`."""
    spec = spec_from_file_location("products.nutrients", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


def check_migrations() -> None:
    """Django finds that each table misses a column and its CHECK, and nothing else; add them."""
    loader = MigrationLoader(connection)
    state = loader.project_state()
    changes = MigrationAutodetector(state, ProjectState.from_apps(apps)).changes(loader.graph)
    operations = {app: found[0].operations for app, found in changes.items()}
    assert {app: [op.describe() for op in listed] for app, listed in operations.items()} == {
        "catalog": [
            "Add field potassium_100g to food",
            "Create constraint catalog_foods_potassium_in_range on model food",
        ],
        "entries": [
            "Add field potassium to foodentry",
            "Create constraint food_entries_potassium_in_range on model foodentry",
        ],
        "products": [
            "Add field potassium_100g to product",
            "Create constraint products_potassium_in_range on model product",
        ],
    }
    for [migration] in changes.values():
        with connection.schema_editor(atomic=False) as editor:
            state = migration.apply(state, editor)


def check_document() -> None:
    """The document has the fields with their limits, and examples of them."""
    from countonme.api.docs import document

    schemas = document()["components"]["schemas"]
    assert schemas["ProductRequest"]["properties"]["potassium_100g"]["maximum"] == 20
    assert schemas["FoodEntryRequest"]["properties"]["potassium"]["maximum"] == 50
    for name in ("Product", "ProductWithMore", "ProductRecord"):
        assert "potassium_100g" in schemas[name]["properties"], name
    for name in ("FoodEntry", "FoodEntryRecord", "Totals"):
        assert "potassium" in schemas[name]["properties"], name
    answer = document()["paths"]["/v1/stats/day/{date}"]["get"]["responses"]["200"]
    [example] = answer["content"]["application/json"]["examples"].values()
    assert example["value"]["totals"]["potassium"] == 0.6


def check_calls() -> None:
    """Over HTTP it is checked, kept, worked out, summed and synced."""
    from tests.helpers.api import new_phone

    phone = new_phone()
    too_much = {"name": "Salt", "kcal_100g": 0, "potassium_100g": 20.01}
    assert phone.post("/v1/products", too_much).status_code == 422
    product = phone.product(potassium_100g=0.4)
    assert product["potassium_100g"] == 0.4
    assert phone.entry(product_id=product["id"], grams=150)["potassium"] == 0.6
    phone.entry(potassium=0.05)
    phone.entry()

    day = phone.get(f"/v1/stats/day/{DAY}").json()
    assert (day["totals"]["potassium"], day["unknown"]["potassium"]) == (0.65, 1)
    daily = phone.get(f"/v1/stats/daily?from={DAY}&to={DAY}").json()
    assert daily["average"]["potassium"] == 0.65
    progress = phone.get(f"/v1/goals/progress?date={DAY}").json()
    assert (progress["eaten"]["potassium"], progress["unknown"]["potassium"]) == (0.65, 1)

    pulled: Any = phone.get("/v1/sync").json()
    rows = {table: pulled["changes"][table]["updated"] for table in COLUMNS}
    values = {table: {row[COLUMNS[table]] for row in rows[table]} for table in COLUMNS}
    assert values == {"products": {0.4}, "food_entries": {0.6, 0.05, None}}
    changed = {"products": {"updated": [{"id": product["id"], "potassium_100g": 1}]}}
    pushed = phone.post(f"/v1/sync?last_pulled_at={pulled['timestamp']}", changed)
    assert pushed.json()["rejected"] == {}
    assert phone.get(f"/v1/products/{product['id']}").json()["potassium_100g"] == 1
    call_command("check_integrity")


def check_constraints() -> None:
    """The database refuses what is out of range."""
    for table, column in COLUMNS.items():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"UPDATE {table} SET {column} = -1")
        except IntegrityError as error:
            assert f"{table}_potassium_in_range" in str(error)  # noqa: PT017  # no test of pytest's
        else:
            raise AssertionError(f"{table} takes a negative amount")


def main() -> None:
    read_list(sys.argv[1])
    django.setup()
    connection.settings_dict["NAME"] = sys.argv[2]
    with transaction.atomic():
        check_migrations()
        check_document()
        check_calls()
        check_constraints()
        transaction.set_rollback(True)


if __name__ == "__main__":
    main()
