"""The operators' pages about products and portions."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q

from countonme.operators.base import DeletedFilter, DeviceFilter, NamesFilter
from countonme.operators.moderation import ModeratedAdmin
from products import gtin
from products.models import SEARCHED, Portion, Product
from products.names import search_condition


@admin.register(Product)
class ProductAdmin(ModeratedAdmin):
    list_display = ["name", "brand", "state", "kcal_100g", "barcode", "owner", "created_at"]
    search_help_text = "A part of the name, the starts of words of name or brand, or a barcode"
    own_readonly = ("unit",)

    def name_condition(self, term: str) -> Q:
        return super().name_condition(term) | search_condition(term, "name_words")

    def search_condition(self, term: str) -> Q:
        gtin_14 = gtin.to_gtin_14(gtin.compact(term))
        has_barcode = Q(gtin_14=gtin_14) if gtin_14 else Q()
        return super().search_condition(term) | search_condition(term, *SEARCHED) | has_barcode


@admin.register(Portion)
class PortionAdmin(ModeratedAdmin):
    list_display = ["name", "state", "grams", "is_default", "product", "owner", "created_at"]
    list_filter = [DeletedFilter, "is_default", "created_at", DeviceFilter, NamesFilter]
    list_select_related = ["device", "product"]
    own_readonly = ("product",)
    why_kept = "A product keeps at least one portion."

    def can_go(self, names: list[str]) -> Exists:
        """Return the condition that the product keeps a portion with another name."""
        others = Portion.objects.across_devices().filter(
            device_id=OuterRef("device_id"), product_id=OuterRef("product_id")
        )
        return Exists(others.exclude(name_folded__in=names))
