"""The limit: the least that a Python server must do with gunicorn, psycopg and PostgreSQL.

One function, prepared statements, no validation, no errors except 401 and 409.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable, Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qsl

import orjson
import psycopg
from psycopg.rows import dict_row

from bench.contestants.common import (
    MAX_ENTRIES_PER_DAY,
    MAX_PRODUCTS,
    NUTRIENTS,
    OPTIONAL,
    device_of,
    folded,
    is_signed,
    words,
)

CENT = Decimal("0.01")
AUTHENTICATE = """
    SELECT token_hmac FROM phones JOIN devices ON devices.id = device_id
    WHERE device_id = %s AND phones.id = device_id AND blocked_at IS NULL AND erased_at IS NULL
"""
LOCK = "SELECT FROM devices WHERE id = %s FOR NO KEY UPDATE"
COLUMNS_100G = [f"{name}_100g" for name in NUTRIENTS]
PRODUCT = f"""
    id, name, brand, unit, kcal_100g, {", ".join(f"{name}_100g::float8" for name in OPTIONAL)},
    barcode, catalog_id, servings::float8, cooked_grams::float8, created_at, updated_at
"""
ENTRY = f"""
    id, product_id, portion_id, date, meal_type, name, unit, grams::float8, quantity::float8,
    {", ".join(f"{name}::float8" for name in NUTRIENTS)}, eaten_at, created_at, updated_at
"""
SUMS = ", ".join(f"coalesce(sum({name}), 0)::float8 AS {name}" for name in NUTRIENTS)
UNKNOWN = ", ".join(f"count(*) - count({name}) AS unknown_{name}" for name in OPTIONAL)
SHARES = ", ".join(f"round({name} * %(grams)s::numeric / 100, 2)" for name in COLUMNS_100G)
LIST_PRODUCTS = f"""
    SELECT {PRODUCT} FROM products WHERE device_id = %s AND deleted_at IS NULL
    ORDER BY name_folded, id LIMIT 50
"""
LIST_ENTRIES = f"""
    SELECT {ENTRY} FROM food_entries WHERE device_id = %s AND date = %s AND deleted_at IS NULL
    ORDER BY date DESC, created_at, id LIMIT 50
"""
# The last row has the sums of all rows.
DAY = f"""
    SELECT meal_type, count(*) AS entries, {UNKNOWN}, {SUMS} FROM food_entries
    WHERE device_id = %s AND date = %s AND deleted_at IS NULL
    GROUP BY GROUPING SETS ((meal_type), ()) ORDER BY meal_type
"""
DAILY = f"""
    SELECT date, count(*) AS entries, {SUMS} FROM food_entries
    WHERE device_id = %s AND date BETWEEN %s AND %s AND deleted_at IS NULL
    GROUP BY GROUPING SETS ((date), ()) ORDER BY date
"""
CREATE_PRODUCT = f"""
    WITH product AS (
        INSERT INTO products (id, device_id, revision, created_at, name, name_folded, name_words,
            brand, brand_words, unit, {", ".join(COLUMNS_100G)}, barcode, gtin_14)
        SELECT gen_random_uuid(), %(device)s, 0, clock_timestamp(), %(name)s, %(folded)s, %(words)s,
            %(brand)s::text, %(brand_words)s::text, %(unit)s,
            {", ".join(f"%({name})s" for name in COLUMNS_100G)}, %(barcode)s::text,
            lpad(%(barcode)s::text, 14, '0')
        WHERE (SELECT count(*) FROM products WHERE device_id = %(device)s AND deleted_at IS NULL)
            < {MAX_PRODUCTS}
        RETURNING *
    ), portion AS (
        INSERT INTO portions (id, device_id, revision, created_at, product_id, name, name_folded,
            grams, is_default)
        SELECT gen_random_uuid(), device_id, 0, created_at, id, '100' || unit, '100' || unit, 100,
            true
        FROM product
    )
    SELECT {PRODUCT} FROM product
"""
CREATE_ENTRY = f"""
    INSERT INTO food_entries (id, device_id, revision, created_at, product_id, date, meal_type,
        name, name_folded, unit, grams, {", ".join(NUTRIENTS)})
    SELECT gen_random_uuid(), device_id, 0, clock_timestamp(), id, %(date)s, %(meal_type)s,
        name, name_folded, unit, %(grams)s, {SHARES}
    FROM products
    WHERE device_id = %(device)s AND id = %(product_id)s AND deleted_at IS NULL
        AND (SELECT count(*) FROM food_entries
            WHERE device_id = %(device)s AND date = %(date)s AND deleted_at IS NULL)
            < {MAX_ENTRIES_PER_DAY}
    RETURNING {ENTRY}
