"""Serializers of products and portions."""

from __future__ import annotations

from typing import Any, ClassVar

from countonme.api.fields import (
    StrictChoiceField,
    StrictModelSerializer,
    StrictUUIDField,
    TextField,
)
from countonme.api.query import PageQuery, QuerySerializer
from countonme.api.schema import example
from products import gtin
from products.models import Portion, Product
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
    "created_at": "2025-02-05T08:30:00Z",
    "updated_at": None,
}


class BarcodeField(TextField):
    """A barcode, which is stored without white space and hyphens."""

    default_validators = [gtin.validate]
    schema_keywords: ClassVar[dict[str, Any]] = {"pattern": gtin.TYPED_PATTERN}

    def clean_text(self, text: str) -> str:
        return gtin.compact(text)


@example("100 g", PORTION, response_only=True)
@example("A piece", {"name": "1 piece", "grams": 174}, request_only=True)
class PortionSerializer(StrictModelSerializer):
    """A measure of a product."""

    product_id = StrictUUIDField(read_only=True)

    class Meta:
        model = Portion
        fields = ["id", "product_id", "name", "grams", "is_default", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


@example("Chicken Breast", PRODUCT, response_only=True)
@example("Chicken Breast", {"name": "Chicken Breast", "kcal_100g": 165}, request_only=True)
@example(
    "With a barcode",
    {"name": "Chicken Breast", "brand": "Farm", "unit": "g", **PER_100G, "barcode": "96385074"},
    request_only=True,
)
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
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["created_at", "updated_at"]


@example("Chicken Breast", PRODUCT | {"portions": [PORTION]}, response_only=True)
class ProductWithPortionsSerializer(ProductSerializer):
    """A food, with its portions if the query includes them."""

    portions = PortionSerializer(many=True, required=False, help_text="With `include=portions`.")

    may_be_absent = {"portions"}

    class Meta(ProductSerializer.Meta):
        fields = [*ProductSerializer.Meta.fields, "portions"]


class IncludeQuery(QuerySerializer):
    include = StrictChoiceField(
        ["portions"], required=False, help_text="Add each product's portions."
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
