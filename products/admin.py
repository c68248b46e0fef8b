"""Products and portions for operators."""

from __future__ import annotations

from django.contrib import admin

from countonme.admin import ScopedAdmin
from products.models import Portion, Product


@admin.register(Product)
class ProductAdmin(ScopedAdmin):
    list_display = ["name", "kcal_100g", "barcode", "device", "created_at", "deleted_at"]
    search_fields = ["name", "barcode"]


@admin.register(Portion)
class PortionAdmin(ScopedAdmin):
    list_display = ["name", "grams", "is_default", "product", "device", "created_at", "deleted_at"]
    list_select_related = ["device", "product"]
    search_fields = ["name"]
    own_readonly = ("product",)
