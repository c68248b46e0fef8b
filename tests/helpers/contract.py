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
    "catalog_id",
    "servings",
    "cooked_grams",
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
WEIGHT = ["id", "date", "weight_kg", "created_at", "updated_at"]
WATER = ["id", "date", "ml", "created_at", "updated_at"]
GOAL = [
    "id",
    "goal_type",
    "gender",
    "birth_date",
    "height_cm",
    "current_weight_kg",
    "activity_level",
    "weight_goal_type",
    "target_weight_kg",
    "weight_change_pace",
    "bmr_kcal",
    "tdee_kcal",
    "daily_calories_kcal",
    "protein_percent",
    "carbs_percent",
    "fat_percent",
    "protein_grams",
    "carbs_grams",
    "fat_grams",
    "water_ml",
    "healthy_weight_min_kg",
    "healthy_weight_max_kg",
    "current_bmi",
    "bmi_category",
    "created_at",
    "updated_at",
]
NUTRIENTS = ["kcal", "protein", "carbs", "fat", "fiber", "sugars", "saturated_fat", "salt"]
