"""The server behind PgBouncer in transaction mode: each transaction has another connection."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction

from catalog.serializers import FOOD
from tests.helpers.api import Api, new_phone
from tests.helpers.calls import VALUES, calls, create_rows
from tests.helpers.catalog import new_food
from tests.helpers.databases import connected
from tests.helpers.pooler import PGBOUNCER, SERVERS, keeps_prepared_statements, pooler
from tests.helpers.processes import MANAGE, ROOT, SERVE, environment

pytestmark = [
    pytest.mark.skipif(not PGBOUNCER, reason="pgbouncer is not installed"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def address(tmp_path: Path) -> Iterator[dict[str, Any]]:
    connection.ensure_connection()
    with pooler(tmp_path) as address:
        yield address


@pytest.fixture
def without_prepared(address: dict[str, Any]) -> Iterator[None]:
    """Django as `PREPARED_STATEMENTS=false` sets it up, behind PgBouncer."""
    options = connection.settings_dict["OPTIONS"] | {"prepare_threshold": None}
    with connected(**address, OPTIONS=options, DISABLE_SERVER_SIDE_CURSORS=True):
        yield


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_each_transaction_has_another_connection(without_prepared: None) -> None:
    assert len({backend() for _ in range(SERVERS)}) == SERVERS


def test_every_call_works(without_prepared: None, settings: Any) -> None:
    settings.PAIR_THROTTLE = ""
    with time_machine.travel("2025-02-05T12:00:00Z", tick=False):
        new_food(source_id=FOOD["source_id"], barcode=VALUES["barcode"])
        phone = new_phone()
        world = create_rows(phone)
        pulled = phone.get("/v1/sync").json()["timestamp"]
        tried = 0
        for call in calls():
            if not (call.needs_token and call.works):
                continue
            if "last_pulled_at" in call.query:
                call.query["last_pulled_at"] = str(pulled)
            for ids in call.own_ids(world):
                with transaction.atomic():
                    response = call.send(phone, ids)
                    transaction.set_rollback(True)
                assert 200 <= response.status_code < 300, (str(call), response.content)
                if call.method == "GET":
                    assert call.send(phone, ids).status_code == 200, str(call)
                tried += 1
    assert tried > 100


def test_writes_are_transactions(without_prepared: None) -> None:
    phone = new_phone()
    written = [phone.entry()["id"] for _ in range(2 * SERVERS)]
    assert {row["id"] for row in phone.get("/v1/food-entries").json()} == set(written)
    assert Api().post("/v1/auth/register", {"device_id": written[0]}).status_code == 200
    assert len(phone.get("/v1/export").json()["rows"]["food_entries"]) == len(written)


def test_prepared_statements_need_a_pooler_that_keeps_them(address: dict[str, Any]) -> None:
    with connected(**address):
        phone = new_phone()
        found = {phone.get("/v1/products").status_code for _ in range(4 * SERVERS)}
    assert found == {200} if keeps_prepared_statements() else 500 in found


@pytest.mark.parametrize("command", [[*MANAGE, "check_integrity"], SERVE])
def test_commands_say_that_they_need_postgresql_itself(
    address: dict[str, Any], tmp_path: Path, command: list[str]
) -> None:
    user, name = connection.settings_dict["USER"], connection.settings_dict["NAME"]
    url = f"postgresql://{user}@127.0.0.1:{address['PORT']}/{name}"
    settings = environment(tmp_path / "data", DATABASE_URL=url, SECRET_KEY="only for tests, " * 4)
    ran = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith("DATABASE_URL leads to a pooler, such as PgBouncer. Commands")
    assert ran.stderr.count("\n") == 1
