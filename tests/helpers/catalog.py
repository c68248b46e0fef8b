"""Foods of the catalog, as an import leaves them."""

from __future__ import annotations

import itertools
from typing import Any

from catalog.importing import Import
from catalog.models import Food, Source, food_id
from catalog.records import Record

NUMBERS = itertools.count(1)


def new_source(source: str = "fdc") -> Source:
    """Return a source, which is created if it is new."""
    values = {"name": source.upper(), "licence": "CC0 1.0", "url": f"https://{source}.example"}
    found, _ = Source.objects.get_or_create(source=source, defaults=values)
    return found


def new_food(name: str = "Chicken Breast", source: str = "fdc", **values: Any) -> Food:
    """Create a food with columns of its own."""
    new_source(source)
    values = {"kcal_100g": 165, "source_id": str(next(NUMBERS)), **values}
    key = food_id(source, values["source_id"])
    food: Food = Food.objects.create(id=key, source=source, name=name, **values)
    food.refresh_from_db()
    return food


def record(source_id: str = "1", name: str = "Chicken Breast", **values: Any) -> Record:
    """Return a record of a file."""
    return Record(source_id=source_id, name=name, **{"kcal": 165} | values)


def run_import(*records: Any, source: str = "fdc", **options: Any) -> Import:
    """Import records as one file of a source, and return what became of them."""
    run = Import(new_source(source), **options)
    for _ in run.records(records):
        pass
    run.finish()
    return run
