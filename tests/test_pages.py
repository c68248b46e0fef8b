"""The lines that pages print, as they stand, beside a live server; their answers are as printed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.pages import Comparison, outputs, steps
from tests.helpers.processes import ROOT, SERVE, Run, copy_of

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc"),
    pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed"),
]

DOCS = ROOT / "docs"
# As docs/phones.md says to run the server.
FOR_PHONES = "PAIR_THROTTLE=30/min"


@pytest.fixture
def server(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A live server, whose counts of calls no other page has raised."""
    name, _, rate = FOR_PHONES.partition("=")
    with copy_of(first, tmp_path_factory.mktemp("pages")) as data_dir:
        run = Run(data_dir, SERVE, BCRYPT_ROUNDS="4", **{name: rate}).wait_until_ready()
        yield run
        run.terminate()


def compare(page: Path, server: Run, dated: tuple[str, ...] = ()) -> None:
    found = steps(page)
    assert any(step.answer for step in found)
    comparison = Comparison(dated)
    for step, output in zip(found, outputs(found, server), strict=True):
        if step.answer is not None:
            comparison.compare(step, output)


def test_the_guide_to_phones_has_the_answers_of_a_run(server: Run) -> None:
    page = DOCS / "phones.md"
    assert f"`make run {FOR_PHONES}`" in page.read_text()
    compare(page, server)


def test_the_tour_has_the_answers_of_a_run(server: Run) -> None:
    compare(DOCS / "api-tour.md", server, dated=("Goals", "Some weeks later"))


def test_the_guide_to_ones_data_has_the_answers_of_a_run(server: Run) -> None:
    compare(DOCS / "data.md", server)


def test_the_readme_logs_a_first_meal(server: Run) -> None:
    meal = [step for step in steps(ROOT / "README.md") if step.section == "A first meal"]
    (output,) = outputs(meal, server)
    assert output.endswith("}")
    assert '"totals":{"kcal":247.5,' in output
