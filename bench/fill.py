"""Fill an empty database with a number of devices and entries, quickly.

Rows are written by COPY and INSERT … SELECT, without triggers, keys and indexes. Then keys and
indexes are made again, and PostgreSQL checks every row.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import django
import psycopg

from bench import world
from bench.servers import connect
from countonme.api import text
from devices import tokens
from products.nutrients import COLUMNS_100G, NAMES

TABLES = [
    "devices",
    "products",
    "portions",
    "recipe_items",
    "food_entries",
    "goals",
    "body_weights",
    "water_entries",
]
Connection = psycopg.Connection[Any]

# The columns that a product has from `foods`.
PRODUCT = ", ".join(
    ["name", "name_folded", "name_words", "brand", "brand_words", "unit", *COLUMNS_100G]
)
# One revision for all, as if one transaction had written a device's rows. %% is modulo.
PRODUCTS = f"""
    INSERT INTO products (id, device_id, revision, created_at, {PRODUCT})
    SELECT md5(format('product %%s %%s', device, foods.n))::uuid,
        md5(format('device %%s', device))::uuid, 2, %(start)s, {PRODUCT}
    FROM foods, generate_series(0, %(devices)s - 1) AS device
    ORDER BY foods.n, device
"""
PORTIONS = """
    INSERT INTO portions (id, device_id, revision, created_at, product_id, name, name_folded,
        grams, is_default)
    SELECT md5(format('portion %%s %%s', device, foods.n))::uuid,
        md5(format('device %%s', device))::uuid, 2, %(start)s,
        md5(format('product %%s %%s', device, foods.n))::uuid, '100' || unit, '100' || unit, 100,
        true
    FROM foods, generate_series(0, %(devices)s - 1) AS device
"""
SHARES = ", ".join(f"round({column} * grams / 100, 2)" for column in COLUMNS_100G)
# First every device's first entry, then every device's second, and so on: as in real life, the rows
# of one device lie far apart.
ENTRIES = f"""
    INSERT INTO food_entries (id, device_id, revision, created_at, product_id, date, meal_type,
        name, name_folded, unit, grams, {", ".join(NAMES)})
    SELECT md5(format('entry %%s %%s', device, number))::uuid,
        md5(format('device %%s', device))::uuid, 2,
        (day + make_interval(hours => 7 + 3 * (number %% %(a_day)s))) AT TIME ZONE 'UTC',
        md5(format('product %%s %%s', device, foods.n))::uuid, day,
        ('{{breakfast,lunch,dinner,snacks}}'::text[])[1 + number %% %(a_day)s %% 4],
        name, name_folded, unit, grams, {SHARES}
    FROM generate_series(0, %(entries)s - 1) AS k,
        LATERAL (SELECT k %% %(devices)s AS device, k / %(devices)s AS number) AS whose,
        LATERAL (SELECT %(last_day)s::date - number / %(a_day)s AS day,
            50.5 + (number * 37 + device) %% 200 AS grams) AS what,
        foods
    WHERE foods.n = number %% %(products)s
"""
GOALS = """
    INSERT INTO goals (id, device_id, revision, created_at, goal_type, daily_calories_kcal,
        protein_percent, carbs_percent, fat_percent, protein_grams, carbs_grams, fat_grams,
        water_ml)
    SELECT md5(format('goal %%s', device))::uuid, md5(format('device %%s', device))::uuid, 2,
        %(start)s, 'manual', 2000, 30, 40, 30, 150, 200, 66, 2000
    FROM generate_series(0, %(devices)s - 1) AS device
"""
WEIGHTS = """
    INSERT INTO body_weights (id, device_id, revision, created_at, date, weight_kg)
    SELECT md5(format('weight %%s %%s', device, n))::uuid,
        md5(format('device %%s', device))::uuid, 2, %(start)s, %(last_day)s::date - n,
        80 + (n * 7 + device) %% 10 / 10.0
    FROM generate_series(0, %(weighings)s - 1) AS n,
        generate_series(0, %(devices)s - 1) AS device
"""
WATER = """
    INSERT INTO water_entries (id, device_id, revision, created_at, date, ml)
    SELECT md5(format('water %%s %%s', device, n))::uuid,
        md5(format('device %%s', device))::uuid, 2, %(start)s, %(last_day)s::date - n, 250
    FROM generate_series(0, %(glasses)s - 1) AS n,
        generate_series(0, %(devices)s - 1) AS device
