"""Connections to a PostgreSQL that dies, restarts, or hands over to another one."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from countonme.scope.connection import drop_if_dead
from tests.helpers.api import Api, new_phone
from tests.helpers.databases import connected, new_server
from tests.helpers.nginx import free_port
from tests.helpers.phones import get_code, try_pair

WATER = {"date": "2025-02-05", "ml": 250}

pytestmark = pytest.mark.django_db(transaction=True)


def backend() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end_connection() -> None:
    """Have PostgreSQL end this thread's connection, as it does when it stops."""
    known = backend()
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as operator:
        operator.execute("SELECT pg_terminate_backend(%s, 5000)", [known])


def test_a_good_connection_stays() -> None:
    known = backend()
    assert not drop_if_dead()
    assert backend() == known


def test_a_dead_one_is_dropped() -> None:
    known = backend()
    end_connection()
    assert drop_if_dead()
    assert backend() != known


def test_where_there_is_none_nothing_is_asked() -> None:
    connection.close()
    assert not drop_if_dead()
    assert connection.connection is None


def test_registering_costs_no_answer() -> None:
    end_connection()
    body = {"device_id": str(uuid.uuid4())}
    assert Api().post("/v1/auth/register", body).status_code == 200


def test_pairing_costs_no_answer() -> None:
    code = get_code(new_phone())
    end_connection()
    assert try_pair(code).status_code == 200


def test_a_write_costs_no_answer() -> None:
    phone = new_phone()
    end_connection()
    assert phone.post("/v1/water-entries", WATER).status_code == 201


def test_a_server_that_takes_no_writes_any_more_is_left() -> None:
    phone = new_phone()
    known = backend()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    assert phone.post("/v1/water-entries", WATER).status_code == 503
    assert phone.post("/v1/water-entries", WATER).status_code == 201
    assert backend() != known


def test_of_several_hosts_the_one_that_takes_writes_is_chosen(tmp_path: Path) -> None:
    options = connection.settings_dict["OPTIONS"] | {"target_session_attrs": "read-write"}
    here, port = connection.settings_dict["HOST"], connection.settings_dict["PORT"] or "5432"
    known = system_identifier()
    with new_server(tmp_path) as standby:
        with connected(**standby), connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            cursor.execute("SELECT pg_reload_conf()")
            assert system_identifier() != known
        gone = ("127.0.0.1", str(free_port()))
        hosts = [gone, (standby["HOST"], str(standby["PORT"])), (here, str(port))]
        names, ports = (",".join(column) for column in zip(*hosts, strict=True))
        with connected(HOST=names, PORT=ports, NAME="postgres", OPTIONS=options):
            assert system_identifier() == known


def system_identifier() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier FROM pg_control_system()")
        return cursor.fetchone()[0]


def test_the_kernel_gives_up_a_silent_server() -> None:
    """So that a thread does not wait for minutes, after a power cut, for an answer."""
    options = connection.get_connection_params()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silent = {"host": "127.0.0.1", "port": listener.getsockname()[1], "connect_timeout": 1}
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            psycopg.connect(**options | silent)
    assert options["connect_timeout"] == 5
    idle, interval, count = (options[f"keepalives_{n}"] for n in ("idle", "interval", "count"))
    assert idle + interval * count <= 15
    assert options["tcp_user_timeout"] == 10_000
