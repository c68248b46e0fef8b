"""Serializers of products and portions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from countonme.api.fields import (
    NumberField,
    Reader,
    StrictModelSerializer,
    StrictUUIDField,
    TextField,
    is_null,
)
from countonme.api.query import PageQuery, QuerySerializer
from countonme.api.schema import example
from products import gtin, recipes
from products.models import Portion, Product, RecipeItem
from products.nutrients import COLUMNS_100G, NUTRIENTS

PORTION = {
    "id": "8d7d1a5e-6f3c-4e0a-9a55-2f7b0f6f2a11",
    "product_id": "5b0f0b1e-9a58-4c40-8a3b-0c7f3d2b9e10",
    "name": "100g",
    "grams": 100,
    "is_default": True,
    "created_at": "2025-02-05T08:30:00Z",
    "updated_at": None,
}
PER_100G = {nutrient.column_100g: nutrient.example_100g for nutrient in NUTRIENTS}
PRODUCT = {
    "id": PORTION["product_id"],
    "name": "Chicken Breast",
    "brand": None,
    "unit": "g",
    **PER_100G,
    "barcode": None,
    "catalog_id": None,
    "servings": None,
    "cooked_grams": None,
    "created_at": "2025-02-05T08:30:00Z",
    "updated_at": None,
}
RICE = {
    "id": "7c1e4b2a-5d6f-4a8b-9c3d-2e1f0a9b8c7d",
    "name": "Rice, raw",
    "brand": "Farm",
    "unit": "g",
    **PER_100G,
    "kcal_100g": 365,
    "protein_100g": 7.1,
    "carbs_100g": 80,
    "fat_100g": 0.7,
    "barcode": "96385074",
}
DISH = {"id": "2b9c7d1e-4f5a-4c6b-8d7e-9f0a1b2c3d4e", "name": "Chicken and rice", "kcal_100g": 0}
ITEM = {
    "id": "3f6d2c1b-8a7e-4d5f-9b0c-1e2d3c4b5a69",
    "ingredient_id": PRODUCT["id"],
    "portion_id": None,
    "quantity": None,
    "grams": 300,
    "position": 0,
}
RECIPE = {"servings": 4, "cooked_grams": None, "items": [ITEM]}


class BarcodeField(TextField):
    """A barcode, which is stored without white space and hyphens."""

    default_validators = [gtin.validate]
    schema_keywords: ClassVar[dict[str, Any]] = {"pattern": gtin.TYPED_PATTERN}

    def clean_text(self, text: str) -> str:
        return gtin.compact(text)


@example("100 g", PORTION, response_only=True)
@example("A piece", {"id": PORTION["id"], "name": "1 piece", "grams": 174}, request_only=True)
class PortionSerializer(StrictModelSerializer):
    """A measure of a product."""

    product_id = StrictUUIDField(read_only=True)

    class Meta:
        model = Portion
        fields = ["id", "product_id", "name", "grams", "is_default", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


@example("Chicken Breast", PRODUCT, response_only=True)
@example(
    "Chicken Breast",
    {"id": PRODUCT["id"], "name": "Chicken Breast", "kcal_100g": 165},
    request_only=True,
)
@example("With all values and a barcode", RICE, request_only=True)
@example("A dish, which its recipe is sent for", DISH, request_only=True)
class ProductSerializer(StrictModelSerializer):
    """A food. Energy and nutrients are per 100 g, or per 100 ml of a drink (`unit` is `ml`)."""

    barcode = BarcodeField(
        required=False,
        allow_null=True,
        help_text="A GTIN of 8, 12, 13 or 14 digits with a right check digit, or a UPC-E of 8 with "
        "its own. Blanks and hyphens are removed.",
    )

    class Meta:
        model = Product
        fields = [
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
        read_only_fields = ["servings", "cooked_grams", "created_at", "updated_at"]


class RecipeItemSerializer(StrictModelSerializer):
    """An ingredient of a recipe: `grams` of it, or `portion_id` and `quantity`."""

    ingredient_id = StrictUUIDField(help_text="A product that is no recipe.")
    portion_id = StrictUUIDField(
        required=False, allow_null=True, help_text="One of its portions; then `grams` is ignored."
    )

    class Meta:
        model = RecipeItem
        fields = ["id", "ingredient_id", "portion_id", "quantity", "grams", "position"]
        extra_kwargs: ClassVar[Any] = {
            "grams": {"required": False, "allow_null": True},
            "position": {"required": False, "allow_null": True},
        }

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Ignore the grams that follow from a portion, and require them without one."""
        if not isinstance(data, Mapping):
            return dict(super().to_internal_value(data))
        has_portion = not is_null(data.get("portion_id"))
        kept = {name: data[name] for name in data if not has_portion or name != "grams"}
        return self.read_with(kept, () if has_portion or self.partial else ("grams",))


