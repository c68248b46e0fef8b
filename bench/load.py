"""Load, sent by wrk."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from bench.world import Call
from tests.helpers.nginx import NGINX

CONNECTIONS = 8
SCRIPT = Path(__file__).with_name("load.lua")


class BenchError(Exception):
    """The bench can't go on; the message is one sentence."""


@dataclass(frozen=True)
class Measured:
    """What a run of wrk saw."""

    requests: int
    rps: float
    p50_ms: float
    p99_ms: float


def require_programs() -> None:
    """Raise BenchError where wrk or nginx is not installed."""
    for name, found in (("wrk", shutil.which("wrk")), ("nginx", NGINX)):
        if found is None:
            raise BenchError(f"{name} is missing: install it (on Debian: apt-get install {name}).")


def run(
    port: int, calls: Sequence[Call], seconds: float, connections: int = CONNECTIONS
) -> Measured:
    """Send calls repeatedly over some connections, 8 unless told, for so many seconds.

    Raises:
        BenchError: an answer was 4xx or 5xx, or none came.
    """
    with NamedTemporaryFile(suffix=".requests") as file:
        file.write(b"\0".join(call.raw(port) for call in calls))
        file.flush()
        wrk = ["wrk", "--threads", "1", "--connections", str(connections), "--timeout", "10s"]
        address = f"http://127.0.0.1:{port}"
        done = subprocess.run(
            [*wrk, "--duration", f"{seconds:.0f}s", "--script", SCRIPT, address, "--", file.name],
            capture_output=True,
            text=True,
        )
    if done.returncode or not done.stdout.strip():
        raise BenchError(f"wrk failed: {(done.stderr or done.stdout).strip()}")
    seen = json.loads(done.stdout.splitlines()[-1])
    if seen["errors"] or not seen["requests"]:
        sent = f"{calls[0].method} {calls[0].path}"
        raise BenchError(
            f"{seen['errors']} of {seen['requests']} requests such as {sent} at port {port} failed."
        )
    rps = seen["requests"] / seen["seconds"]
    return Measured(seen["requests"], rps, seen["p50_ms"], seen["p99_ms"])
