"""An import that is killed in the middle, beside a live server."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

import pytest

from attacks.client import Phone
from attacks.servers import check_integrity
from tests.helpers.processes import MANAGE, ROOT, Run, environment, query

FOODS = 60_000
FOODS_OF_A_BATCH = 5_000
DESCRIBED = ["--source=own", "--name=Own foods", "--licence=CC0 1.0", "--url=https://own.example"]
VERSIONS = "SELECT id, ctid FROM catalog_foods WHERE source = 'own' ORDER BY id"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "foods.csv"
    rows = (f"{number},Food {number},{number % 900}\n" for number in range(FOODS))
    file.write_text("source_id,name,kcal_100g\n" + "".join(rows))
    return file


def importing(server: Run, file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*MANAGE, "import_catalog", "csv", str(file), *DESCRIBED],
        cwd=ROOT,
        env=environment(server.data_dir),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported(server: Run, file: Path) -> dict[str, int]:
    """Import a file to its end, and return what became of its records."""
    command = importing(server, file)
    output, errors = command.communicate(timeout=120)
    assert (command.returncode, errors) == (0, ""), (output, errors)
    return {kind: int(count) for kind, count in re.findall(r"^ +([a-z]+) (\d+)$", output, re.M)}


def begun(server: Run, file: Path) -> subprocess.Popen[str]:
    """Start an import, and return once its first batch is written: the second is read by then."""
    command = importing(server, file)
    assert command.stdout
    for batches in (1, 2):
        assert command.stdout.readline() == f"{batches * FOODS_OF_A_BATCH} records\n"
    return command


def count(server: Run) -> int:
    [(found,)] = query(server.data_dir, "SELECT count(*) FROM catalog_foods WHERE source = 'own'")
    assert isinstance(found, int)
    return found


def test_a_killed_import_is_done_by_the_next_and_the_one_after_changes_nothing(
    server: Run, phone: Phone, file: Path
) -> None:
    with begun(server, file) as command:
        command.kill()
    done = count(server)
    assert 0 < done < FOODS
    assert done % FOODS_OF_A_BATCH == 0
    found = phone.request("GET", "/v1/catalog/foods?search=food+1199&limit=1")
    assert [food["name"] for food in found.json()] == ["Food 1199"]

    assert imported(server, file) == {"unchanged": done, "new": FOODS - done}
    before = query(server.data_dir, VERSIONS)
    assert imported(server, file) == {"unchanged": FOODS}
    assert query(server.data_dir, VERSIONS) == before
    sources = "SELECT foods, imported_at IS NOT NULL FROM catalog_sources WHERE source = 'own'"
    assert query(server.data_dir, sources) == [(FOODS, True)]
    check_integrity(server)


def test_ctrl_c_ends_an_import_with_one_sentence_and_its_counts(server: Run, file: Path) -> None:
    with begun(server, file) as command:
        command.send_signal(signal.SIGINT)
        output, errors = command.communicate(timeout=60)
    assert errors == "CommandError: Interrupted. Run it again for the rest.\n"
    assert command.returncode == 130
    assert re.search(r"^ +new \d+$", output, re.MULTILINE), output
    assert FOODS_OF_A_BATCH <= count(server) < FOODS
    assert query(server.data_dir, "SELECT count(*) FROM catalog_seen") == [(0,)]
