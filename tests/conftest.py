"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processes import Run, copy_of, first_start, kill_all_in


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a server that ran once; tests work on copies of it."""
    return first_start(tmp_path_factory)


@pytest.fixture(scope="session")
def running(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A server at its second start, for all tests that only ask it."""
    with copy_of(first, tmp_path_factory.mktemp("running")) as data_dir:
        run = Run(data_dir, REGISTER_THROTTLE="").wait_until_ready()
        yield run
        run.terminate()


@pytest.fixture(scope="session")
def stopped(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with copy_of(first, tmp_path_factory.mktemp("stopped")) as data_dir:
        yield data_dir


@pytest.fixture
def prepared(stopped: Path) -> Iterator[Path]:
    """A folder that was served before: there is all that it takes, and nothing alive."""
    yield stopped
    kill_all_in(stopped)
