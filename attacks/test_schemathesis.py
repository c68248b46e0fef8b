"""Schemathesis checks that the live server does what the OpenAPI document says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT, Run, environment

SCHEMATHESIS = [sys.executable, "-m", "schemathesis.cli", "--no-color"]
CONFIG = ["--config-file", "attacks/schemathesis.toml"]


def test_the_server_does_what_the_document_says(server: Run, tmp_path: Path) -> None:
    url, answers = f"http://127.0.0.1:{server.port}/openapi.json", tmp_path / "answers"
    attack = subprocess.run(
        [*SCHEMATHESIS, *CONFIG, "run", url],
        cwd=ROOT,
        env=environment(
            server.data_dir, ATTACKED_PORT=str(server.port), ATTACK_ANSWERS=str(answers)
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    if attack.returncode != 0:
        pytest.fail(attack.stdout, pytrace=False)
    seen = set(answers.read_text().splitlines())
    document = json.loads(server.get("/openapi.json"))
    for path, item in document["paths"].items():
        for method in item:
            call = f"{method.upper()} {path}"
            assert seen & {f"{call} {status}" for status in (200, 201, 204)}, call
            assert f"{call} 404" in seen or "{" not in path, call
    conflicts = {line.rpartition(" ")[0] for line in seen if line.endswith(" 409")}
    assert "POST /v1/auth/register" in conflicts
    assert "DELETE /v1/portions/{id}" in conflicts
    assert "POST /v1/auth/pair 404" in seen
