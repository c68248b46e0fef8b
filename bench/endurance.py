"""Mixed load for longer: the memory of a worker, and whether speed changes over time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from statistics import mean
from typing import Any

from bench import fill, load, world
from bench.compare import reset
from bench.servers import Server, connect, database, serving
from bench.world import ENDPOINTS, OURS_ONLY, Call

REQUESTS = (10_000, 100_000)
WARM_UP_SECONDS = 2
MINUTES = 5


@contextmanager
def serving_world() -> Iterator[tuple[Server, list[Call], str]]:
    """Serve the world; yields the server, a mix of calls, and the database's URL.

    Answers keep their length, except those of pulls, which bring what was written meanwhile.
    Products are not created, because that would lengthen the list of products.
    """
    with database("endurance") as url:
        with connect(url) as connection:
            entries = world.DEVICES * world.DAYS * world.ENTRIES_A_DAY
            fill.fill(connection, world.DEVICES, entries, world.PRODUCTS)
        kinds = [kind for kind in ENDPOINTS if kind.name != "POST /v1/products"]
        kinds += OURS_ONLY
        by_kind = [endpoint.spread(range(world.DEVICES)) for endpoint in kinds]
        # Every kind is called equally often, however many different calls it has.
        length = max(map(len, by_kind))
        mixed = [calls[n % len(calls)] for n in range(length) for calls in by_kind]
        random.Random(0).shuffle(mixed)
        with serving("ours", url) as server:
            yield server, mixed, url


def memory() -> dict[str, float]:
    """Return the mean resident memory of a worker in MB, by the requests to all workers."""
    found = {}
    with serving_world() as (server, calls, _):
        seen = load.run(server.port, calls, WARM_UP_SECONDS)
        sent = seen.requests
        for wanted in REQUESTS:
            while sent < wanted:
                seen = load.run(server.port, calls, min(60, ceil((wanted - sent) / seen.rps)))
                sent += seen.requests
            found[str(wanted)] = round(mean(map(resident_mb, server.workers())), 1)
            print(f"After {sent:,} requests: {found[str(wanted)]} MB a worker.", flush=True)
    return found


def resident_mb(pid: int, kind: str = "VmRSS") -> float:
    """Return the resident memory of a process in MB, shared pages included; `VmHWM` is its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1024
    return 0.0


def sustain() -> dict[str, Any]:
    """Return the figures of each of five minutes of load, and the last minute's rps ÷ the first's.

    Before each minute, what was written is removed, so that every minute does the same work.

    Raises:
        BenchError: a request failed.
    """
    minutes = []
    with serving_world() as (server, calls, url):
        load.run(server.port, calls, WARM_UP_SECONDS)
        for number in range(MINUTES):
            reset(url)
            seen = load.run(server.port, calls, 60)
            minutes.append(seen)
            print(
                f"Minute {number + 1}: {seen.rps:.0f} rps, {seen.p99_ms:.1f} ms at p99.", flush=True
            )
    return {
        "minutes": [
            {
                "rps": round(seen.rps),
                "p50_ms": round(seen.p50_ms, 2),
                "p99_ms": round(seen.p99_ms, 2),
            }
            for seen in minutes
        ],
        "errors": 0,
        "last_vs_first": round(minutes[-1].rps / minutes[0].rps, 3),
    }
