"""Exports and imports of a long diary: how long they take, and how much memory a worker needs."""

from __future__ import annotations

import http.client
import time
import uuid
from typing import Any

import orjson

from bench import fill, world
from bench.endurance import resident_mb
from bench.load import BenchError
from bench.servers import Server, connect, database, serving
from bench.world import Call

# Ten years of a diary.
EXPORTED = 40_000
ENTRIES, GLASSES = 60_000, 40_000
A_DAY = 20


def measure() -> dict[str, Any]:
    """Return seconds of each call, and by how many MB it raised the peak of a worker's memory.

    Raises:
        BenchError: a call failed, or answered a wrong number of rows.
    """
    found: dict[str, Any] = {}
    with database("transfer") as url:
        with connect(url) as connection:
            fill.fill(connection, 2, 2 * EXPORTED, world.PRODUCTS)
        body = exported()
        calls = {
            f"export, {EXPORTED:,} entries": ("GET", "/v1/export", b""),
            "the same as CSVs": ("GET", "/v1/export?format=csv", b""),
            f"import, {ENTRIES + GLASSES:,} rows": ("POST", "/v1/import", body),
            "the same again": ("POST", "/v1/import", body),
        }
        for name, (method, path, content) in calls.items():
            # Each with workers that have done nothing yet.
            with serving("ours", url) as server:
                before = peak(server)
                start = time.perf_counter()
                answer = send(server, Call(1, method, path), content)
                seconds = time.perf_counter() - start
                check(path, answer)
                found[name] = {
                    "seconds": round(seconds, 2),
                    "mb": round(peak(server) - before, 1),
                    "sent_mb": round(len(content or answer) / 2**20, 1),
                }
                print(f"{name}: {found[name]}", flush=True)
    return found


def peak(server: Server) -> float:
    """Return the peak memory of the worker that needed most."""
    return max(resident_mb(pid, "VmHWM") for pid in server.workers())


def send(server: Server, call: Call, content: bytes) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    try:
        headers = call.headers | ({"Content-Type": "application/json"} if content else {})
        connection.request(call.method, call.path, content or None, headers)
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    if response.status != 200:
        raise BenchError(f"{call.method} {call.path} answered {response.status}: {answer[:200]!r}")
    return answer


def check(path: str, answer: bytes) -> None:
    if path == "/v1/export" and answer.count(b'"meal_type"') != EXPORTED:
        raise BenchError("The export has not all entries.")
    if path == "/v1/import" and not answer.endswith(b'"rejected":{}}'):
        raise BenchError(f"The import left rows out: {answer[:500]!r}")


def exported() -> bytes:
    """Return an export of 100,000 rows, all of them new to the device: entries and water."""
    stamp = "2020-01-01T12:00:00.123456Z"
    times = {"created_at": stamp, "updated_at": None}
    entries = [
        {
            "id": uuid.uuid4(),
            "product_id": None,
            "portion_id": None,
            "date": day_of(number),
            "meal_type": "lunch",
            "name": f"Food {number % 500}",
            "unit": "g",
            "grams": 50 + number % 200 / 2,
            "quantity": None,
            "kcal": 100 + number % 300 / 4,
            **dict.fromkeys(("protein", "carbs", "fat"), number % 80 / 4),
            **dict.fromkeys(("fiber", "sugars", "saturated_fat", "salt")),
            "eaten_at": None,
            **times,
        }
        for number in range(ENTRIES)
    ]
    glasses = [
        {"id": uuid.uuid4(), "date": day_of(number), "ml": 250, **times}
        for number in range(GLASSES)
    ]
    rows = {"food_entries": entries, "water_entries": glasses}
    return orjson.dumps({"format": "countonme-diary-1", "exported_at": stamp, "rows": rows})


def day_of(number: int) -> str:
    day = number // A_DAY
    return f"20{30 + day // 336:02}-{1 + day // 28 % 12:02}-{1 + day % 28:02}"
