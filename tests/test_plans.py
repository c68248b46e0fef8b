"""PostgreSQL answers the queries of every call by an index that begins with the device."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.helpers.api import Api
from tests.helpers.phones import get_code, get_key, id_of, try_pair

DEVICES, PRODUCTS, DAYS, A_DAY = 600, 10, 20, 2
# Triggers are off, since they would stamp each row.
FILL = f"""
SET LOCAL session_replication_role = replica;
INSERT INTO devices (id, created_at, blocked_reason, revision, purged_revision)
    SELECT gen_random_uuid(), now(), '', 1, 0 FROM generate_series(1, {DEVICES});
INSERT INTO phones (device_id, id, token_hash, token_hmac, created_at, joined_by)
    SELECT devices.id, CASE WHEN n = 1 THEN devices.id ELSE gen_random_uuid() END, 'x', 'x', now(),
        CASE WHEN n = 2 THEN devices.id::text END
    FROM devices, generate_series(1, 2) AS n ON CONFLICT DO NOTHING;
INSERT INTO pairing_codes (device_id, phone_id, is_move, digest, expires_at)
    SELECT id, id, false, id::text, now() + interval '1 hour' FROM devices;
INSERT INTO recovery_keys (device_id, id, digest, created_at, expires_at)
    SELECT devices.id, n, devices.id::text || n, now(),
        CASE WHEN n > 1 THEN now() + interval '1 hour' END
    FROM devices, generate_series(1, 3) AS n;
INSERT INTO products
    (id, device_id, name, name_folded, name_words, unit, kcal_100g, barcode, gtin_14, revision,
        created_at)
    SELECT gen_random_uuid(), devices.id, n::text, n::text, ' ' || n, 'g', 1, '96385074',
        '00000096385074', 0, now()
    FROM devices, generate_series(1, {PRODUCTS}) AS n;
INSERT INTO portions
    (id, device_id, product_id, name, name_folded, grams, is_default, revision, created_at)
    SELECT gen_random_uuid(), device_id, products.id, n::text, n::text, 1, n = 1, 0, now()
    FROM products, generate_series(1, 2) AS n;
INSERT INTO recipe_items
    (id, device_id, product_id, ingredient_id, grams, position, revision, created_at)
    SELECT gen_random_uuid(), device_id, first, id, 1, place, 0, now()
    FROM (SELECT *, first_value(id) OVER of_device AS first, row_number() OVER of_device AS place
        FROM products WINDOW of_device AS (PARTITION BY device_id ORDER BY id)) AS products
    WHERE place > 1;
UPDATE products SET servings = 2
    WHERE EXISTS (SELECT FROM recipe_items AS items
        WHERE (items.device_id, items.product_id) = (products.device_id, products.id));
INSERT INTO food_entries
    (id, device_id, product_id, date, meal_type, name, name_folded, unit, grams, kcal, revision,
        created_at)
    SELECT gen_random_uuid(), device_id, id, date '2025-01-01' + day, 'lunch', name, name_folded,
        'g', 1, 1, 0, now()
    FROM (SELECT *, row_number() OVER (PARTITION BY device_id) AS place FROM products) AS products,
        generate_series(0, {DAYS - 1}) AS day
    WHERE place <= {A_DAY};
INSERT INTO body_weights (id, device_id, date, weight_kg, revision, created_at)
    SELECT gen_random_uuid(), devices.id, date '2025-01-01' + day, 80, 0, now()
    FROM devices, generate_series(0, {DAYS - 1}) AS day;
INSERT INTO water_entries (id, device_id, date, ml, revision, created_at)
    SELECT gen_random_uuid(), devices.id, date '2025-01-01' + day, 250, 0, now()
    FROM devices, generate_series(0, {DAYS - 1}) AS day;
INSERT INTO goals
    (id, device_id, goal_type, daily_calories_kcal, protein_percent, carbs_percent, fat_percent,
        protein_grams, carbs_grams, fat_grams, water_ml, revision, created_at, deleted_at)
    SELECT gen_random_uuid(), devices.id, 'manual', 2000, 30, 40, 30, 150, 200, 66, 2000, 0, now(),
        CASE WHEN n > 1 THEN now() END
    FROM devices, generate_series(1, 5) AS n;
