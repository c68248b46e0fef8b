from __future__ import annotations

import csv
import gzip
import io
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Food, Source
from products.nutrients import COLUMNS_100G
from tests.helpers.catalog import new_food, new_source, record, run_import

pytestmark = pytest.mark.django_db

# What another server has to get.
MOVED = (
    *("source_id", "name", "name_key", "brand", "unit", "language", *COLUMNS_100G),
    *("barcode", "gtin_14", "portions", "doubtful", "is_generic", "popularity"),
    "source_updated_at",
)
MOMENT = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)


def export(*arguments: str) -> str:
    output = io.StringIO()
    call_command("export_catalog", *arguments, stdout=output, stderr=io.StringIO())
    return output.getvalue()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def names(text: str) -> list[str]:
    return sorted(row["name"] for row in rows(text))


def stored(source: str) -> list[dict[str, Any]]:
    return list(Food.objects.filter(source=source).order_by("source_id").values(*MOVED))


def moved(tmp_path: Path, file: str = "foods.csv") -> list[dict[str, Any]]:
    """Export `fdc`, import it as another source, and return what that has then."""
    path = str(tmp_path / file)
    export("fdc", path)
    new_source("other")
    call_command("import_catalog", "csv", path, source="other", stdout=io.StringIO())
    return stored("other")


@pytest.mark.parametrize("file", ["foods.csv", "foods.csv.gz"])
def test_what_is_exported_is_the_same_once_it_is_imported(tmp_path: Path, file: str) -> None:
    run_import(
        record(
            "1",
            'Crème brûlée, "à l\'ancienne"; 50 %',
            brand="Ferme & fils",
            language="fr",
            kcal="310.4",
            values={
                "protein": "4.21",
                "carbs": 20,
                "fat": "23.5",
                "fiber": 0,
                "sugars": "19.9",
                "saturated_fat": "14.05",
                "salt": "0.13",
            },
            barcode="4006381333931",
            portions=[
                ("1 pot", 100.5),
                ("1 cup; heaped", 240),
                ("a=b", "0.01"),
                ("2 x 3=6 pieces", 15),
            ],
            popularity=71,
            updated_at=MOMENT,
        ),
        record("2", "Water", unit="ml", kcal=0, is_generic=True),
        record("3", "=Formula", values={"protein": 0, "carbs": 0, "fat": 0}),
    )
    before = stored("fdc")
    assert len(before[0]["portions"]) == 4
    assert [food["doubtful"] for food in before] == [False, False, True]
    assert moved(tmp_path, file=file) == before


def test_energy_and_doubt_stay_where_alcohol_explained_them(tmp_path: Path) -> None:
    sweet = {"protein": 0, "carbs": 30, "fat": 0}
    run_import(
        record("1", "Liqueur", kcal=450, kj=1883, values=sweet, alcohol=45),
        record("2", "Essence", kcal=500, kj=2092, values={**sweet, "carbs": 9}, alcohol=65),
    )
    before = stored("fdc")
    assert [(food["kcal_100g"], food["doubtful"]) for food in before] == [
        *((450, False), (500, False)),
    ]
    assert moved(tmp_path) == before


def test_corrections_are_exported_and_hidden_and_withdrawn_foods_are_not() -> None:
    user = User.objects.create_superuser("operator")
    corrected = new_food("Chicken")
    corrected.correct({"kcal_100g": 170, "protein_100g": Decimal("31.5")}, "label", user.pk)
    new_food("Hidden", is_hidden=True)
    new_food("Withdrawn", withdrawn_at=MOMENT)
    (row,) = rows(export("fdc"))
    assert (row["name"], row["kcal_100g"], row["protein_100g"]) == ("Chicken", "170", "31.50")


def test_one_source_is_exported() -> None:
    new_food("Chicken")
    new_food("Nutella", source="openfoodfacts")
    assert names(export("fdc")) == ["Chicken"]
    assert names(export("openfoodfacts", "-")) == ["Nutella"]


def test_a_source_without_foods_is_a_table_without_rows() -> None:
    new_source()
    header, end = export("fdc").split("\n")
    assert header.startswith("source_id,name,")
    assert end == ""


def test_a_name_that_ends_in_gz_is_gzipped(tmp_path: Path) -> None:
    new_food("Chicken")
    path = tmp_path / "foods.csv.gz"
    assert export("fdc", str(path)) == ""
    assert names(gzip.decompress(path.read_bytes()).decode()) == ["Chicken"]
    assert list(tmp_path.iterdir()) == [path]


def test_it_says_whose_foods_and_under_which_licence() -> None:
    Source.objects.create(source="own", name="Our foods", licence="ODbL 1.0", url="https://a.b")
    new_food(source="own")
    errors = io.StringIO()
    call_command("export_catalog", "own", stdout=io.StringIO(), stderr=errors)
    assert errors.getvalue() == "1 foods of Our foods, https://a.b, under ODbL 1.0.\n"


def test_an_unknown_source_is_one_sentence() -> None:
    new_source("fdc")
    with pytest.raises(CommandError, match=r"^ciqual is no source here\. There are: fdc\.$"):
        export("ciqual")


def test_a_file_that_cant_be_written_is_one_sentence(tmp_path: Path) -> None:
    new_source()
    with pytest.raises(CommandError, match=r"can't be written: No such file or directory\.$"):
        export("fdc", str(tmp_path / "missing" / "foods.csv"))


def test_an_export_that_fails_leaves_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_food("Chicken")
    path = tmp_path / "foods.csv"
    export("fdc", str(path))
    before = path.read_text()

    def fail(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("catalog.formats.table.write", fail)
    with pytest.raises(CommandError, match="No space left"):
        export("fdc", str(path))
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


def test_each_query_asks_for_a_part_of_the_ids_and_leaves_no_cursor_open() -> None:
    new_food("Chicken")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        export("fdc")
    asked = [query["sql"] for query in queries if "catalog_foods" in query["sql"]]
    assert len(asked) == 256
    assert all("BETWEEN" in sql and "DECLARE" not in sql for sql in asked)
