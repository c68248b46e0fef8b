"""`/v1/products` and `/v1/portions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.models import Prefetch, prefetch_related_objects
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.viewsets import ViewSetMixin

from countonme.api.fields import parse_id
from countonme.api.json import JSONAnswer
from countonme.api.views import DeviceView, DeviceViewSet
from countonme.scope.exceptions import ID_IN_USE, Missing
from countonme.scope.models import DeviceScoped
from products.models import (
    IS_INGREDIENT,
    NO_RECIPE,
    UNIT_IS_KEPT,
    Portion,
    Product,
    ProductQuerySet,
    RecipeItem,
    items_of,
    make_recipe,
    unmake_recipe,
)
from products.serializers import (
    DISH,
    IncludeQuery,
    PortionSerializer,
    ProductQuery,
    ProductSerializer,
    ProductWithMoreSerializer,
    RecipeItemSerializer,
    RecipeSerializer,
)

TAKES_DEFAULT = "`is_default: true` takes the default from the other portion."
# An example: the sentence names the recipe that a change of an ingredient would break.
TOO_MUCH = 'The recipe "Fried rice" would have more than 1000 kcal in 100 g'


class ProductViewSet(DeviceViewSet):
    """The device's foods. A new product gets a first portion of 100 g, or 100 ml of a drink."""

    descriptions = {
        "destroy": "Its portions are deleted with it. Food entries stay as they were written.",
    }
    model = Product
    serializer_class = ProductSerializer
    list_query_class = ProductQuery
    retrieve_query_class = IncludeQuery
    list_response_class = retrieve_response_class = ProductWithMoreSerializer
    answers = {
        "create": {
            409: [
                "ID already in use",
                f"A device has at most {settings.MAX_PRODUCTS_PER_DEVICE} products",
            ]
        },
        "update": {409: [UNIT_IS_KEPT, TOO_MUCH]},
        "partial_update": {409: [UNIT_IS_KEPT, TOO_MUCH]},
    }

    @property
    def included(self) -> frozenset[str]:
        """What the answer of this GET includes of each product."""
        if self.request.method not in ("GET", "HEAD"):
            return frozenset()
        found: frozenset[str] = IncludeQuery.of(self.request).get("include", frozenset())
        return found

    def prefetches(self) -> list[Prefetch[str]]:
        """Return what is read of all products at once, each with one query."""
        of_name = {"portions": Portion.prefetch, "recipe": RecipeItem.prefetch}
        return [of_name[name](self.device.pk) for name in sorted(self.included)]

    def get_queryset(self) -> ProductQuerySet:
        products = cast("ProductQuerySet", super().get_queryset())
        return products.prefetch_related(*self.prefetches())

    def to_representation(self, row: Any) -> dict[str, Any]:
        shown = super().to_representation(row)
        included = self.included
        if "portions" in included:
            shown["portions"] = [PortionSerializer.represent(each) for each in row.portions.all()]
        if "recipe" in included:
            items = row.items.all() if row.servings is not None else []
            shown["recipe"] = [RecipeItemSerializer.represent(item) for item in items] or None
        return shown

    @classmethod
    def filter_queryset(cls, queryset: Any, query: Mapping[str, Any]) -> ProductQuerySet:
        found: ProductQuerySet = queryset.in_order()
        if query.get("search"):
            found = found.search(query["search"])
        if "barcode" in query:
            found = found.with_barcode(query["barcode"])
        return found

    def get_object(self, id: str) -> Product:
        product: Product = super().get_object(id)
        prefetch_related_objects([product], *self.prefetches())
        return product

    def retrieve(self, request: Request, id: str) -> HttpResponse:
        self.retrieve_query_class.of(request)
        return super().retrieve(request, id)


class RecipeView(ViewSetMixin, DeviceView):
    """What is in a product, and from which its values follow. With an item it is a recipe.

    A change of an ingredient is worked into the recipes that it is in. Recipes don't nest.
    """

    summaries = {
        "retrieve": "Get a recipe",
        "update": "Put a recipe",
        "destroy": "Delete a recipe",
    }
    descriptions = {
        "update": "The body is the whole recipe: what it leaves out is gone.",
        "destroy": "The product gets the values back that it had before. Its portions stay.",
    }

    serializer_class = RecipeSerializer
    path_model = Product
    path_example = str(DISH["id"])
    methods_with_body = ("PUT",)
    put_is_whole = True
    answers = {
        "retrieve": {404: [NO_RECIPE]},
        "update": {404: ["Portion not found"], 409: [IS_INGREDIENT, ID_IN_USE]},
        "destroy": {404: [NO_RECIPE]},
    }

    def retrieve(self, request: Request, id: str) -> HttpResponse:
        product = self.get_object(id)
        return self.answer(product, items_of(product))

    def update(self, request: Request, id: str) -> HttpResponse:
        return self.answer(*self.write(self.perform_update, id, self.read_body()))

    def destroy(self, request: Request, id: str) -> HttpResponse:
        self.write(lambda: unmake_recipe(self.get_object(id)))
        return HttpResponse(status=204)

    def get_object(self, id: str) -> Product:
        """Return the product that the path names.

        Raises:
            Missing: the device has no such live product.
        """
        parsed = parse_id(id)
        if parsed is None:
            raise Missing(Product)
        return Product.fetch(self.device.pk, parsed)

    def perform_update(self, id: str, values: dict[str, Any]) -> tuple[Product, list[RecipeItem]]:
        product = self.get_object(id)
        return product, make_recipe(product, **values)

    @staticmethod
    def answer(product: Product, items: list[RecipeItem]) -> HttpResponse:
        shown = [RecipeItemSerializer.represent(item) for item in items]
        whole = {"servings": product.servings, "cooked_grams": product.cooked_grams}
        return JSONAnswer(whole | {"items": shown})


class PortionViewSet(DeviceViewSet):
    """Measures of a product. Each product always has exactly one default portion."""

    descriptions = {
        "update": TAKES_DEFAULT,
        "partial_update": TAKES_DEFAULT,
        "destroy": "After the default portion, the oldest other one is the default. The last one "
        "can't be deleted. Food entries stay as they were written.",
    }
    model = Portion
    serializer_class = PortionSerializer
    answers = {
        "create": {
            409: [
                "ID already in use",
                f"A product has at most {settings.MAX_PORTIONS_PER_PRODUCT} portions",
            ]
        },
        "update": {409: ["Make another portion the default instead"]},
        "partial_update": {409: ["Make another portion the default instead"]},
        "destroy": {409: ["A product keeps at least one portion"]},
    }


class ProductPortionViewSet(PortionViewSet):
    """The portions of one product."""

    summaries = {"list": "List portions of a product", "create": "Add a portion to a product"}
    path_model = Product
    plain_filters = {"product_id": "product_id"}

    @property
    def product_id(self) -> UUID:
        return self.read_id(self.kwargs["id"], Product)

    @property
    def product(self) -> Product:
        """The product that the path names.

        Raises:
            Missing: the device has no such live product.
        """
        return Product.fetch(self.device.pk, self.product_id)

    def list(self, request: Request, **path: str) -> HttpResponse:
        query = {**self.list_query_class.of(request), "product_id": self.product_id}
        page, headers = self.paginate(request, query)
        if not page:
            # A live product has a portion: this page is past the end, or there is no such product.
            _ = self.product
        return JSONAnswer(page, headers=headers)

    def perform_create(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        return Portion.add(self.device.pk, product=self.product, **values)
