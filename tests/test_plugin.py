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
    (tmp_path / "pytest.ini").write_text("[pytest]")
    # With a database's address the plugin starts none; without Django no test asks for one.
    variables = environment(tmp_path) | {"CI": ci, "DATABASE_URL": "postgres://localhost/none"}
    plugins = [
        word
        for name in ("tests.plugin", "no:cacheprovider", "no:django", "no:schemathesis")
        for word in ("-p", name)
    ]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "-c", tmp_path / "pytest.ini", path],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert outcome in run.stdout.splitlines()[-1], run.stdout + run.stderr
    assert (run.returncode == 0) == (ci == "")
