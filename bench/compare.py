"""Compare ours, the peer and the limit: first their answers, then their speed, in rounds."""

from __future__ import annotations

from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import Any

from bench import fill, load, world
from bench.load import BenchError, Measured
from bench.servers import COMMANDS, Server, connect, database, serving
from bench.world import ENDPOINTS, NOT_MODIFIED, Call

Runs = dict[str, list[Measured]]  # by contestant, one of each round
PEER, LIMIT = "fastapi", "limit"
# Fields that differ between two writes.
GENERATED = ["id", "created_at"]


def measure(rounds: int, seconds: float, *, behind_nginx: bool) -> dict[str, Any]:
    """Measure every endpoint, as deployed or without nginx; return its figures by its name.

    Raises:
        BenchError: contestants answer or write differently, or a request failed.
    """
    with ExitStack() as ends:
        url = ends.enter_context(database("compare"))
        with connect(url) as connection:
            entries = world.DEVICES * world.DAYS * world.ENTRIES_A_DAY
            fill.fill(connection, world.DEVICES, entries, world.PRODUCTS)
        servers = [
            ends.enter_context(serving(name, url, behind_nginx=behind_nginx)) for name in COMMANDS
        ]
        verify(servers, url)
        under_load(servers, url, 1)  # warms up
        runs: dict[str, Runs] = defaultdict(lambda: defaultdict(list))
        for number in range(rounds):
            where = "behind nginx" if behind_nginx else "directly"
            print(f"Round {number + 1} of {rounds}, {where} …", flush=True)
            # Each contestant goes first in turn.
            turn = number % len(servers)
            measured = under_load([*servers[turn:], *servers[:turn]], url, seconds)
            for (endpoint, name), seen in measured.items():
                runs[endpoint][name].append(seen)
    for name in (PEER, LIMIT):
        runs[NOT_MODIFIED][name] = runs["GET /v1/products"][name]
    return {endpoint: figures(endpoint, runs[endpoint]) for endpoint in runs}


def under_load(servers: list[Server], url: str, seconds: float) -> dict[tuple[str, str], Measured]:
    """Measure every endpoint of every contestant once under load."""
    devices = range(world.DEVICES)
    measured = {}
    for endpoint in ENDPOINTS:
        calls = endpoint.spread(devices)
        for server in servers:
            measured[endpoint.name, server.name] = load.run(server.port, calls, seconds)
            if endpoint.writes:
                reset(url)
        if endpoint == ENDPOINTS[0]:
            ours = next(server for server in servers if server.name == "ours")
            known = [not_modified(ours, call) for call in calls]
            measured[NOT_MODIFIED, ours.name] = load.run(ours.port, known, seconds)
    return measured


def not_modified(server: Server, call: Call) -> Call:
    """Return the call with the ETag of its answer, so that it is answered 304.

    Raises:
        BenchError: it is not answered 304.
    """
    known = replace(call, etag=server.send(call)[1].get("ETag", ""))
    if server.send(known)[0] != 304:
        raise BenchError(f"{server.name} does not answer 304 to its own ETag.")
    return known


def reset(url: str) -> None:
    """Remove what was written under load, so that the next load finds the same rows."""
    with connect(url) as connection:
        with connection.transaction():
            connection.execute("SET LOCAL session_replication_role = replica")
            for table in reversed(fill.TABLES[1:]):
                connection.execute(
                    f"DELETE FROM {table} WHERE created_at >= %s".encode(), [world.END]
                )
        connection.execute(f"VACUUM {', '.join(fill.TABLES)}".encode())


def verify(servers: list[Server], url: str) -> None:
    """Send the same calls to all contestants; compare their answers, and the rows they write.

    Raises:
        BenchError: one differs from ours, or accepts a wrong token.
    """
    for endpoint in ENDPOINTS:
        for call in endpoint.spread(range(world.DEVICES))[:20]:
            ours, *others = ((server.name, outcome(server, call, url)) for server in servers)
            for name, found in others:
                if found != ours[1]:
                    raise BenchError(
                        f"{name} answers or writes otherwise than ours on {call.method} {call.path}"
                        f": {found!s:.600} and not {ours[1]!s:.600}."
                    )
    for call in (Call(-1, "GET", "/v1/products"), Call(0, "GET", "/v1/products", secret_of=1)):
        for server in servers:
            if server.send(call)[0] != 401:
                raise BenchError(f"{server.name} lets in who has no right token.")
    reset(url)


def outcome(server: Server, call: Call, url: str) -> tuple[Any, ...]:
    """Return a call's answer and the rows that it writes, without GENERATED fields."""
    status, _, body = server.send(call)
    if call.method == "GET":
        return status, body
    written = []
    with connect(url) as connection:
        for table in fill.TABLES[1:]:
            # The rows of the latest write, known by its revision.
            statement = f"""
                SELECT to_jsonb({table}) - %s::text[] FROM {table}
                JOIN devices ON devices.id = device_id AND devices.revision = {table}.revision
                WHERE device_id = %s AND {table}.created_at >= %s
            """
            ignored = [*GENERATED, "revision", *(["product_id"] if table == "portions" else [])]
            values = [ignored, world.id_of("device", call.device), world.END]
            written.append(connection.execute(statement.encode(), values).fetchall())
    return status, {name: value for name, value in body.items() if name not in GENERATED}, written


def figures(endpoint: str, runs: Runs) -> dict[str, Any]:
    """Return an endpoint's figures: medians over the rounds. Ratios are within a round."""
    ours = runs["ours"]

    def ratios(name: str) -> list[float]:
        return [own.rps / other.rps for own, other in zip(ours, runs[name], strict=True)]

    vs_peer = ratios(PEER)
    return {
        "rps": round(median(run.rps for run in ours)),
        "p50_ms": round(median(run.p50_ms for run in ours), 2),
        "p99_ms": round(median(run.p99_ms for run in ours), 2),
        "fastapi_p99_ms": round(median(run.p99_ms for run in runs[PEER]), 2),
        "vs_fastapi": round(median(vs_peer), 3),
        "vs_limit": None if endpoint == NOT_MODIFIED else round(median(ratios(LIMIT)), 3),
        "spread": round((max(vs_peer) - min(vs_peer)) / median(vs_peer), 3),
        "fastapi_rps": round(median(run.rps for run in runs[PEER])),
        "limit_rps": round(median(run.rps for run in runs[LIMIT])),
    }