SET LOCAL session_replication_role = origin;
ANALYZE;
"""
SOUP = {"name": "Soup", "kcal": 1, "date": "2025-01-05", "meal_type": "lunch"}
CALLS = [
    "/v1/auth/device",
    "/v1/auth/phones",
    "/v1/products",
    "/v1/products?include=portions,recipe",
    "/v1/products?search=1",
    "/v1/products?barcode=96385074",
    "/v1/products/{product}",
    "/v1/products/{product}/portions",
    "/v1/products/{recipe}/recipe",
    "/v1/products/{recipe}?include=recipe",
    "/v1/food-entries",
    "/v1/food-entries?date=2025-01-05",
    "/v1/food-entries?from=2025-01-05&to=2025-02-12",
    "/v1/food-entries?product_id={product}",
    "/v1/food-entries?meal_type=lunch&offset=50",
    "/v1/food-entries/products",
    "/v1/food-entries/products?order=recent&meal_type=lunch",
    "/v1/food-entries/products?order=frequent",
    "/v1/food-entries/products?order=frequent&meal_type=lunch&offset=5",
    "/v1/stats/day/2025-01-05",
    "/v1/stats/daily?from=2025-01-01&to=2025-01-15",
    "/v1/goals/current",
    "/v1/goals/progress?date=2025-01-05",
    "/v1/body-weights?from=2025-01-10",
    "/v1/water-entries?date=2025-01-05",
    "/v1/stats/weight?from=2025-01-01&to=2025-01-15",
    "/v1/stats/expenditure?from=2025-01-01&to=2025-01-15",
    "/v1/stats/streak?date=2025-01-05",
    "/v1/export",
    "/v1/export?format=csv",
]

pytestmark = pytest.mark.django_db


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's nodes."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def explained(sql: str) -> list[dict[str, Any]]:
    """Return the nodes of a statement's plan."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}".replace("%", "%%"), [])
        found = cursor.fetchone()[0]
    document = json.loads(found) if isinstance(found, str) else found
    return list(nodes(document[0]["Plan"]))


def first_columns() -> dict[str, str]:
    """Return the first column of every index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_get_indexdef(indexrelid, 1, true) FROM pg_index"
            " JOIN pg_class ON pg_class.oid = indexrelid"
        )
        return dict(cursor.fetchall())


@pytest.fixture
def filled(phone: Api) -> dict[str, str]:
    """Insert rows of many devices, the phone's among them; return ids for paths."""
    with connection.cursor() as cursor:
        for statement in re.split(r";\n", FILL.strip().rstrip(";")):
            cursor.execute(statement)
    products = phone.get("/v1/products?limit=200").json()
    [recipe] = [product["id"] for product in products if product["servings"]]
    food = next(product["id"] for product in products if not product["servings"])
    return {"product": food, "recipe": recipe}


def test_every_read_begins_at_the_device(phone: Api, filled: dict[str, str]) -> None:
    first = first_columns()
    for call in CALLS:
        path = call.format(**filled)
        with CaptureQueriesContext(connection) as queries:
            assert phone.get(path).status_code == 200, path
        # An export is a transaction of its own, here a savepoint.
        asked = [query for query in queries.captured_queries if "SAVEPOINT" not in query["sql"]]
        assert asked
        for query in asked:
            for node in explained(query["sql"]):
                assert node["Node Type"] != "Seq Scan", (path, query["sql"])
                if name := node.get("Index Name"):
                    assert first[name] == "device_id" or name == "devices_pkey", (path, name)


def imported() -> dict[str, Any]:
    """Return new rows of some tables, as an export has them."""
    product, portion, entry, weight = (str(uuid.uuid4()) for _ in range(4))
    portion_of = {"product_id": product, "name": "cup", "grams": 1, "is_default": True}
    return {
        "products": [{"id": product, "name": "Rice", "kcal_100g": 130}],
        "portions": [{"id": portion} | portion_of],
        "food_entries": [SOUP | {"id": entry, "product_id": product, "grams": 1}],
        "body_weights": [{"id": weight, "date": "2026-01-02", "weight_kg": 80}],
    }


def test_every_write_begins_at_the_device(phone: Api, filled: dict[str, str]) -> None:
    first = first_columns()
    entry = phone.entry(product_id=filled["product"], grams=150)
    product = phone.product()
    portion = phone.portion(product)
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/v1/food-entries", SOUP),
        ("PATCH", f"/v1/food-entries/{entry['id']}", {"grams": 100}),
        ("POST", "/v1/food-entries/copy", {"from_date": "2025-01-05", "to_date": "2025-01-30"}),
        ("POST", "/v1/food-entries/copy", {"entry_ids": [entry["id"]], "to_date": "2025-01-30"}),
        (
            "POST",
            "/v1/food-entries/copy",
            {"from_date": "2025-01-05", "to_date": "2025-01-30", "copy_id": entry["id"]},
        ),
        (
            "POST",
            "/v1/food-entries/restate",
            {"product_id": filled["product"], "from": "2025-01-01", "to": "2025-12-31"},
        ),
        ("POST", "/v1/products", {"name": "Rice", "kcal_100g": 130}),
        # It is in a recipe.
        ("PATCH", f"/v1/products/{filled['product']}", {"kcal_100g": 2}),
        (
            "PUT",
            f"/v1/products/{product['id']}/recipe",
            {"servings": 1, "items": [{"ingredient_id": filled["product"], "grams": 1}]},
        ),
        ("DELETE", f"/v1/products/{product['id']}/recipe", None),
        ("PATCH", f"/v1/portions/{portion['id']}", {"is_default": True}),
        ("DELETE", f"/v1/products/{product['id']}", None),
        ("POST", "/v1/body-weights", {"date": "2026-01-01", "weight_kg": 80}),
        ("POST", "/v1/water-entries", {"date": "2026-01-01", "ml": 250}),
        ("POST", "/v1/auth/pairing-code", None),
        ("POST", "/v1/auth/recovery-key", None),
        ("PATCH", f"/v1/auth/phones/{id_of(phone)}", {"name": "Pixel 9"}),
        ("POST", "/v1/import", {"format": "countonme-diary-1", "rows": imported()}),
        ("DELETE", "/v1/data", {"confirm": "delete everything"}),
        ("DELETE", f"/v1/auth/phones/{id_of(phone)}", None),
    ]
    for method, path, body in writes:
        with CaptureQueriesContext(connection) as queries:
            assert phone.request(method, path, body).status_code < 300, path
        for query in queries.captured_queries:
            if re.match("SELECT|UPDATE|INSERT", query["sql"]):
                for node in explained(query["sql"]):
                    assert node["Node Type"] != "Seq Scan", (path, query["sql"])
                    if name := node.get("Index Name"):
                        allowed = first[name] == "device_id" or name == "devices_pkey"
                        assert allowed, (path, name)


