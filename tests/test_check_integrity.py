"""`check_integrity` finds rows that break a rule in spite of triggers and constraints."""

from __future__ import annotations

import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from products.nutrients import OPTIONAL
from tests.helpers.api import Api, twin


@pytest.fixture
def world(phone: Api) -> dict[str, Any]:
    product = phone.product(protein_100g=31)
    portion = phone.portion(product)
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"])
    dish = phone.product(name="Dish")
    [item] = phone.recipe(dish, {product["id"]: 100})["items"]
    return {
        "products": product,
        "dish": dish,
        "portions": portion,
        "recipe_items": item,
        "food_entries": entry,
        "goals": phone.goal(),
        "body_weights": phone.weight(),
        "water_entries": phone.water(),
    }


def check() -> str:
    out = StringIO()
    call_command("check_integrity", stdout=out)
    return out.getvalue()


def found() -> str:
    out = StringIO()
    with pytest.raises(CommandError, match="rules are broken"):
        call_command("check_integrity", stdout=out)
    return out.getvalue()


def break_past_the_guards(sql: str, *params: Any) -> None:
    """Run SQL without triggers and foreign keys, as a careless restore might."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql, params)
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_it_works(world: Any) -> None:
    assert check() == "Every rule holds.\n"


def test_an_empty_database_is_well(db: None) -> None:
    assert check() == "Every rule holds.\n"


def test_a_later_change_of_the_product_breaks_nothing(phone: Api, world: Any) -> None:
    phone.patch(f"/v1/products/{world['products']['id']}", {"kcal_100g": 1, "name": "Other"})
    phone.patch(f"/v1/portions/{world['portions']['id']}", {"grams": 1})
    phone.patch(f"/v1/food-entries/{world['food_entries']['id']}", {"meal_type": "dinner"})
    assert check() == "Every rule holds.\n"


def test_a_copy_of_what_was_eaten_before_a_later_change_is_well(phone: Api, world: Any) -> None:
    phone.patch(f"/v1/products/{world['products']['id']}", {"kcal_100g": 1, "fat_100g": None})
    phone.patch(f"/v1/portions/{world['portions']['id']}", {"grams": 1})
    days = {"from_date": world["food_entries"]["date"], "to_date": "2025-03-01"}
    for copying in (days, days | {"copy_id": str(uuid.uuid4())}):
        (copy,) = phone.post("/v1/food-entries/copy", copying).json()
        assert copy["kcal"] == world["food_entries"]["kcal"]
    check()


def test_restated_entries_are_well(phone: Api, world: Any) -> None:
    product = world["products"]["id"]
    phone.patch(f"/v1/products/{product}", {"kcal_100g": 1, "fat_100g": None})
    days = {"from": "2025-01-01", "to": "2025-12-31"}
    answer = phone.post("/v1/food-entries/restate", {"product_id": product, **days})
    assert answer.json() == {"restated": 1}
    check()


def test_rules_of_phones(phone: Api) -> None:
    assert phone.device
    phone.post("/v1/auth/recovery-key")
    phone.post("/v1/auth/recovery-key")
    assert check() == "Every rule holds.\n"
    break_past_the_guards("UPDATE devices SET recovery_key_created_at = now() - interval '1 day'")
    assert f"devices {phone.device.pk}: not so: recovery_key_created_at" in found()
    break_past_the_guards("UPDATE devices SET recovery_key_created_at = NULL")
    assert "not so: recovery_key_created_at" in found()
    break_past_the_guards(
        """
        INSERT INTO phones (device_id, id, token_hash, token_hmac, created_at)
        SELECT device_id, gen_random_uuid(), token_hash, token_hmac, created_at
        FROM phones, generate_series(1, 8)
        """
    )
    assert "not so: a device has at most 8 phones" in found()
    break_past_the_guards(
        """
        UPDATE devices SET erased_at = now(), created_at = NULL, revised_at = NULL,
            revised_in = NULL
        """
    )
    assert "not so: an erased device has no phones" in found()
    assert "not so: an erased device has no recovery key" in found()


@pytest.mark.parametrize(
    ("table", "change", "rule"),
    [
        ("products", "revision = 1000000", "revision is never above"),
        ("portions", "revision = 1000000", "revision is never above"),
        ("food_entries", "revision = 1000000", "revision is never above"),
        ("goals", "revision = 1000000", "revision is never above"),
        ("body_weights", "revision = 1000000", "revision is never above"),
        ("water_entries", "revision = 1000000", "revision is never above"),
        ("products", "name_folded = 'x'", "name_folded follows name"),
        ("products", "name_words = 'x'", "name_words follows name"),
        ("portions", "name_folded = 'x'", "name_folded follows name"),
        ("food_entries", "name_folded = 'x'", "name_folded follows name"),
        ("products", "brand_words = 'x'", "brand_words follows brand"),
        ("products", "brand = 'x'", "brand_words follows brand"),
        ("food_entries", "unit = 'ml'", "unit is the product's"),
        ("food_entries", "kcal = kcal + 0.01", "kcal is the product's"),
        ("food_entries", "protein = NULL", "protein is the product's"),
        *(("food_entries", f"{name} = 1", f"{name} is the product's") for name in OPTIONAL),
        ("food_entries", "grams = grams + 1", "grams are the portion's"),
        ("recipe_items", "revision = 1000000", "revision is never above"),
        ("dish", "kcal_100g = 164", "a recipe's values follow from its items"),
        ("dish", "salt_100g = 1", "a recipe's values follow from its items"),
        ("dish", "cooked_grams = 99", "a recipe's values follow from its items"),
        ("goals", "protein_grams = 149", "protein_grams follow"),
        ("goals", "carbs_grams = 201", "carbs_grams follow"),
        ("goals", "fat_grams = 67", "fat_grams follow"),
        ("goals", "daily_calories_kcal = 15000", "fat_grams follow"),
    ],
)
def test_a_broken_rule_names_the_row(world: Any, table: str, change: str, rule: str) -> None:
    row, table = world[table]["id"], table.replace("dish", "products")
    break_past_the_guards(f"UPDATE {table} SET {change} WHERE id = %s", row)
    printed = found()
    assert rule in printed
    assert f"{table} {row}" in printed


def test_rules_of_recipes(world: Any) -> None:
    dish, item = world["dish"]["id"], world["recipe_items"]["id"]
    break_past_the_guards("UPDATE products SET servings = 3 WHERE id = %s", dish)
    printed = found()
    assert "a serving's grams follow from its recipe" in printed
    assert f"products {dish}" in printed
    break_past_the_guards(
        """
        INSERT INTO recipe_items (id, device_id, product_id, ingredient_id, grams, position,
            revision, created_at)
        SELECT gen_random_uuid(), device_id, ingredient_id, gen_random_uuid(), 1, 0, 1, now()
        FROM recipe_items
        """
    )
    printed = found()
    assert "a recipe is in no recipe" in printed
    assert f"recipe_items {item}" in printed
    assert "a ingredient belongs to the same device" in printed
    break_past_the_guards("UPDATE products SET deleted_at = now() WHERE id = %s", dish)
    assert "a live item's product is live" in found()


def test_a_live_portion_of_a_deleted_product_is_named(world: Any) -> None:
    break_past_the_guards("UPDATE products SET deleted_at = now()")
    printed = found()
    assert "a live portion's product is live" in printed
    assert f"portions {world['portions']['id']}" in printed


def test_a_product_without_a_default_portion_is_named(world: Any) -> None:
    break_past_the_guards("UPDATE portions SET is_default = false")
    assert f"products {world['products']['id']}" in found()


@pytest.mark.parametrize(
    ("table", "rule"),
    [("portions", "a product belongs"), ("food_entries", "a portion belongs")],
)
def test_a_row_that_points_at_another_devices_is_named(
    world: Any, other: Api, table: str, rule: str
) -> None:
    assert other.device is not None
    break_past_the_guards(
        f"UPDATE {table} SET device_id = %s WHERE id = %s",
        other.device.pk,
        world[table]["id"],
    )
    assert rule in found()


def test_devices_with_the_same_ids_are_well(phone: Api, world: Any) -> None:
    twin(phone)
    assert check() == "Every rule holds.\n"


@pytest.mark.parametrize("table", ["products", "portions", "food_entries"])
def test_only_the_device_that_breaks_a_rule_is_named_of_two_with_the_same_ids(
    phone: Api, world: Any, table: str
) -> None:
    another = twin(phone)
    assert phone.device is not None
    assert another.device is not None
    change = {
        "products": "deleted_at = now()",
        "portions": "is_default = false",
        "food_entries": "kcal = kcal + 1",
    }
    break_past_the_guards(
        f"UPDATE {table} SET {change[table]} WHERE device_id = %s", another.device.pk
    )
    printed = found()
    assert str(another.device.pk) in printed
    assert str(phone.device.pk) not in printed


@pytest.mark.parametrize("table", ["portions", "food_entries"])
def test_a_row_whose_product_another_device_alone_has_is_named(
    phone: Api, world: Any, table: str
) -> None:
    another = twin(phone)
    assert another.device is not None
    break_past_the_guards("DELETE FROM products WHERE device_id = %s", another.device.pk)
    printed = found()
    assert "a product belongs to the same device" in printed
    assert f"{table} {world[table]['id']} of device {another.device.pk}" in printed


def test_many_offenders_are_cut(phone: Api) -> None:
    for _ in range(21):
        phone.entry()
    break_past_the_guards("UPDATE food_entries SET revision = 1000000")
    assert "... and more" in found()
