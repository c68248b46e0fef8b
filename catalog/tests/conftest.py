from __future__ import annotations

from contextlib import nullcontext

import pytest

from catalog import importing


@pytest.fixture(autouse=True)
def _one_connection(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have commands import on the test's connection, which alone sees the test's transaction."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        at_once = nullcontext((importing.AT_ONCE, importing.AT_ONCE))
        monkeypatch.setattr(importing, "two_threads", lambda: at_once)
