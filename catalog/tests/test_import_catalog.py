"""The command: its options, what it says, and what it leaves where something goes wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DataError

from catalog import importing
from catalog.formats import table
from catalog.models import Food, Seen, Source
from tests.helpers.catalog import new_food, new_source

pytestmark = pytest.mark.django_db

HEADER = "source_id,name,kcal_100g,language,countries,popularity"
APPLE, BREAD = "1,Apple,52,en,de,7", "2,Bread,250,de,de fr,3"
NAMELESS, SUN = "3,,52,en,,", "4,Sun,,en,,"
CUT_OFF = "5,Cut"
DESCRIBED = {
    "source": "own",
    "name": "Own foods",
    "licence": "CC0 1.0",
    "url": "https://own.example",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "foods.csv"


def write(file: Path, *rows: str) -> str:
    lines = [HEADER, *rows]
    end = "" if rows[-1:] == (CUT_OFF,) else "\n"
    file.write_text("\n".join(lines) + end)
    return str(file)


def run(*arguments: str, **options: Any) -> list[str]:
    """Run the command, and return the words of each line that it says."""
    output = io.StringIO()
    call_command("import_catalog", *arguments, stdout=output, **options)
    return [" ".join(line.split()) for line in output.getvalue().splitlines()]


def run_csv(*files: str, **options: Any) -> list[str]:
    return run("csv", *files, **DESCRIBED | options)


def failure(*files: str, **options: Any) -> tuple[str, str]:
    """Run the command, which fails, and return its sentence and what it said before."""
    output = io.StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("import_catalog", "csv", *files, stdout=output, **DESCRIBED | options)
    return str(raised.value), output.getvalue()


def names(**filters: Any) -> list[str]:
    return sorted(Food.objects.filter(withdrawn_at=None, **filters).values_list("name", flat=True))


# Formats


def test_a_csv_is_imported(file: Path) -> None:
    run_csv(write(file, APPLE, BREAD))
    assert names(source="own") == ["Apple", "Bread"]


def test_open_food_facts_is_imported(tmp_path: Path) -> None:
    product = {"code": "4006381333931", "product_name": "Oats"}
    product["nutriments"] = {"energy-kcal_100g": 372}  # type: ignore[assignment]
    path = tmp_path / "products.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(product).encode() + b"\n"))
    run("openfoodfacts", str(path))
    assert names(source="openfoodfacts") == ["Oats"]
    assert Source.objects.get().licence.startswith("Open Database License (ODbL) 1.0")


FOOD_DATA_CENTRAL = {
    "food.csv": "fdc_id,data_type,description,publication_date\n"
    "171688,sr_legacy_food,Apples,2019-04-01\n",
    "food_nutrient.csv": "fdc_id,nutrient_id,amount\n171688,1008,52\n",
}


@pytest.mark.parametrize("is_packed", [True, False], ids=["ZIP", "folder"])
def test_food_data_central_is_imported(tmp_path: Path, is_packed: bool) -> None:
    path = tmp_path / "download"
    if is_packed:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in FOOD_DATA_CENTRAL.items():
                archive.writestr(name, text)
    else:
        path.mkdir()
        for name, text in FOOD_DATA_CENTRAL.items():
            (path / name).write_text(text)
    run("fdc", str(path))
    assert names(source="fdc") == ["Apples"]
    assert Source.objects.get().name == "USDA FoodData Central"


def test_a_gzipped_file_is_unpacked(file: Path) -> None:
    plain = Path(write(file, APPLE)).read_bytes()
    file.write_bytes(gzip.compress(plain))
    run_csv(str(file))
    assert names() == ["Apple"]


def test_a_hyphen_is_standard_input(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = Path(write(file, APPLE)).read_bytes()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    run_csv("-")
    assert names() == ["Apple"]


# Options


def test_several_files_are_one_import(tmp_path: Path) -> None:
    new_source("own")
    new_food("Gone", source="own", source_id="9")
    paths = [write(tmp_path / "1.csv", APPLE), write(tmp_path / "2.csv", BREAD)]
    run_csv(*paths, full=True, force=True)
    assert names() == ["Apple", "Bread"]


def test_without_full_nothing_is_withdrawn(file: Path) -> None:
    run_csv(write(file, APPLE, BREAD))
    run_csv(write(file, APPLE))
    assert names() == ["Apple", "Bread"]


def test_full_withdraws_many_foods_only_with_force(file: Path) -> None:
    run_csv(write(file, APPLE, BREAD))
    path = write(file, APPLE)
    sentence, _ = failure(path, full=True)
    assert sentence == (
        "1 of 2 foods are not in the file. That is more than 5%: nothing was withdrawn. "
        "Use --force if that is right."
    )
    assert names() == ["Apple", "Bread"]
    assert "withdrawn 1" in run_csv(path, full=True, force=True)
    assert names() == ["Apple"]


def test_full_and_limit_are_refused(file: Path) -> None:
    sentence, output = failure(write(file, APPLE), full=True, limit=1)
    assert (sentence, output) == ("--full needs the whole file: leave out --limit.", "")
    assert not Source.objects.exists()


def test_the_limit_counts_records_of_all_files(tmp_path: Path) -> None:
    paths = [write(tmp_path / "1.csv", NAMELESS), write(tmp_path / "2.csv", APPLE, BREAD)]
    run_csv(*paths, limit=2)
    assert names() == ["Apple"]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--languages", "de"], ["Bread"]),
        (["--languages", "DE, en"], ["Apple", "Bread"]),
        (["--countries", "fr"], ["Bread"]),
        (["--countries", "fr,de"], ["Apple", "Bread"]),
        (["--min-scans", "4"], ["Apple"]),
        (["--min-scans", "4", "--languages", "de"], []),
    ],
)
def test_only_what_is_wanted_is_imported(file: Path, options: list[str], wanted: list[str]) -> None:
    said = run("csv", write(file, APPLE, BREAD), *options, **DESCRIBED)
    assert names() == wanted
    unwanted = 2 - len(wanted)
    assert [line for line in said if "unwanted" in line] == [f"unwanted {unwanted}"] * (
        unwanted > 0
    )


@pytest.mark.parametrize("option", ["--limit", "--min-scans"])
@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_number_that_makes_no_sense_is_refused(file: Path, option: str, value: str) -> None:
    with pytest.raises(CommandError, match=f"argument {option}: {value} is no number from 1 on"):
        run("csv", write(file, APPLE), f"{option}={value}", **DESCRIBED)


def test_a_dry_run_counts_and_writes_nothing(file: Path) -> None:
    new_food("Gone", source="own", source_id="9")
    before = Source.objects.values().get()
    path = write(file, APPLE, NAMELESS)
    said = run_csv(path, dry_run=True, full=True, force=True)
    assert said[1:] == ["new 1", "withdrawn 1", "refused 1", "1 no name", "Nothing was written."]
    assert names() == ["Gone"]
    assert Source.objects.values().get() == before
    assert not Seen.objects.exists()


def test_a_dry_run_creates_no_source(file: Path) -> None:
    assert "new 1" in run_csv(write(file, APPLE), dry_run=True, full=True)
    assert not Source.objects.exists()


def test_the_report_lists_what_was_refused_and_why(file: Path, tmp_path: Path) -> None:
    report = tmp_path / "refused.csv"
    run_csv(write(file, NAMELESS, APPLE, SUN, "5,Too,many,columns,,,"), report=str(report))
    assert list(csv.reader(report.read_text().splitlines())) == [
        ["place", "source_id", "reason"],
        ["line 5", "", "wrong number of columns"],
        ["line 2", "3", "no name"],
        ["line 4", "4", "no energy"],
    ]


def test_a_report_that_cant_be_written_is_one_sentence(file: Path, tmp_path: Path) -> None:
    report = tmp_path / "missing" / "refused.csv"
    sentence, _ = failure(write(file, APPLE), report=str(report))
    assert sentence == f"{report} can't be written: No such file or directory."
    assert not Source.objects.exists()


# Sources


@pytest.mark.parametrize("missing", ["name", "licence", "url"])
def test_a_new_source_has_to_be_described(file: Path, missing: str) -> None:
    sentence, _ = failure(write(file, APPLE), **{missing: None})
    assert sentence == f"--{missing}: This field cannot be blank."
    assert not Source.objects.exists()


def test_a_csv_needs_a_source(file: Path) -> None:
    sentence, _ = failure(write(file, APPLE), source=None)
    assert sentence == "Say with --source whose foods these are."


def test_a_known_source_needs_no_description_and_may_get_another(file: Path) -> None:
    run_csv(write(file, APPLE))
    run("csv", str(file), source="own", licence="CC BY 4.0")
    source = Source.objects.get()
    assert (source.name, source.licence, source.foods) == ("Own foods", "CC BY 4.0", 1)


def test_a_csv_may_bring_foods_of_a_source_that_a_format_describes(file: Path) -> None:
    run("csv", write(file, APPLE), source="fdc")
    assert Source.objects.get().name == "USDA FoodData Central"


# What goes wrong


def test_a_missing_file_is_found_before_anything_is_imported(file: Path) -> None:
    missing = f"{file}.missing"
    sentence, output = failure(write(file, APPLE), missing)
    assert (sentence, output) == (f"There is no {missing}. Nothing was imported.", "")
    assert not Source.objects.exists()


def test_a_file_that_ends_too_early_is_an_error_and_withdraws_nothing(file: Path) -> None:
    run_csv(write(file, BREAD))
    imported_at = Source.objects.get().imported_at
    sentence, output = failure(write(file, APPLE, CUT_OFF), full=True, force=True)
    assert sentence == f"{file} ends too early. What came before that is imported."
    assert "new 1" in output
    assert names() == ["Apple", "Bread"]
    assert Source.objects.get().imported_at == imported_at
    assert not Seen.objects.exists()


def test_ctrl_c_ends_it_with_one_sentence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = table.read

    def interrupted(*args: Any) -> Iterable[Any]:
        yield from read(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(table, "read", interrupted)
    monkeypatch.setattr(importing, "BATCH", 1)
    output = io.StringIO()
    with pytest.raises(
        CommandError, match=r"^Interrupted\. Run it again for the rest\.$"
    ) as raised:
        call_command("import_catalog", "csv", write(file, APPLE), stdout=output, **DESCRIBED)
    assert raised.value.returncode == 130
    assert "new 1" in output.getvalue()
    assert not Seen.objects.exists()


# What it says


def test_each_batch_is_a_line_and_the_summary_has_the_reasons_at_its_end(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    path = write(file, APPLE, NAMELESS, SUN, BREAD, "6,Moon,,,,")
    assert run_csv(path) == [
        *("2 records", "4 records", "5 records"),
        *("new 2", "refused 3", "2 no energy", "1 no name"),
    ]
    assert run_csv(path)[3:] == ["unchanged 2", "refused 3", "2 no energy", "1 no name"]
    write(file, "1,Apple,53,en,de,7", BREAD)
    assert run_csv(path) == ["2 records", "changed 1", "unchanged 1"]


def new_terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_on_a_terminal_there_is_a_bar_instead(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = new_terminal(monkeypatch)
    assert run_csv(write(file, APPLE)) == ["new 1"]
    assert f"/{file.stat().st_size}.0 " in terminal.getvalue()


def test_the_bar_of_a_folder_is_as_long_as_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = new_terminal(monkeypatch)
    for name, text in FOOD_DATA_CENTRAL.items():
        (tmp_path / name).write_text(text)
    run("fdc", str(tmp_path))
    assert f"/{sum(map(len, FOOD_DATA_CENTRAL.values()))} " in terminal.getvalue()


# Two connections


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_written_while_the_next_one_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    rows = [f"{number},Food {number},52,en,de,7" for number in range(7)]
    # The first food once more, in a batch of its own: it is known by then.
    assert run_csv(write(file, *rows, "0,Other,52,en,de,7"))[-2:] == ["new 7", "repeated 1"]
    assert names() == [f"Food {number}" for number in range(7)]
    assert run_csv(write(file, *rows))[-1] == "unchanged 7"
    assert not Seen.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_can_not_be_written_ends_the_import(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 1)
    monkeypatch.setattr(importing, "INSERT", "SELECT 1/0")
    with pytest.raises(DataError):
        run_csv(write(file, APPLE, BREAD))
    assert names() == []
    assert Source.objects.get().imported_at is None
