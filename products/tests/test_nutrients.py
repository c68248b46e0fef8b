"""The list of nutrients, and what follows from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from django.conf import settings
from django.db import connection

from products import nutrients
from products.nutrients import COLUMNS_100G, MACROS, NAMES, NUTRIENTS, OPTIONAL, per_100g
from tests.helpers import contract

POTASSIUM = '    Nutrient(name="potassium", max_100g=20, max_sent=50, example_100g=0.4),\n'


def test_they_are_those_of_the_contract_in_its_order() -> None:
    assert [*NAMES] == contract.NUTRIENTS
    assert [*COLUMNS_100G] == [f"{name}_100g" for name in contract.NUTRIENTS]
    assert [*OPTIONAL] == contract.NUTRIENTS[1:]
    assert [*MACROS] == contract.NUTRIENTS[1:4]


def test_an_entry_may_have_the_nutrients_of_10_kg_of_a_product() -> None:
    most = dict.fromkeys(OPTIONAL, 10_000) | {"kcal": 100_000}
    assert {nutrient.name: nutrient.max_eaten for nutrient in NUTRIENTS} == most


def test_a_made_up_foods_values_are_in_the_order_of_the_list_and_null_past_their_end() -> None:
    food = per_100g((24, 1.2, None, 0.1))
    assert list(food) == [*COLUMNS_100G]
    assert [str(value) for value in food.values()] == [
        "24",
        "1.2",
        "None",
        "0.1",
        *["None"] * len(NAMES[4:]),
    ]


def test_everything_follows_from_a_ninth_line(db: None, tmp_path: Path) -> None:
    source = Path(nutrients.__file__).read_text()
    [before, after] = source.split(")\n\nNAMES =")
    copy = tmp_path / "nutrients.py"
    copy.write_text(f"{before}{POTASSIUM})\n\nNAMES ={after}")
    database = connection.settings_dict["NAME"]
    done = subprocess.run(
        [sys.executable, "-m", "products.tests.ninth_nutrient", copy, database],
        check=False,
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
