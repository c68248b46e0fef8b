"""The TypeScript package for tests, as it is built and installed."""

from __future__ import annotations

import fcntl
import shutil
import subprocess

import pytest

from tests.helpers.processes import ROOT

NODE_PROJECT = ROOT / "clients" / "typescript"
SOURCES = ("src/**/*.ts", "tsconfig.build.json", "package.json", "node_modules/.package-lock.json")


def built_package() -> str:
    """Build what is not built as it stands, and return Node. Skip the test where there is none."""
    node = shutil.which("node")
    if not node:
        pytest.skip("Node is not installed")
    if not (NODE_PROJECT / "node_modules" / "typescript").exists():
        pytest.skip("The packages of clients/typescript are not installed: run make node")
    # Test workers would build it at the same moment.
    with (NODE_PROJECT / "node_modules" / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        built = NODE_PROJECT / "dist" / "index.js"
        changed = [path.stat().st_mtime for each in SOURCES for path in NODE_PROJECT.glob(each)]
        if not built.exists() or built.stat().st_mtime <= max(changed):
            build = [node, "node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"]
            done = subprocess.run(build, cwd=NODE_PROJECT, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
            built.touch()
    return node