"""
threads = threading.local()


def connection() -> psycopg.Connection[Any]:
    """Return the thread's connection."""
    if not hasattr(threads, "connection"):
        threads.connection = psycopg.connect(
            os.environ["DATABASE_URL"],
            autocommit=True,
            prepare_threshold=0,
            row_factory=dict_row,
            options="-c timezone=UTC",
        )
    own: psycopg.Connection[Any] = threads.connection
    return own


def rows(statement: str, *values: Any) -> list[dict[str, Any]]:
    """Return the rows of a statement."""
    return connection().execute(statement.encode(), values, binary=True).fetchall()


def write(statement: str, device: Any, values: dict[str, Any]) -> dict[str, Any] | None:
    """Insert under the device's lock, in one round trip; return the row, or None if refused."""
    own = connection()
    with own.pipeline(), own.transaction():
        own.execute(LOCK, [device])
        cursor = own.execute(statement.encode(), values | {"device": device}, binary=True)
    return cursor.fetchone()


def totals(row: dict[str, Any]) -> dict[str, Any]:
    """Return the nutrients of a row."""
    return {name: row[name] for name in NUTRIENTS}


def day(device: Any, when: str) -> dict[str, Any]:
    """Return a day's totals."""
    *meals, whole = rows(DAY, device, when)
    by_meal_type = {row["meal_type"]: totals(row) for row in meals}
    return {
        "date": when,
        "entries": whole["entries"],
        "totals": totals(whole),
        "unknown": {name: n for name in OPTIONAL if (n := whole[f"unknown_{name}"])},
        "by_meal_type": by_meal_type,
    }


def daily(device: Any, first: str, last: str) -> dict[str, Any]:
    """Return the totals of every day of a range."""
    *logged, whole = rows(DAILY, device, first, last)
    found = {row["date"]: row for row in logged}
    nothing: dict[str, Any] = {"entries": 0, **dict.fromkeys(NUTRIENTS, 0)}
    start, end = dt.date.fromisoformat(first), dt.date.fromisoformat(last)
    days = []
    for n in range((end - start).days + 1):
        when = start + dt.timedelta(n)
        row = found.get(when, nothing)
        days.append({"date": when, "entries": row["entries"], "totals": totals(row)})
    average = {
        # A sum of numbers with two decimals is exact in its shortest spelling.
        name: float((Decimal(str(total)) / (len(logged) or 1)).quantize(CENT, ROUND_HALF_UP))
        for name, total in totals(whole).items()
    }
    return {"from": first, "to": last, "days": days, "average": average}


def create_product(device: Any, body: dict[str, Any]) -> dict[str, Any] | None:
    """Create a product with its portion of 100 g."""
    empty: dict[str, Any] = dict.fromkeys((*COLUMNS_100G, "brand", "barcode"))
    values = empty | {"unit": "g"} | body
    copies = {
        "folded": folded(values["name"]),
        "words": words(values["name"]),
        "brand_words": values["brand"] and words(values["brand"]),
    }
    return write(CREATE_PRODUCT, device, values | copies)


def answer(environ: dict[str, Any]) -> tuple[str, Any]:
    """Return the status, and the body as plain data."""
    authorization = environ.get("HTTP_AUTHORIZATION", "")
    device = device_of(authorization)
    known = rows(AUTHENTICATE, device)
    if not known or not is_signed(authorization, known[0]["token_hmac"] or ""):
        return "401 Unauthorized", {"detail": "Invalid or expired token"}
    path: str = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST":
        body = orjson.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        created = (
            create_product(device, body)
            if path == "/v1/products"
            else write(CREATE_ENTRY, device, body)
        )
        return ("201 Created", created) if created else ("409 Conflict", {"detail": "Refused"})
    query = dict(parse_qsl(environ["QUERY_STRING"]))
    match path:
        case "/v1/products":
            return "200 OK", rows(LIST_PRODUCTS, device)
        case "/v1/food-entries":
            return "200 OK", rows(LIST_ENTRIES, device, query["date"])
        case "/v1/stats/daily":
            return "200 OK", daily(device, query["from"], query["to"])
        case _:
            return "200 OK", day(device, path.rpartition("/")[2])


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve a request."""
    status, content = answer(environ)
    body = orjson.dumps(content, option=orjson.OPT_UTC_Z)
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
