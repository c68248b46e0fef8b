"""Sync: pushes and pulls of many rows."""

from __future__ import annotations

import time
import uuid
from statistics import median
from typing import Any

from bench import fill, world
from bench.load import BenchError
from bench.servers import Server, connect, database, serving
from bench.world import Call

PUSHED, PULLED = 5_000, 20_000
TURNS = 5


def measure() -> dict[str, Any]:
    """Return the median milliseconds of each call, over devices that are new to the server.

    Raises:
        BenchError: a call failed, or answered a wrong number of rows.
    """
    seen: dict[str, list[float]] = {}
    with database("sync") as url:
        with connect(url) as connection:
            fill.fill(connection, TURNS, TURNS * PULLED, world.PRODUCTS)
        with serving("ours", url) as server:
            for device in range(TURNS):
                for name, milliseconds in catch_up(server, device).items():
                    seen.setdefault(name, []).append(milliseconds)
    return {name: round(median(found), 1) for name, found in seen.items()}


def catch_up(server: Server, device: int) -> dict[str, float]:
    """Pull all, pull nothing new, push the same twice; return the milliseconds of each."""
    found: dict[str, float] = {}

    def timed(name: str, call: Call) -> Any:
        start = time.perf_counter()
        status, _, answer = server.send(call)
        found[name] = (time.perf_counter() - start) * 1000
        if status != 200 or answer.get("rejected"):
            raise BenchError(f"{call.method} {call.path} answered {status}.")
        return answer

    everything = timed(f"first pull, {PULLED:,} entries", Call(device, "GET", "/v1/sync"))
    if len(everything["changes"]["food_entries"]["updated"]) != PULLED:
        raise BenchError("The first pull did not bring all entries.")
    path = f"/v1/sync?last_pulled_at={everything['timestamp']}"
    timed("pull, nothing new", Call(device, "GET", path))
    push = Call(device, "POST", path, {"food_entries": {"created": entries(device)}})
    timed(f"push, {PUSHED:,} new entries", push)
    timed("the same push again", push)
    return found


def entries(device: int) -> list[dict[str, Any]]:
    """Return new records of food entries, each some grams of a product, 50 a day."""
    return [
        {
            "id": str(uuid.uuid4()),
            "product_id": str(world.id_of("product", device, number % world.PRODUCTS)),
            "portion_id": None,
            "date": f"20{10 + number // 50 // 28:02}-01-{1 + number // 50 % 28:02}",
            "meal_type": "lunch",
            "name": "Food",
            "grams": 50 + number % 200 / 2,
            "quantity": None,
            "kcal": 0,
            "eaten_at": None,
        }
        for number in range(PUSHED)
    ]
