"""What the suite's plugin does to every test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT, environment

SKIPPED = """
import pytest

@pytest.mark.skipif(True, reason="for want of something")
def test_at_setup() -> None: ...

def test_within() -> None:
    pytest.skip("for want of something")
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", "2 skipped"), ("true", "1 failed, 1 error")])
def test_ci_fails_where_a_test_is_skipped(tmp_path: Path, ci: str, outcome: str) -> None:
    path = tmp_path / "test_skipped.py"
    path.write_text(SKIPPED)
    # Its settings need a database's address; no test asks for the database.
    variables = environment(tmp_path) | {"CI": ci, "DATABASE_URL": "postgres://localhost/none"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pytest.ini"]
    run = subprocess.run(
        [*command, str(path)], cwd=ROOT, env=variables, capture_output=True, text=True
    )
    assert outcome in run.stdout.splitlines()[-1], run.stdout + run.stderr
    assert (run.returncode == 0) == (ci == "")