@example(
    "Grams and portions",
    {
        "servings": 4,
        "cooked_grams": 1400,
        "items": [
            {"ingredient_id": RICE["id"], "grams": 300},
            {"ingredient_id": PRODUCT["id"], "portion_id": PORTION["id"], "quantity": 2},
        ],
    },
    request_only=True,
)
@example("A recipe", RECIPE, response_only=True)
class RecipeSerializer(Reader):
    """A whole recipe: what a PUT leaves out is gone."""

    servings = NumberField(
        max_digits=None,
        decimal_places=2,
        min_value=recipes.CENT,
        max_value=recipes.MAX_SERVINGS,
        help_text="How many servings it makes.",
    )
    cooked_grams = NumberField(
        max_digits=None,
        decimal_places=2,
        min_value=recipes.CENT,
        max_value=recipes.MAX_COOKED_GRAMS,
        required=False,
        allow_null=True,
        help_text="The grams of all of it when cooked; null if that is the sum of the items'.",
    )
    items: Any = serializers.ListSerializer(
        child=RecipeItemSerializer(), min_length=1, max_length=recipes.MAX_ITEMS
    )

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Refuse two items with one id."""
        ids = [item["id"] for item in items if item.get("id")]
        if len(set(ids)) < len(ids):
            raise serializers.ValidationError("Two items have the same id.", code="invalid")
        return items


@example("Chicken Breast", PRODUCT | {"portions": [PORTION], "recipe": None}, response_only=True)
class ProductWithMoreSerializer(ProductSerializer):
    """A food, with its portions and its recipe if the query includes them."""

    portions = PortionSerializer(many=True, required=False, help_text="With `include=portions`.")
    recipe = RecipeItemSerializer(
        many=True,
        required=False,
        allow_null=True,
        help_text="With `include=recipe`: its items; null if it is no recipe.",
    )

    may_be_absent = {"portions", "recipe"}

    class Meta(ProductSerializer.Meta):
        fields = [*ProductSerializer.Meta.fields, "portions", "recipe"]


class IncludeField(TextField):
    """Some of `portions` and `recipe`, separated by commas; read as a set."""

    default_error_messages = {"invalid_choice": "Not a valid choice."}
    choices: ClassVar[list[str]] = ["portions", "recipe", "portions,recipe", "recipe,portions"]
    schema_keywords: ClassVar[dict[str, Any]] = {"enum": choices}

    def clean_text(self, text: str) -> str:
        """Leave it as it is: it is one of the choices, or wrong."""
        return text

    def to_internal_value(self, data: Any) -> Any:
        if data not in self.choices:
            self.fail("invalid_choice")
        return frozenset(data.split(","))


class IncludeQuery(QuerySerializer):
    include = IncludeField(
        required=False, help_text="`portions`, `recipe`, or both, separated by a comma."
    )


class ProductQuery(IncludeQuery, PageQuery):
    search = TextField(
        required=False,
        allow_blank=True,
        max_length=100,
        help_text="Finds products where each word of the search is the start of a word of the name "
        "or brand, or, in scripts without blanks between words, occurs anywhere. Case, accents, "
        "apostrophes, and hyphens and ampersands between letters are ignored.",
    )
    barcode = BarcodeField(
        required=False,
        help_text="A GTIN of 8, 12, 13 or 14 digits, or a UPC-E of 8, which finds the same "
        "products as its UPC-A. Leading zeros, blanks and hyphens do not matter.",
    )