"""


def fill(connection: Connection, devices: int, entries: int, products: int) -> None:
    """Fill a migrated database without devices.

    Args:
        connection: a superuser's, in autocommit mode.
        devices: the number of devices; they are those of `bench.world`.
        entries: the number of entries of all devices together. Each device gets the same share,
            `ENTRIES_A_DAY` a day, back from `LAST_DAY`.
        products: the number of products of each device; they are those of `bench.world`.

    Raises:
        psycopg.Error: the database is not empty, or not migrated.
    """
    values = {
        "devices": devices,
        "entries": entries,
        "products": products,
        "a_day": world.ENTRIES_A_DAY,
        "last_day": world.LAST_DAY,
        "start": datetime(2000, 1, 1, tzinfo=UTC),
        "weighings": world.WEIGHINGS,
        "glasses": world.GLASSES,
    }
    with connection.transaction(), without_triggers_and_indexes(connection):
        fill_devices(connection, devices, values["start"])
        fill_foods(connection, products)
        for statement in (PRODUCTS, PORTIONS, ENTRIES, GOALS, WEIGHTS, WATER):
            connection.execute(statement.encode(), values)
    connection.execute("VACUUM (ANALYZE)")
    connection.execute("CHECKPOINT")


def fill_devices(connection: Connection, devices: int, created_at: Any) -> None:
    """Insert the devices with the world's tokens; real bcrypt hashes of many would take days."""
    unknown = "$2b$04$" + "." * 53
    now = datetime.now(UTC)
    ids = [world.id_of("device", n) for n in range(devices)]
    columns = "id, created_at, revision, blocked_reason, purged_revision"
    with connection.cursor().copy(f"COPY devices ({columns}) FROM STDIN".encode()) as copy:
        for device_id in ids:
            copy.write_row((device_id, created_at, 2, "", 0))
    columns = "device_id, id, token_hash, token_hmac, created_at, last_seen_at"
    with connection.cursor().copy(f"COPY phones ({columns}) FROM STDIN".encode()) as copy:
        for n, device_id in enumerate(ids):
            signature = tokens.signer.sign(world.token(n))
            copy.write_row((device_id, device_id, unknown, signature, created_at, now))


def fill_foods(connection: Connection, number: int) -> None:
    """Make a temporary table of the foods that every device has as products."""
    from entries.demo import FOODS  # needs the models

    foods = list(FOODS.values())
    connection.execute(
        f"CREATE TEMPORARY TABLE foods ON COMMIT DROP AS SELECT 0 AS n, {PRODUCT} FROM products "
        "WITH NO DATA".encode()
    )
    connection.execute("ALTER TABLE foods ADD PRIMARY KEY (n)")
    for n in range(number):
        food = foods[n % len(foods)]
        name = f"{food.name} {n // len(foods) + 1}"
        row = {
            "n": n,
            **food.values(),
            "name": name,
            "name_folded": text.fold(name),
            "name_words": words(name),
            "brand_words": food.brand and words(food.brand),
        }
        places = ", ".join(f"%({column})s" for column in row)
        statement = f"INSERT INTO foods ({', '.join(row)}) VALUES ({places})"
        connection.execute(statement.encode(), row)


def words(name: str) -> str:
    """Return the copy of a name that searches read."""
    return "".join(f" {word}" for word in text.words(name))


@contextmanager
def without_triggers_and_indexes(connection: Connection) -> Iterator[None]:
    """Run the block without triggers, keys and indexes, then make keys and indexes again."""
    keys = connection.execute(
        """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE contype IN ('f', 'p', 'u')
            AND (conrelid = ANY(%(tables)s::regclass[]) OR confrelid = ANY(%(tables)s::regclass[]))
        ORDER BY contype <> 'f', conname
        """,
        {"tables": TABLES},
    ).fetchall()
    indexes = connection.execute(
        """
        SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid = ANY(%s::regclass[])
            AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
        """,
        [TABLES],
    ).fetchall()
    connection.execute("SET LOCAL session_replication_role = replica")
    connection.execute("SET LOCAL maintenance_work_mem = '1GB'")
    for table, name, _ in keys:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    yield
    for _, definition in indexes:
        connection.execute(definition.encode())
    for table, name, definition in reversed(keys):
        connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}".encode())


def main() -> None:
    """Entry point; the tokens are made for the SECRET_KEY of the environment."""
    parser = argparse.ArgumentParser(prog="python -m bench.fill", description=__doc__)
    parser.add_argument("url", help="postgresql://… of a migrated database without devices")
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--products", type=int, default=20, help="of each device")
    asked = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countonme.settings")
    django.setup()
    with connect(asked.url) as connection:
        if connection.execute("SELECT id FROM devices LIMIT 1").fetchone():
            sys.exit("The database has devices already: fill an empty one.")
        fill(connection, asked.devices, asked.entries, asked.products)
    print(f"{asked.devices:,} devices, {asked.entries:,} entries.")
    print(f"The first device's token: {world.token(0)}")


if __name__ == "__main__":
    main()
