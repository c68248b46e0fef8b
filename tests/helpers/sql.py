"""Straight SQL, past models and managers."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django.db import connection, transaction

from countonme.scope.models import device_scoped_models
from devices.models import Device
from tests.helpers.api import Api


def forgo_indexes() -> None:
    """Have this test find rows as they lie in the table; an index would order ties by chance."""
    with connection.cursor() as cursor:
        for way in ("indexscan", "indexonlyscan", "bitmapscan"):
            cursor.execute(f"SET LOCAL enable_{way} = off")


def insert(table: str, owner: Api, values: dict[str, Any]) -> uuid.UUID:
    """Insert a row by straight SQL and return its id."""
    assert owner.device is not None
    key = uuid.uuid4()
    row: dict[str, Any] = {"id": key, "device_id": owner.device.pk, "revision": 0} | values
    columns, places = ", ".join(row), ", ".join(["%s"] * len(row))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}, created_at) VALUES ({places}, now())",
            list(row.values()),
        )
    return key


def execute(statement: str, *values: Any) -> int:
    """Run a statement of straight SQL and return how many rows it touched."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def sql(query: str, *params: Any) -> list[tuple[Any, ...]]:
    """Run a statement, in a transaction of its own unless there is one, and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(query, params or None)
        return cursor.fetchall() if cursor.description else []


def next_transaction() -> None:
    """Have the triggers take what follows for the first writes of another transaction."""
    sql("UPDATE devices SET revised_in = NULL")


INSERT_PRODUCTS = """
INSERT INTO products
    (id, device_id, revision, created_at, name, name_folded, name_words, unit, kcal_100g)
SELECT gen_random_uuid(), (%(devices)s)[1 + n %% cardinality(%(devices)s)], 0, now(),
    'Rice ' || n, 'rice', ' rice', 'g', %(kcal)s
FROM generate_series(1, %(count)s) AS n
"""


def params_of_products(count: int, *devices: Device, kcal: int = 130) -> dict[str, Any]:
    """Return the parameters of INSERT_PRODUCTS."""
    return {"count": count, "devices": [device.pk for device in devices], "kcal": kcal}


def insert_products(count: int, *devices: Device, kcal: int = 130) -> None:
    """Insert products for several devices in turn, by one statement."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT_PRODUCTS, params_of_products(count, *devices, kcal=kcal))


def state(phone: Api) -> list[str]:
    """Return all that the database holds of a phone's device, but for when phones called last."""
    assert phone.device is not None
    tables = [model._meta.db_table for model in device_scoped_models()]
    owned = [
        f"SELECT (to_jsonb({name}) - 'last_seen_at')::text FROM {name} WHERE device_id = %(id)s"
        for name in ("phones", "pairing_codes", "recovery_keys", *tables)
    ]
    device = "SELECT to_jsonb(devices)::text FROM devices WHERE id = %(id)s"
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([device, *owned]), {"id": phone.device.pk})
        return sorted(row for (row,) in cursor.fetchall())


def stored_row(phone: Api, table: str, id: str) -> dict[str, Any]:
    """Return the columns of a row, as JSON has them."""
    assert phone.device is not None
    query = f"SELECT to_jsonb(row)::text FROM {table} AS row WHERE device_id = %s AND id = %s"
    ((text,),) = sql(query, phone.device.pk, id)
    columns: dict[str, Any] = json.loads(text)
    return columns


def copy_row(phone: Api, table: str, id: str, times: int, *, by_day: bool = False) -> None:
    """Give a phone so many rows more that are like one of its own, each of a later day if asked."""
    assert phone.device is not None
    day = ", 'date', row.date + n" if by_day else ""
    rows = sql(
        f"""
        INSERT INTO {table} SELECT (jsonb_populate_record(
            row, jsonb_build_object('id', gen_random_uuid(){day})
        )).* FROM {table} AS row, generate_series(1, %s) AS n
        WHERE device_id = %s AND id = %s RETURNING 1
        """,
        times,
        phone.device.pk,
        id,
    )
    assert len(rows) == times
