"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.processes import first_start


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that ran once; tests work on copies of it."""
    return first_start(tmp_path_factory)
