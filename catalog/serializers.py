"""Serializers of the catalog."""

from __future__ import annotations

from typing import Any, cast

from django.db import models
from rest_framework import serializers

from catalog.models import Food, Report, Source
from countonme.api.fields import (
    QueryIntegerField,
    Reader,
    StrictChoiceField,
    StrictModelSerializer,
    StrictUUIDField,
    TextField,
)
from countonme.api.query import PageQuery, QuerySerializer
from countonme.api.schema import example
from products.nutrients import COLUMNS_100G
from products.serializers import PER_100G, PRODUCT, BarcodeField, ProductSerializer

FOOD = {
    # The version 5 of `fdc:171477`.
    "id": "2c94a01b-4fe7-5e45-8f16-9e931a58bc50",
    "source": "fdc",
    "source_id": "171477",
    "name": "Chicken Breast",
    "brand": None,
    "unit": "g",
    "language": "en",
    **PER_100G,
    "barcode": None,
    "portions": [{"name": "1 cup, chopped", "grams": 140}],
    "doubtful": False,
    "updated_at": "2025-02-05T08:30:00Z",
}
COPY = PRODUCT | {"catalog_id": FOOD["id"]}
SOURCE = {
    "source": "fdc",
    "name": "USDA FoodData Central",
    "licence": "CC0 1.0",
    "url": "https://fdc.nal.usda.gov",
    "foods": 8000,
    "imported_at": "2025-02-05T08:30:00Z",
}


class FoodPortionSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    grams = serializers.FloatField()


@example("Chicken Breast", FOOD, response_only=True)
class FoodSerializer(StrictModelSerializer):
    """A food of the catalog. Its nutrients are per 100 g, or per 100 ml where `unit` is `ml`."""

    portions = FoodPortionSerializer(many=True, help_text="What its source calls a serving first.")
    withdrawn = serializers.BooleanField(
        required=False, help_text="True where its source no longer has it, else absent."
    )

    may_be_absent = {"withdrawn"}

    class Meta:
        model = Food
        fields = [
            *("id", "source", "source_id", "name", "brand", "unit", "language"),
            *COLUMNS_100G,
            *("barcode", "portions", "doubtful", "updated_at", "withdrawn"),
        ]
        read_only_fields = fields

    @classmethod
    def represent(cls, row: models.Model) -> dict[str, Any]:
        food = cast("Food", row)
        withdrawn = {"withdrawn": True} if food.withdrawn_at else {}
        return super().represent(food) | withdrawn


class SearchMixin(serializers.Serializer[Any]):
    search = TextField(
        required=False,
        allow_blank=True,
        max_length=100,
        help_text="What was typed; the last word may be half typed. Each word is the start of a "
        "word of the name or brand, as in `GET /v1/products`. Where nothing has them, words with "
        "one letter wrong count. The digits of a barcode are asked as one.",
    )
    language = serializers.RegexField(
        r"^[A-Za-z]{2}$",
        required=False,
        help_text="Two letters. Foods in this language come first among those that match alike.",
    )


class CatalogQuery(SearchMixin, PageQuery):
    """What a list of foods is asked for: a search or a barcode."""

    barcode = BarcodeField(required=False, help_text="A GTIN of 8, 12, 13 or 14 digits, or UPC-E.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("search") and "barcode" not in attrs:
            raise serializers.ValidationError(
                {"search": "Search or barcode is needed."}, "required"
            )
        return attrs


class FoodsQuery(SearchMixin, QuerySerializer):
    """What a search box asks for."""

    search = TextField(max_length=100, help_text="What was typed so far; see `/v1/catalog/foods`.")
    limit = QueryIntegerField(min_value=1, max_value=50, default=20)


@example("A chosen id", {"id": "0e0a5b5c-3c52-4a3d-8d5e-2f0f5a7f5d10"}, request_only=True)
class CopySerializer(Reader):
    """The id of the product that becomes the copy, if the client chooses it."""

    id = StrictUUIDField(required=False, allow_null=True, help_text="The new product's id.")


@example("Chicken Breast", COPY, response_only=True)
class CopiedSerializer(ProductSerializer):
    """The device's product that is a copy of a food."""


@example(
    "Wrong values", {"reason": "wrong_values", "note": "185 kcal on the pack"}, request_only=True
)
class ReportSerializer(Reader):
    """What is wrong with a food."""

    reason = StrictChoiceField(Report.Reason.choices)
    note = TextField(required=False, allow_null=True, max_length=500)


@example("A report", {"id": "6f1b6d0e-8a0b-4c83-9c3b-5f2f6f0a9b21"}, response_only=True)
class ReportedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField()


@example("USDA FoodData Central", SOURCE, response_only=True)
class SourceSerializer(serializers.ModelSerializer[Any]):
    """Where foods come from: apps name their sources, as the licences ask."""

    class Meta:
        model = Source
        fields = ["source", "name", "licence", "url", "foods", "imported_at"]
        read_only_fields = fields


@example("A food", {"product": None, "food": FOOD}, response_only=True)
@example("An own product", {"product": COPY, "food": None}, response_only=True)
class FoundSerializer(serializers.Serializer[Any]):
    """One row of a search box: exactly one of both is not null."""

    product = ProductSerializer(allow_null=True)
    food = FoodSerializer(allow_null=True)
