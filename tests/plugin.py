"""A pytest plugin that sets the tests' environment before Django loads, and starts PostgreSQL."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from countonme.server import embedded

# By default a collection follows on every 700 objects, which a request makes several times over.
gc.set_threshold(10_000, 20, 50)
# Where an environment forbids to keep it, every worker would compile every test in every run.
sys.dont_write_bytecode = False
# Their asserts say as much as those of tests.
pytest.register_assert_rewrite("tests.helpers")

share = None
ROOT = Path(__file__).resolve().parent.parent
DATA_DIR = ROOT / os.environ.get("DATA_DIR", ".data")

os.environ.update(
    SECRET_KEY="only for tests, " * 4,
    SECRET_KEY_FALLBACKS="",
    DEBUG="false",
    HTTPS="false",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    BCRYPT_ROUNDS="4",
    REGISTER_THROTTLE="10/min",
    PAIR_THROTTLE="10/min",
    DEVICE_THROTTLE="",
    SEARCH_THROTTLE="",
    NUM_PROXIES="0",
    CORS_ORIGINS="*",
    MAX_PRODUCTS_PER_DEVICE="5000",
    MAX_ENTRIES_PER_DAY="500",
    LOG_LEVEL="WARNING",
)
(ROOT / ".data" / "test-static").mkdir(parents=True, exist_ok=True)
os.environ["STATIC_ROOT"] = str(ROOT / ".data" / "test-static")
if not os.environ.get("DATABASE_URL"):
    try:
        share = embedded.join(DATA_DIR)
    except embedded.EmbeddedError as error:
        pytest.exit(str(error), returncode=1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have files that take long begin first: a file is one worker's."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collection_finish() -> None:
    """Spare each collection of garbage what is loaded by now, and stays."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make a skipped test fail in CI, where everything that tests need must be installed."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
    return report


def pytest_unconfigure() -> None:
    """Stop the embedded server, if no other process uses it."""
    if share is not None:
        embedded.leave(DATA_DIR, share)
