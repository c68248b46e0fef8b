"""Products and portions for operators."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from countonme.admin import DeletedFilter, DeviceFilter, ScopedAdmin
from countonme.text import fold
from products.models import Portion, Product


class NamedAdmin(ScopedAdmin):
    """Search by a part of the folded name: case and accents do not matter."""

    search_fields = ["name"]

    def found(self, term: str) -> Q:
        """Return what a search finds."""
        return Q(name_folded__contains=fold(term))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.found(term)) if term else queryset), False


@admin.register(Product)
class ProductAdmin(NamedAdmin):
    list_display = ["name", "state", "kcal_100g", "barcode", "owner", "created_at"]
    search_help_text = "A part of the name, or a barcode"

    def found(self, term: str) -> Q:
        barcode = Q(gtin_14=term.zfill(14)) if term.isdecimal() and len(term) <= 14 else Q()
        return super().found(term) | barcode if barcode else super().found(term)


@admin.register(Portion)
class PortionAdmin(NamedAdmin):
    list_display = ["name", "state", "grams", "is_default", "product", "owner", "created_at"]
    list_filter = [DeletedFilter, "is_default", "created_at", DeviceFilter]
    list_select_related = ["device", "product"]
    own_readonly = ("product",)
