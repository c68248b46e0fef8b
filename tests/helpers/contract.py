"""The fields of the contract, in its order."""

from __future__ import annotations

from products.nutrients import COLUMNS_100G, NAMES

PRODUCT = [
    "id",
    "name",
    "brand",
    "unit",
    *COLUMNS_100G,
    "barcode",
    "created_at",
    "updated_at",
]
PORTION = ["id", "product_id", "name", "grams", "is_default", "created_at", "updated_at"]
ENTRY = [
    "id",
    "product_id",
    "portion_id",
    "date",
    "meal_type",
    "name",
    "unit",
    "grams",
    "quantity",
    *NAMES,
    "eaten_at",
    "created_at",
    "updated_at",
]
NUTRIENTS = ["kcal", "protein", "carbs", "fat", "fiber", "sugars", "saturated_fat", "salt"]
