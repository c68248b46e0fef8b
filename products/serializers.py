"""Products and portions on the wire."""

from __future__ import annotations

from rest_framework import serializers

from countonme.api.fields import StrictModelSerializer, StrictUUIDField, TextField
from countonme.api.query import PageQuery, QuerySerializer
from products import gtin
from products.models import Portion, Product


class PortionSerializer(StrictModelSerializer):
    product_id = StrictUUIDField(read_only=True)

    class Meta:
        model = Portion
        fields = ["id", "product_id", "name", "grams", "is_default", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


class ProductSerializer(StrictModelSerializer):
    class Meta:
        model = Product
        fields = [
            "id",
            "name",
            "kcal_100g",
            "protein_100g",
            "carbs_100g",
            "fat_100g",
            "barcode",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["created_at", "updated_at"]


class ProductWithPortionsSerializer(ProductSerializer):
    portions = PortionSerializer(many=True, read_only=True)

    class Meta(ProductSerializer.Meta):
        fields = [*ProductSerializer.Meta.fields, "portions"]


class IncludeQuery(QuerySerializer):
    include = serializers.ChoiceField(
        ["portions"], required=False, help_text="Add each product's portions."
    )


class ProductQuery(IncludeQuery, PageQuery):
    search = TextField(
        required=False,
        allow_blank=True,
        max_length=100,
        help_text="Every word of it starts some word of the name; case and accents are ignored.",
    )
    barcode = TextField(
        required=False,
        validators=[gtin.validate],
        help_text="A GTIN of 8, 12, 13 or 14 digits; leading zeros do not matter.",
    )
