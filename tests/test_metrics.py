"""`/metrics`, as Prometheus reads it: figures of all workers, and nothing about anybody."""

from __future__ import annotations

import json
import re
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from attacks.client import Phone
from tests.helpers.nginx import free_port
from tests.helpers.processes import Run, alive, children, copy_of, wait_until

SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(first: Path, tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Run]:
    with copy_of(first, tmp_path_factory.mktemp("metrics")) as data_dir:
        run = Run(
            data_dir,
            METRICS_ADDRESS=f"127.0.0.1:{port}",
            WEB_CONCURRENCY="2",
            DEVICE_THROTTLE="30/min",
        )
        yield run.wait_until_ready()
        started = children(run.process.pid)
        run.terminate()
        assert not any(map(alive, started))


def text_at(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text: str = response.read().decode()
    return text


@pytest.fixture
def read(server: Run, port: int) -> Callable[[], Samples]:
    """A function that returns all samples."""

    def is_there() -> bool:
        try:
            return bool(text_at(port))
        except OSError:
            return False

    wait_until(is_there)

    def read() -> Samples:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text_at(port))
            for sample in family.samples
        }

    return read


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples that have these labels."""
    wanted = labels.items()
    return sum(
        found for (of, given), found in samples.items() if of == name and wanted <= set(given)
    )


REQUESTS = "countonme_request_seconds_count"


def test_requests_of_all_workers_are_counted_by_route_and_status(
    server: Run, read: Callable[[], Samples]
) -> None:
    phone = Phone(server.port).register()
    before = read()
    for _ in range(6):
        # A connection of its own each time, so that both workers serve.
        each = phone.on_new_connection()
        assert each.get(f"/v1/products/{uuid.uuid4()}").status == 404
        assert each.post("/v1/food-entries", SOUP).status == 201
    after = read()
    one = {"route": "/v1/products/{id}", "method": "GET", "status": "404"}
    assert value(after, REQUESTS, **one) - value(before, REQUESTS, **one) == 6
    logged = {"route": "/v1/food-entries", "method": "POST", "status": "201"}
    assert value(after, REQUESTS, **logged) - value(before, REQUESTS, **logged) == 6
    seconds = "countonme_request_seconds_sum"
    assert 0 < value(after, seconds, **logged) - value(before, seconds, **logged) < 60


def test_statements_and_connections_are_counted(server: Run, read: Callable[[], Samples]) -> None:
    phone = Phone(server.port).register()
    phone.get("/v1/products")
    before = read()
    phone.get("/v1/products")
    after = read()
    queries = "countonme_query_seconds_count"
    # Who calls, and what is listed.
    assert value(after, queries) - value(before, queries) == 2
    assert 1 <= value(after, "countonme_database_connections_total") <= 9
    assert value(after, "countonme_requests_in_progress") == 0


def test_throttled_calls_are_counted(server: Run, read: Callable[[], Samples]) -> None:
    phone = Phone(server.port).register()
    # Each worker counts for itself.
    found = [phone.get("/v1/auth/device").status for _ in range(70)]
    refused = found.count(429)
    assert refused >= 10
    by_status = {"route": "/v1/auth/device", "status": "429"}
    assert value(read(), REQUESTS, **by_status) == refused


def test_the_sizes_of_syncs_are_measured(server: Run, read: Callable[[], Samples]) -> None:
    phone = Phone(server.port).register()
    before = read()
    pulled = phone.get("/v1/sync").body
    pushed = json.dumps({"water_entries": {"created": [], "updated": [], "deleted": []}}).encode()
    assert phone.post("/v1/sync?last_pulled_at=1", pushed).status == 200
    after = read()
    for direction, body in (("pull", pulled), ("push", pushed)):
        name = "countonme_sync_bytes_sum"
        grown = value(after, name, direction=direction) - value(before, name, direction=direction)
        assert grown == len(body), direction


def test_rows_are_told_by_table(read: Callable[[], Samples]) -> None:
    tables = {dict(labels)["table"] for name, labels in read() if name == "countonme_rows"}
    assert {"devices", "food_entries", "products"} <= tables


def test_nothing_tells_of_anybody(server: Run, port: int, read: Callable[[], Samples]) -> None:
    phone = Phone(server.port).register()
    name = f"x{uuid.uuid4().hex}"
    for path in (f"/{name}", f"/v1/{name}", f"/v1/products?search={name}", f"/admin/{name}/"):
        phone.get(path)
    phone.request(name.upper(), "/v1/products")
    phone.post("/v1/food-entries", SOUP | {"name": name})
    text = text_at(port)
    assert name not in text.lower()
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)
    labels = {label for _, given in read() for label, _ in given}
    assert labels == {"route", "method", "status", "le", "direction", "table"}


def test_a_worker_that_ended_has_nothing_under_way(
    server: Run, read: Callable[[], Samples]
) -> None:
    before = read()
    server.process.send_signal(1)
    phone = Phone(server.port)
    wait_until(lambda: phone.on_new_connection().get("/health").status == 200)
    after = read()
    assert value(after, REQUESTS) > value(before, REQUESTS)
    assert value(after, "countonme_requests_in_progress") == 0


def test_the_api_itself_has_no_metrics(server: Run) -> None:
    assert Phone(server.port).get("/metrics").status == 404
