"""The operators' pages about products and portions."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from unfold.decorators import action, display

from countonme.api.text import clean, fold
from countonme.operators.base import DeletedFilter, DeviceFilter, ScopedAdmin, sentence
from countonme.operators.names import change_url
from products import gtin, moderation
from products.models import SEARCHED, Portion, Product, RecipeItem
from products.names import search_condition
from products.nutrients import COLUMNS_100G


class NamedAdmin(ScopedAdmin):
    """Searches by a part of the folded name: case and accents do not matter."""

    search_fields = ["name"]

    def search_condition(self, term: str) -> Q:
        """Return the condition that a search adds."""
        return Q(name_folded__contains=fold(term))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.search_condition(term)) if term else queryset), False


@admin.register(Product)
class ProductAdmin(NamedAdmin):
    list_display = ["name", "brand", "state", "kcal_100g", "barcode", "owner", "created_at"]
    search_help_text = "A part of the name, the starts of words of name or brand, or a barcode"
    actions_list = ["moderate"]
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

    def search_condition(self, term: str) -> Q:
        gtin_14 = gtin.to_gtin_14(gtin.compact(term))
        has_barcode = Q(gtin_14=gtin_14) if gtin_14 else Q()
        return super().search_condition(term) | search_condition(term, *SEARCHED) | has_barcode

    @action(description="Moderate by name", url_path="moderation", permissions=["soft_delete"])
    def moderate(self, request: HttpRequest) -> HttpResponse:
        """List product names of all devices; a POST soft-deletes a batch of those chosen."""
        pattern = (request.POST if request.method == "POST" else request.GET).get("pattern", "")
        try:
            pattern = clean(pattern)
        except ValidationError as error:
            self.message_user(request, sentence(error), messages.ERROR)
            pattern = ""
        if request.method == "POST":
            chosen = request.POST.getlist("name")
            deleted, left = moderation.soft_delete(chosen, request.user.pk or 0)
            if request.accepts("text/html"):
                self.message_user(request, f"{deleted} soft-deleted, {left} left.")
                return redirect(f"{request.path}?{urlencode({'pattern': pattern})}")
            return JsonResponse({"deleted": deleted, "left": left})
        context = {
            **self.admin_site.each_context(request),
            "title": "Moderate products by name",
            "opts": self.opts,
            "pattern": pattern,
            "names": moderation.names(pattern) if pattern.strip(" *") else [],
            "max_rows": moderation.MAX_ROWS,
        }
        return TemplateResponse(request, "products/moderation.html", context)


@admin.register(Portion)
class PortionAdmin(NamedAdmin):
    list_display = ["name", "state", "grams", "is_default", "product", "owner", "created_at"]
    list_filter = [DeletedFilter, "is_default", "created_at", DeviceFilter]
    list_select_related = ["device", "product"]
    own_readonly = ("product",)


@admin.register(RecipeItem)
class RecipeItemAdmin(ScopedAdmin):
    list_display = ["ingredient", "state", "grams", "product", "owner", "created_at"]
    list_select_related = ["device", "product", "ingredient"]
    own_readonly = ("product", "ingredient", "portion")
