"""The operators' pages about products and portions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.decorators import display

from countonme.operators.acts import counted
from countonme.operators.base import DeletedFilter, DeviceFilter, NamesFilter, ScopedAdmin
from countonme.operators.moderation import ModeratedAdmin
from countonme.operators.names import change_url
from countonme.scope.query import DeviceScopedQuerySet
from products import gtin
from products.models import SEARCHED, Portion, Product, RecipeItem
from products.names import search_condition
from products.nutrients import COLUMNS_100G


@admin.register(Product)
class ProductAdmin(ModeratedAdmin):
    icon = "nutrition"
    is_in_search = True
    list_display = ["name", "brand", "state", "kcal_100g", "barcode", "owner", "created_at"]
    search_help_text = "A part of the name, the starts of words of name or brand, or a barcode"
    own_readonly = ("unit", "servings", "cooked_grams")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """Show a recipe's items, and its values, which follow from these."""
        follows = COLUMNS_100G if obj is not None and obj.is_recipe else ()
        return (*follows, "recipe", *super().get_readonly_fields(request, obj))

    @display(description="recipe")
    def recipe(self, product: Product) -> Any:
        """List what is in it; an item's own page changes that."""
        items = product.items.in_order().select_related("ingredient")
        rows = ((change_url(item), item) for item in items)
        return format_html_join(mark_safe("<br>"), '<a href="{}">{}</a>', rows) or "-"

    def gone_with(self, rows: DeviceScopedQuerySet[Any]) -> list[str]:
        """Say how many portions, and items of recipes, are deleted along with products."""
        counts = (
            (model.objects.across_devices().filter(product__in=rows).count(), model)
            for model in (Portion, RecipeItem)
        )
        return [counted(count, model) for count, model in counts if count]

    def name_condition(self, term: str) -> Q:
        return super().name_condition(term) | search_condition(term, "name_words")

    def search_condition(self, term: str) -> Q:
        gtin_14 = gtin.to_gtin_14(gtin.compact(term))
        has_barcode = Q(gtin_14=gtin_14) if gtin_14 else Q()
        return super().search_condition(term) | search_condition(term, *SEARCHED) | has_barcode


@admin.register(Portion)
class PortionAdmin(ModeratedAdmin):
    icon = "straighten"
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


@admin.register(RecipeItem)
class RecipeItemAdmin(ScopedAdmin):
    icon = "skillet"
    list_filter = [DeletedFilter, "created_at", DeviceFilter, NamesFilter]
    list_display = ["ingredient", "state", "grams", "product", "owner", "created_at"]
    list_select_related = ["device", "product", "ingredient"]
    own_readonly = ("product", "ingredient", "portion")
