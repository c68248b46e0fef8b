"""What several files of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.processes import first_start


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that ran once, to be copied."""
    return first_start(tmp_path_factory)
