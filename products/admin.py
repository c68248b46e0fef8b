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
from django.utils.html import format_html
from unfold.admin import TabularInline
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


class RecipeItemInline(TabularInline):  # type: ignore[misc]  # unfold comes without types
    """What is in a recipe, to be read; an item's own page changes it."""

    model = RecipeItem
    fk_name = "product"
    fields = readonly_fields = ("shown", "grams", "portion", "quantity", "position")
    ordering = ("position", "id")
    extra = 0
    can_delete = False
    verbose_name_plural = "recipe"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = RecipeItem.objects.across_devices()
        return rows.select_related("ingredient", "portion").order_by(*self.ordering)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="ingredient")
    def shown(self, item: RecipeItem) -> Any:
        return format_html('<a href="{}">{}</a>', change_url(item), item.ingredient)


@admin.register(Product)
class ProductAdmin(NamedAdmin):
    list_display = ["name", "brand", "state", "kcal_100g", "barcode", "owner", "created_at"]
    search_help_text = "A part of the name, the starts of words of name or brand, or a barcode"
    actions_list = ["moderate"]
    own_readonly = ("unit", "servings", "cooked_grams")
    inlines = [RecipeItemInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """Show a recipe's values, which follow from its items, and let nobody change them."""
        follows = COLUMNS_100G if obj is not None and obj.is_recipe else ()
        return (*follows, *super().get_readonly_fields(request, obj))

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
