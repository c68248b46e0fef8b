"""The same calls with few and with very many devices, and the cost of triggers."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack
from statistics import median
from typing import Any

from bench import fill, load, world
from bench.compare import reset
from bench.fill import Connection
from bench.servers import connect, database, serving
from bench.world import ENDPOINTS, OURS_ONLY

FEW, MANY = 200, 200_000
ENTRIES_A_DEVICE = 50
INSERTED = 50_000
INSERTS = 3


def measure(rounds: int, seconds: float, many: int = MANY) -> dict[str, Any]:
    """Return by endpoint the median ratio of latencies, with many devices ÷ with few.

    Raises:
        BenchError: a request failed.
    """
    ratios: dict[str, list[float]] = defaultdict(list)
    with ExitStack() as ends:
        servers = []
        for devices in (FEW, many):
            url = ends.enter_context(database(f"scale_{devices}"))
            print(f"Filling {devices:,} devices …", flush=True)
            with connect(url) as connection:
                fill.fill(connection, devices, devices * ENTRIES_A_DEVICE, world.PRODUCTS)
            # The same number of devices makes calls in both databases, spread over all devices.
            in_play = range(0, devices, devices // FEW)
            server = ends.enter_context(serving("ours", url))
            servers.append((server, url, in_play))
        for server, url, in_play in servers:
            for endpoint in [*ENDPOINTS, *OURS_ONLY]:
                load.run(server.port, endpoint.spread(in_play), 1)
            reset(url)
        for number in range(rounds):
            print(f"Round {number + 1} of {rounds} …", flush=True)
            for endpoint in [*ENDPOINTS, *OURS_ONLY]:
                p50 = []
                for server, url, in_play in servers:
                    calls = endpoint.spread(in_play)
                    p50.append(load.run(server.port, calls, seconds).p50_ms)
                    if endpoint.writes:
                        reset(url)
                ratios[endpoint.name].append(p50[1] / p50[0])
        with connect(servers[0][1]) as connection:
            triggers = trigger_cost(connection)
    scale = {name: round(median(seen), 3) for name, seen in ratios.items()}
    return {"scale": scale, "insert_50000_triggers": triggers}


def trigger_cost(connection: Connection) -> dict[str, float]:
    """Return the seconds of an INSERT of 50,000 entries with and without triggers, and a ratio."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for on in [True, False] * INSERTS:
        with connection.transaction(force_rollback=True):
            if not on:
                connection.execute("ALTER TABLE food_entries DISABLE TRIGGER USER")
            start = time.perf_counter()
            connection.execute(
                """
                INSERT INTO food_entries (id, device_id, revision, created_at, product_id, date,
                    meal_type, name, name_folded, unit, grams, kcal)
                SELECT gen_random_uuid(), device_id, 1, now(), id, '2025-01-01', 'lunch', name,
                    name_folded, unit, 1, 1
                FROM generate_series(1, %s), (SELECT * FROM products LIMIT 1) AS product
                """,
                [INSERTED],
            )
            seconds[on].append(time.perf_counter() - start)
    with_them, without = median(seconds[True]), median(seconds[False])
    return {
        "with_s": round(with_them, 2),
        "without_s": round(without, 2),
        "ratio": round(with_them / without, 2),
    }
