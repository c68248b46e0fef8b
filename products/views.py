"""`/v1/products` and `/v1/portions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from countonme.api.views import DeviceViewSet
from countonme.models import DeviceScoped
from products.models import Portion, PortionQuerySet, Product, ProductQuerySet
from products.serializers import (
    IncludeQuery,
    PortionSerializer,
    ProductQuery,
    ProductSerializer,
    ProductWithPortionsSerializer,
)


class ProductViewSet(DeviceViewSet):
    """Foods of the device. A product comes with a first portion of 100 g."""

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
        }
    }

    @property
    def includes_portions(self) -> bool:
        """Whether the answer to a GET has each product's portions."""
        asked = self.request.query_params.get("include") == "portions"
        return asked and self.request.method in ("GET", "HEAD")

    @property
    def rows(self) -> ProductQuerySet:
        rows = cast("ProductQuerySet", super().rows)
        return rows.with_portions() if self.includes_portions else rows

    def representation(self, row: Any, **kwargs: Any) -> Any:
        if self.includes_portions:
            return ProductWithPortionsSerializer(row, **kwargs).data
        return super().representation(row, **kwargs)

    def filtered(self, query: Mapping[str, Any]) -> ProductQuerySet:
        rows = self.rows.in_order()
        if query.get("search"):
            rows = rows.search(query["search"])
        if "barcode" in query:
            rows = rows.with_barcode(query["barcode"])
        return rows

    def retrieve(self, request: Request, id: str) -> Response:
        self.retrieve_query_class.read(request)
        return super().retrieve(request, id)


class PortionViewSet(DeviceViewSet):
    """Measures of a product. One portion of each product is its default, always."""

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

    path_model = Product

    @property
    def product_id(self) -> UUID:
        return self.read_id(self.kwargs["id"], Product)

    @property
    def product(self) -> Product:
        """The product that the path names.

        Raises:
            Missing: the device has no such live product.
        """
        return Product.objects.for_device(self.device).fetch(self.product_id)

    def filtered(self, query: Mapping[str, Any]) -> PortionQuerySet:
        portions = cast("PortionQuerySet", self.rows)
        return portions.filter(product=self.product_id).in_order()

    def list(self, request: Request, **path: str) -> Response:
        response = super().list(request)
        if not response.data:
            # A live product has a portion: this page lies past the end, or there is no product.
            _ = self.product
        return response

    def add(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        return self.rows.add(product=self.product, **values)
