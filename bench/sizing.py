"""What many devices ask of the parts: measured for one call and one row, then multiplied.

The assumptions stand here as constants, and in docs/scaling.md beside what follows from them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from bench import fill, load, world
from bench.servers import DATA_DIR, Server, connect, database, serving
from bench.world import ENDPOINTS, OURS_ONLY, Endpoint

# Measured with so many devices. `scale` shows that a call costs the same with many more.
DEVICES, ENTRIES_A_DEVICE = 2_000, 450
# What a phone does on a day on which somebody logs: calls of each kind.
DAY = {
    "POST /v1/food-entries": 6,
    "GET /v1/food-entries?date=": 8,
    "GET /v1/stats/day/{date}": 8,
    "GET /v1/food-entries/products?order=recent": 4,
    "GET /v1/sync?last_pulled_at=": 4,
}
# Of the registered devices, those that log on a day; of a day's calls, those of its busiest hour;
# and how much the busiest minute of that hour is above the hour's mean.
ACTIVE, BUSIEST_HOUR, PEAK = 0.2, 0.12, 2.0
SIZES = (1_000_000, 10_000_000, 100_000_000)
TICKS = os.sysconf("SC_CLK_TCK")
SIZE_OF = """
SELECT relname, pg_total_relation_size(oid)::float8, reltuples::float8 FROM pg_class
WHERE relname IN ('devices', 'phones', 'products', 'portions', 'food_entries', 'goals')
"""


def measure(seconds: float) -> dict[str, Any]:
    """Return what a call and a row cost, and what so many devices ask.

    Raises:
        BenchError: a request failed.
    """
    with database("sizing") as url:
        with connect(url) as connection:
            fill.fill(connection, DEVICES, DEVICES * ENTRIES_A_DEVICE, world.PRODUCTS)
            sizes = {table: round(size / rows) for table, size, rows in connection.execute(SIZE_OF)}
        with serving("ours", url) as server:
            costs = {
                endpoint.name: cost(server, url, endpoint, seconds)
                for endpoint in [*ENDPOINTS, *OURS_ONLY]
                if endpoint.name in DAY
            }
    asked = {f"{size:,}": asks(size, costs, sizes) for size in SIZES}
    return {"sizing": {"bytes_a_row": sizes, "a_call": costs, "devices": asked}}


def cost(server: Server, url: str, endpoint: Endpoint, seconds: float) -> dict[str, float]:
    """Return the CPU milliseconds and the bytes of write-ahead log of one call."""
    calls = endpoint.spread(range(0, DEVICES, DEVICES // 200))
    load.run(server.port, calls, 1)
    before = spent(server), written(url)
    done = load.run(server.port, calls, seconds).requests
    (gunicorn, postgres), log = spent(server), written(url)
    (gunicorn_before, postgres_before), log_before = before
    return {
        "gunicorn_ms": round((gunicorn - gunicorn_before) / done * 1000, 3),
        "postgres_ms": round((postgres - postgres_before) / done * 1000, 3),
        "wal_bytes": round((log - log_before) / done) if endpoint.writes else 0,
    }


def spent(server: Server) -> tuple[float, float]:
    """Return the CPU seconds of gunicorn's workers and of PostgreSQL's processes so far."""
    postmaster = int((DATA_DIR / "postgres" / "postmaster.pid").read_text().split()[0])
    backends = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return sum(map(cpu, server.workers())), sum(map(cpu, map(int, backends)))


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process: fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def written(url: str) -> float:
    with connect(url) as connection:
        found = connection.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    assert found is not None
    return float(found[0])


def asks(size: int, costs: dict[str, dict[str, float]], sizes: dict[str, int]) -> dict[str, Any]:
    """Return what so many registered devices ask, by the assumptions above."""
    calls_a_day = size * ACTIVE * sum(DAY.values())
    peak = calls_a_day * BUSIEST_HOUR / 3600 * PEAK
    share = {name: number / sum(DAY.values()) for name, number in DAY.items()}

    def at_peak(part: str) -> float:
        return peak * sum(share[name] * costs[name][part] for name in DAY)

    entries_a_day = size * ACTIVE * DAY["POST /v1/food-entries"]
    of_device = sizes["devices"] + sizes["phones"] + sizes["goals"]
    of_foods = world.PRODUCTS * (sizes["products"] + sizes["portions"])
    return {
        "calls_a_second_at_peak": round(peak),
        "writes_a_second_at_peak": round(peak * share["POST /v1/food-entries"]),
        "gunicorn_cores_at_peak": round(at_peak("gunicorn_ms") / 1000, 1),
        "postgres_cores_at_peak": round(at_peak("postgres_ms") / 1000, 1),
        "wal_mb_a_second_at_peak": round(at_peak("wal_bytes") / 1e6, 2),
        "entries_a_year_millions": round(entries_a_day * 365 / 1e6),
        "gb_without_entries": round(size * (of_device + of_foods) / 1e9, 1),
        "gb_of_entries_a_year": round(entries_a_day * 365 * sizes["food_entries"] / 1e9),
    }