def test_a_code_or_key_is_found_by_its_digest(phone: Api, filled: dict[str, str]) -> None:
    by_digest = {"pairing_codes_by_digest", "recovery_keys_by_digest", "phones_by_code"}
    code, key = get_code(phone), get_key(phone)
    for typed in (code, key, "BCDF-GHJK-LMNP", "x"):
        used = set()
        with CaptureQueriesContext(connection) as queries:
            assert try_pair(typed).status_code == (200 if typed in (code, key) else 404)
        for query in queries.captured_queries:
            if re.match("SELECT|UPDATE|INSERT", query["sql"]) and "cache" not in query["sql"]:
                for node in explained(query["sql"]):
                    assert node["Node Type"] != "Seq Scan", query["sql"]
                    used.add(node.get("Index Name", ""))
        # Each is asked, whatever was typed, so that the time tells nothing.
        for name in by_digest:
            assert any(index.startswith(name) for index in used), (typed, name)


FILL_CATALOG = """
INSERT INTO catalog_sources (source, name, licence, url, foods, revision)
    VALUES ('fdc', 'FDC', 'CC0', 'https://example.org', 0, 1);
INSERT INTO catalog_foods
    (id, source, source_id, name, name_key, words, unit, kcal_100g, barcode, gtin_14, portions,
        doubtful, is_generic, popularity, is_hidden, source_digest, created_at, updated_at)
    SELECT gen_random_uuid(), 'fdc', n, 'Food ' || n, 'food' || n,
        array_to_tsvector(ARRAY['food', 'n' || n]), 'g', 1, '96385074', '00000096385074', '[]',
        false, false, CASE WHEN n <= 2000 THEN 99 ELSE 0 END, false, 0, now(), now()
    FROM generate_series(1, 20000) AS n;
"""
BY_WORDS = {
    "catalog_popular_foods_words",
    "catalog_foods_known_words",
    "catalog_foods_other_words",
}
CATALOG_CALLS = {
    "/v1/catalog/foods?search=n1999": BY_WORDS | {"catalog_foods_by_name"},
    "/v1/catalog/foods?search=food": {"catalog_popular_foods_words", "catalog_foods_by_name"},
    "/v1/catalog/foods?search=n1999x": BY_WORDS,
    "/v1/catalog/foods?barcode=96385074": {"catalog_foods_by_barcode"},
    "/v1/catalog/foods/{food}": {"catalog_foods_pkey"},
    "/v1/foods?search=n1999": {"products_by_catalog_id", "catalog_foods_pkey"},
}


def test_every_read_of_the_catalog_begins_at_an_index(phone: Api, filled: dict[str, str]) -> None:
    with connection.cursor() as cursor:
        for statement in re.split(r";\n", FILL_CATALOG.strip().rstrip(";")):
            cursor.execute(statement)
        cursor.execute("ANALYZE catalog_foods, catalog_popular_foods, catalog_words")
        cursor.execute("SELECT id FROM catalog_foods LIMIT 1")
        food = cursor.fetchone()[0]
    for call, needed in CATALOG_CALLS.items():
        with CaptureQueriesContext(connection) as queries:
            assert phone.get(call.format(food=food)).status_code == 200, call
        used = set()
        for query in queries.captured_queries:
            if query["sql"].lstrip().startswith("SELECT"):
                for node in explained(query["sql"]):
                    is_small = node.get("Relation Name") == "catalog_sources"
                    assert is_small or node["Node Type"] != "Seq Scan", (call, query["sql"])
                    used.add(node.get("Index Name"))
        assert needed <= used, call
