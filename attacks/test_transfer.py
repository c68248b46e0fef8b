"""A server that is killed while it imports or exports a long diary."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

from attacks.client import LOST, Answer, Phone
from attacks.crashes import (
    answers,
    kill,
    kill_a_backend,
    kill_gunicorn,
    kill_postgresql,
    workers,
)
from attacks.servers import Report, check_integrity
from tests.helpers.processes import Run, query, wait_until

ENTRIES = 30_000
FIRST_DAY = date(2016, 1, 1)
SOUP = {"meal_type": "lunch", "name": "Soup", "kcal": 250}
# How many backends write entries, and how many read them for an export.
WRITING, READING = (
    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    f"AND state <> 'idle' AND query LIKE '{start}%'"
    for start in ('INSERT INTO "food_entries"', "FETCH")
)


def diary() -> dict[str, Any]:
    """Return an export of ten years, 10 entries a day."""
    entries = [
        SOUP | {"id": str(uuid.uuid4()), "date": str(FIRST_DAY + timedelta(days=n // 10))}
        for n in range(ENTRIES)
    ]
    return {"format": "countonme-diary-1", "rows": {"food_entries": entries}}


def kill_the_workers(server: Run) -> None:
    kill(workers(server))


CRASHES = [kill_the_workers, kill_postgresql, kill_a_backend, kill_gunicorn]


def crash_while(server: Run, call: Callable[[], Answer], is_busy: str, crash: Any) -> Answer:
    """Make a call, break the server while a backend is busy with it, and return its answer."""
    found: list[Answer] = []
    calling = threading.Thread(target=lambda: found.append(call()))
    calling.start()
    wait_until(lambda: query(server.data_dir, is_busy) != [(0,)] or found, 60)
    crash(server)
    calling.join(60)
    wait_until(lambda: answers(server.data_dir), 30)
    wait_until(lambda: Phone(server.port).get("/health/ready").status == 200, 30)
    return found[0]


def test_an_import_that_is_killed_leaves_all_or_nothing(server: Run, report: Report) -> None:
    exported = diary()
    count = "SELECT count(*) FROM food_entries WHERE device_id = '{}'"
    for crash in CRASHES:
        phone = Phone(server.port, timeout=60).register()
        stored = count.format(phone.device_id)
        call = partial(phone.on_new_connection().post, "/v1/import", exported)
        answer = crash_while(server, call, WRITING, crash)
        assert answer == LOST or answer.status in (200, 503), answer
        ((rows,),) = query(server.data_dir, stored)
        report(f"{crash.__name__}: answered {answer.status}, {rows} rows")
        assert rows in (0, ENTRIES)
        assert answer.status != 200 or rows == ENTRIES
        began = time.monotonic()
        again = phone.on_new_connection().post("/v1/import", exported).json()
        report(f"the same again: {time.monotonic() - began:.1f} s")
        assert again["rejected"] == {}
        assert again["imported"]["food_entries"] + again["skipped"]["food_entries"] == ENTRIES
        assert query(server.data_dir, stored) == [(ENTRIES,)]
    check_integrity(server)


def test_an_export_that_is_killed_is_no_whole_file(server: Run, report: Report) -> None:
    """Whoever keeps it as a copy is told by HTTP that it is not all."""
    phone = Phone(server.port, timeout=60).register()
    assert phone.post("/v1/import", diary()).status == 200
    for crash in (kill_the_workers, kill_a_backend):
        call = partial(phone.on_new_connection().get, "/v1/export")
        answer = crash_while(server, call, READING, crash)
        report(f"{crash.__name__}: answered {answer.status}, {len(answer.body)} bytes")
        is_whole = answer.body.endswith(b"]}}\n")
        assert is_whole == (answer.status == 200)
        assert is_whole or answer == LOST or answer.status == 503
