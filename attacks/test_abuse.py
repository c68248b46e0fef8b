"""Too much of everything: body, nesting, headers, numbers, calls."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from attacks.client import Answer, Phone
from attacks.servers import Deploy, Start, memory_mb
from tests.helpers.nginx import Deployed
from tests.helpers.processes import Run, wait_until

GIB = 1024**3


@pytest.fixture(scope="module")
def server(deploy: Deploy) -> Deployed:
    """One server for all tests of this file."""
    return deploy()


def send_repeatedly(port: int, head: bytes, *, repeat: bytes, times: int) -> bytes:
    """Send a head, then one piece many times, until the server closes; return the answer.

    The answer is read in between: if more is sent after the server closed, the answer is lost.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client, suppress(OSError):
        client.sendall(head)
        for _ in range(times):
            if select.select([client], [], [], 0)[0]:
                answer += client.recv(65536)
            client.sendall(repeat)
        while piece := client.recv(65536):
            answer += piece
    return answer


def assert_refused(answer: bytes, status: int) -> None:
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert set(json.loads(answer.partition(b"\r\n\r\n")[2])) == {"detail"}


def test_a_body_of_a_gibibyte_is_refused(server: Deployed, phone: Phone) -> None:
    before = memory_mb(server)
    head = (
        f"POST /v1/products HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {phone.token}\r\n"
    )
    head += f"Content-Type: application/json\r\nContent-Length: {GIB}\r\n\r\n"
    began = time.monotonic()
    answer = send_repeatedly(server.port, head.encode(), repeat=b" " * 2**20, times=1024)
    print(f"answered after {time.monotonic() - began:.2f} s")
    assert_refused(answer, 413)
    assert memory_mb(server) - before < 20
    assert phone.get("/v1/products").json() == []


def test_a_chunked_body_of_a_gibibyte_is_refused(server: Deployed, phone: Phone) -> None:
    before = memory_mb(server)
    head = (
        f"POST /v1/products HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {phone.token}\r\n"
    )
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    answer = send_repeatedly(server.port, head.encode(), repeat=chunk, times=1024)
    assert_refused(answer, 413)
    assert memory_mb(server) - before < 20
    assert phone.get("/v1/products").json() == []


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_a_hundred_thousand_brackets_are_refused(phone: Phone, bracket: str) -> None:
    answer = phone.post("/v1/products", (bracket * 100_000).encode())
    assert answer.status == 400
    assert answer.json() == {"detail": "The body is not valid JSON"}


def test_headers_of_ten_megabytes_are_refused(server: Deployed) -> None:
    before = memory_mb(server)
    line = b"X-Padding: " + b"a" * 8000 + b"\r\n"
    answer = send_repeatedly(
        server.port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n", repeat=line, times=1250
    )
    assert_refused(answer, 431)
    assert memory_mb(server) - before < 20


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("limit=1", 200),
        ("limit=200", 200),
        ("limit=0", 422),
        ("limit=201", 422),
        ("limit=99999999999999999999", 422),
        ("offset=1000000", 200),
        ("offset=1000001", 422),
        ("offset=-1", 422),
        ("date=2000-01-01", 200),
        ("date=2100-12-31", 200),
        ("date=0001-01-01", 200),
        ("date=9999-12-31", 200),
        ("date=2025-02-29", 422),
        ("date=10000-01-01", 422),
        ("date=0000-01-01", 422),
        ("from=0001-01-01&to=9999-12-31", 200),
        ("from=9999-12-31&to=0001-01-01", 422),
    ],
)
def test_limits_and_dates_at_their_bounds(phone: Phone, query: str, status: int) -> None:
    answer = phone.get(f"/v1/food-entries?{query}")
    assert answer.status == status, answer
    assert isinstance(answer.json(), list if status == 200 else dict)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/stats/day/0001-01-01",
        "/v1/stats/day/9999-12-31",
        "/v1/stats/daily?from=9998-12-31&to=9999-12-31",
        "/v1/stats/daily?from=0001-01-01&to=0001-12-31",
    ],
)
def test_statistics_at_the_ends_of_the_calendar(phone: Phone, path: str) -> None:
    assert phone.get(path).status == 200


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The port and the process of a Redis for one test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: accepts_connections(port))
        yield port, process
        process.kill()


def accepts_connections(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def attempt(server: Run) -> Answer:
    """Try to register over a new connection, which any worker may accept."""
    return Phone(server.port).post("/v1/auth/register", {})


def test_registrations_are_counted_over_all_workers_and_by_each_without_redis(
    start: Start, redis: tuple[int, subprocess.Popen[bytes]]
) -> None:
    port, process = redis
    server = start(
        CACHE_URL=f"redis://127.0.0.1:{port}/0", REGISTER_THROTTLE="10/day", WEB_CONCURRENCY="2"
    )
    statuses = [attempt(server).status for _ in range(40)]
    assert statuses == [422] * 10 + [429] * 30
    process.kill()
    process.wait()
    statuses = [attempt(server).status for _ in range(60)]
    assert set(statuses) == {422, 429}
    assert 10 <= statuses.count(422) <= 20
    assert "Redis is away" in server.output
    assert "Traceback" not in server.output
