"""Two whole installations behind HAProxy, which finds a device's own by its token."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
import uuid
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from devices import tokens
from tests.helpers.haproxy import HAPROXY, haproxy
from tests.helpers.nginx import free_port
from tests.helpers.processes import Run, copy_of, query

SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}
UNKNOWN_CODE = (404, {"detail": "Code not found or expired"})

pytestmark = [pytest.mark.skipif(not HAPROXY, reason="haproxy is not installed"), pytest.mark.long]


class Cells:
    """The cells, and the port of the balancer before them."""

    def __init__(self, runs: list[Run], port: int) -> None:
        self.runs, self.port = runs, port

    def call(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """Return the status of an answer through the balancer, and its JSON."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None else None
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # it is http
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            content = error.read()
            is_json = "json" in error.headers.get("Content-Type", "")
            return error.code, json.loads(content) if is_json else content

    def register(self, device_id: uuid.UUID) -> str:
        status, answer = self.call("POST", "/v1/auth/register", {"device_id": str(device_id)})
        assert status == 200, answer
        return str(answer["token"])

    def devices(self) -> list[set[Any]]:
        """Return the devices in each cell."""
        return [
            {found for (found,) in query(run.data_dir, "SELECT id FROM devices")}
            for run in self.runs
        ]


@pytest.fixture(scope="module")
def cells(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cells]:
    with ExitStack() as ends:
        runs = []
        for _ in range(2):
            data_dir = ends.enter_context(copy_of(first, tmp_path_factory.mktemp("cell")))
            runs.append(Run(data_dir, REGISTER_THROTTLE="", PAIR_THROTTLE="", BCRYPT_ROUNDS="4"))
            ends.callback(runs[-1].kill)
        ports = [run.wait_until_ready().port for run in runs]
        port = ends.enter_context(haproxy(tmp_path_factory.mktemp("haproxy"), *ports))
        yield Cells(runs, port)


def cell_of(device_id: uuid.UUID) -> int:
    """Return the cell of a device, as HAProxy works it out."""
    return 0 if zlib.crc32(device_id.hex.upper().encode()) % 256 < 128 else 1


def device_in(cell: int) -> uuid.UUID:
    return next(found for found in iter(uuid.uuid4, None) if cell_of(found) == cell)


def test_the_first_part_of_a_token_begins_with_the_device() -> None:
    for phone_id in (device := uuid.uuid4(), uuid.uuid4()):
        first = tokens.generate(device, phone_id).partition(".")[0]
        assert base64.urlsafe_b64decode(first + "==")[:16] == device.bytes


def test_each_device_is_in_one_cell_and_its_calls_reach_it(cells: Cells) -> None:
    before = cells.devices()
    found = {uuid.uuid4() for _ in range(12)} | {device_in(0), device_in(1)}
    for device_id in found:
        token = cells.register(device_id)
        assert cells.call("POST", "/v1/food-entries", SOUP, token)[0] == 201
        status, entries = cells.call("GET", "/v1/food-entries", token=token)
        assert (status, len(entries)) == (200, 1)
        assert cells.call("GET", "/v1/sync", token=token)[0] == 200
    after = cells.devices()
    for cell in (0, 1):
        new = after[cell] - before[cell]
        assert new == {device_id for device_id in found if cell_of(device_id) == cell} != set()


def test_an_id_is_registered_once_however_it_is_spelt(cells: Cells) -> None:
    device_id = device_in(1)
    cells.register(device_id)
    for spelt in (str(device_id), str(device_id).upper()):
        body = {"device_id": spelt}
        assert cells.call("POST", "/v1/auth/register", body)[0] == 409


@pytest.mark.parametrize("cell", [0, 1])
def test_phones_join_in_any_cell(cells: Cells, cell: int) -> None:
    token = cells.register(device_in(cell))
    cells.call("POST", "/v1/food-entries", SOUP, token)
    code = cells.call("POST", "/v1/auth/pairing-code", {}, token)[1]["code"]
    key = cells.call("POST", "/v1/auth/recovery-key", {}, token)[1]["recovery_key"]
    for typed in (code, key):
        body = {"code": typed, "phone_id": str(uuid.uuid4())}
        status, joined = cells.call("POST", "/v1/auth/pair", body)
        assert status == 200, joined
        assert len(cells.call("GET", "/v1/food-entries", token=joined["token"])[1]) == 1
    body = {"code": code, "phone_id": str(uuid.uuid4())}
    assert cells.call("POST", "/v1/auth/pair", body) == UNKNOWN_CODE


def test_what_names_no_device_is_answered(cells: Cells) -> None:
    assert cells.call("GET", "/health")[0] == 200
    assert cells.call("GET", "/openapi.json")[0] == 200
    assert cells.call("GET", "/v1/products")[0] == 401
    assert cells.call("GET", "/v1/products", token="no token")[0] == 401
    assert cells.call("POST", "/v1/auth/register", {})[0] == 422
    assert cells.call("POST", "/v1/auth/register", {"name": "x" * 9000})[0] == 413


def test_no_cell_answers_for_one_that_is_down(cells: Cells, tmp_path: Path) -> None:
    there, gone = (cells.register(device_in(cell)) for cell in (0, 1))
    with haproxy(tmp_path, cells.runs[0].port, free_port()) as port:
        left = Cells(cells.runs, port)
        assert left.call("GET", "/v1/products", token=there)[0] == 200
        assert left.call("GET", "/v1/products", token=gone)[0] == 503
