"""The cost of authentication: the seed's bcrypt over all devices, and ours."""

from __future__ import annotations

import random
import time
from statistics import median
from typing import Any

from bench import world
from bench.contestants import seed
from bench.servers import connect, database
from devices import tokens

SEED_DEVICES = (10, 100, 1000)
FEW = 10
# Nobody authenticates here, so one dummy hash does for all.
DEVICES = """
    INSERT INTO devices (id, created_at, revision, purged_revision, blocked_reason)
    SELECT md5(format('device %%s', n))::uuid, now(), 1, 0, ''
    FROM generate_series(0, %s - 1) AS n
"""
PHONES = """
    INSERT INTO phones (device_id, id, token_hash, token_hmac, created_at)
    SELECT id, id, repeat('-', 60), repeat('-', 73), now() FROM devices
"""
QUERY = """
    SELECT phones.*, devices.* FROM phones JOIN devices ON devices.id = device_id
    WHERE device_id = %(id)s AND phones.id = %(id)s
"""
VERIFIED, QUERIED = 20_000, 2_000


def measure(comparisons: int = 100, many: int = 1_000_000) -> dict[str, Any]:
    """Return the cost of one request's authentication, by the number of devices.

    Args:
        comparisons: up to this number of devices the seed is measured; beyond it, its time is
            computed as the cost of one comparison times the devices.
        many: the number of devices in the table for our query, which is also measured with 10.
    """
    return {
        "seed": {str(n): seed_cost(n, comparisons) for n in SEED_DEVICES},
        "ours": {
            "verify_us": round(verify_us(), 2),
            "query_us": {str(n): round(query_us(n), 1) for n in (FEW, many)},
        },
    }


def seed_cost(devices: int, comparisons: int) -> dict[str, Any]:
    """Return the seed's time in its worst case: no device, or the last one, has the token."""
    token, _ = seed.register()
    # One hash for all, because comparing costs the same, and making a hash takes as long.
    _, other = seed.register()
    measured = min(devices, comparisons)
    start = time.perf_counter()
    seed.verify_token(token, [other] * measured)
    milliseconds = (time.perf_counter() - start) * 1000 * devices / measured
    return {"ms": round(milliseconds), "how": "measured" if measured == devices else "computed"}


def verify_us() -> float:
    """Return the CPU time in µs to verify a known token, without the query."""
    from devices.models import Device, Phone  # needs the models

    token = world.token(0)
    device_id = world.id_of("device", 0)
    signature = tokens.signer.sign(token)
    phone = Phone(device=Device(id=device_id), id=device_id, token_hash="-", token_hmac=signature)
    start = time.process_time()
    for _ in range(VERIFIED):
        assert tokens.parse(token) == (device_id, device_id)
        assert phone.is_usable
        assert phone.match_signature(token)
    return (time.process_time() - start) / VERIFIED * 1e6


def query_us(devices: int) -> float:
    """Return the median time in µs to read one of so many devices by a prepared query."""
    rng = random.Random(0)
    with database("auth") as url, connect(url) as connection:
        connection.execute(DEVICES, [devices])
        connection.execute(PHONES)
        connection.execute("VACUUM (ANALYZE) devices, phones")
        seen = []
        for _ in range(QUERIED):
            device_id = world.id_of("device", rng.randrange(devices))
            start = time.perf_counter()
            connection.execute(QUERY, {"id": device_id}, prepare=True).fetchone()
            seen.append(time.perf_counter() - start)
    return median(seen) * 1e6
