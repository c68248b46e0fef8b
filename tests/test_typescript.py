"""The app developer's package, clients/typescript: its own tests, its examples, its guides."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from tests.helpers.node import NODE_PROJECT, built_package
from tests.helpers.processes import ROOT, SERVE, Run, copy_of

pytestmark = pytest.mark.long

GUIDES = [ROOT / "docs" / "sync.md", ROOT / "docs" / "phones.md", NODE_PROJECT / "README.md"]
NO_THROTTLES = {"REGISTER_THROTTLE": "", "PAIR_THROTTLE": "", "BCRYPT_ROUNDS": "4"}


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with package, tests and examples compiled: so their types are checked."""
    program = built_package()
    compiled = subprocess.run(
        ["npm", "run", "--silent", "check"],
        cwd=NODE_PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stdout
    return program


@pytest.fixture(scope="module")
def server(node: str, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a live server."""
    with copy_of(first, tmp_path_factory.mktemp("typescript")) as data_dir:
        run = Run(data_dir, SERVE, **NO_THROTTLES).wait_until_ready()
        yield f"http://127.0.0.1:{run.port}"
        run.terminate()


def run_node(node: str, server: str, *arguments: str) -> str:
    """Run a program of the package against the server, and return its output."""
    done = subprocess.run(
        [node, *arguments],
        cwd=NODE_PROJECT,
        env=os.environ | {"COUNTONME_URL": server},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass(node: str, server: str) -> None:
    files = sorted(str(path) for path in (NODE_PROJECT / "build" / "test").glob("*.test.js"))
    report = run_node(node, server, "--test", "--test-timeout=60000", *files)
    counts = dict(re.findall(r"^# (\w+) (\d+)$", report, re.M))
    assert int(counts["pass"]) == int(counts["tests"]) >= len(files) > 0, report


def test_the_example_comes_from_nothing_to_a_synced_meal(node: str, server: str) -> None:
    *_, said = run_node(node, server, "build/examples/diary.js").splitlines()
    assert re.fullmatch(r"Chicken .*: 247\.5 kcal\. The server has 247\.5 kcal today\.", said), said


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_code_in_a_guide_stands_in_an_example(guide: Path) -> None:
    """Examples are checked by the compiler, and one of them runs: so is what guides print."""
    examples = NODE_PROJECT.glob("examples/**/*.ts*")
    lines = {line.strip() for path in examples for line in path.read_text().splitlines()}
    for code in re.findall(r"^ *```tsx?\n(.*?)^ *```$", guide.read_text(), re.M | re.S):
        for line in dedent(code).splitlines():
            assert line.strip() in lines | {""}, f"{guide.name}: {line}"
