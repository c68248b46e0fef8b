"""`/v1/products` and `/v1/portions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db.models import prefetch_related_objects
from django.http import HttpResponse
from rest_framework.request import Request

from countonme.api.json import JSONAnswer
from countonme.api.views import DeviceViewSet
from countonme.scope.models import DeviceScoped
from products.models import UNIT_IS_KEPT, Portion, Product, ProductQuerySet
from products.serializers import (
    IncludeQuery,
    PortionSerializer,
    ProductQuery,
    ProductSerializer,
    ProductWithPortionsSerializer,
)

TAKES_DEFAULT = "`is_default: true` takes the default from the other portion."


class ProductViewSet(DeviceViewSet):
    """The device's foods. A new product gets a first portion of 100 g, or 100 ml of a drink."""

    descriptions = {
        "destroy": "Its portions are deleted with it. Food entries stay as they were written.",
    }
    model = Product
    serializer_class = ProductSerializer
    list_query_class = ProductQuery
    retrieve_query_class = IncludeQuery
    list_response_class = retrieve_response_class = ProductWithPortionsSerializer
    answers = {
        "create": {
            409: [
                "ID already in use",
                f"A device has at most {settings.MAX_PRODUCTS_PER_DEVICE} products",
            ]
        },
        "update": {409: [UNIT_IS_KEPT]},
        "partial_update": {409: [UNIT_IS_KEPT]},
    }

    @property
    def includes_portions(self) -> bool:
        """Whether this is a GET whose answer includes each product's portions."""
        asked = self.request.query_params.get("include") == "portions"
        return asked and self.request.method in ("GET", "HEAD")

    def get_queryset(self) -> ProductQuerySet:
        products = cast("ProductQuerySet", super().get_queryset())
        return products.with_portions() if self.includes_portions else products

    def to_representation(self, row: Any) -> dict[str, Any]:
        if not self.includes_portions:
            return super().to_representation(row)
        portions = [PortionSerializer.represent(portion) for portion in row.portions.all()]
        return super().to_representation(row) | {"portions": portions}

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
        if self.includes_portions:
            prefetch_related_objects([product], Portion.prefetch(self.device.pk))
        return product

    def retrieve(self, request: Request, id: str) -> HttpResponse:
        self.retrieve_query_class.of(request)
        return super().retrieve(request, id)


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
