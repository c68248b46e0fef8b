"""`/v1/products` and `/v1/portions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

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
    query_class = ProductQuery
    serializer_class = ProductSerializer

    def included(self, rows: ProductQuerySet, query: Mapping[str, Any]) -> ProductQuerySet:
        """Fetch what `include` names, and have it in the wire format."""
        if query.get("include") == "portions":
            self.serializer_class = ProductWithPortionsSerializer  # type: ignore[misc]  # this one
            rows = rows.with_portions()
        return rows

    def filtered(self, query: Mapping[str, Any]) -> ProductQuerySet:
        rows: ProductQuerySet = self.rows.in_order()
        if query.get("search"):
            rows = rows.search(query["search"])
        if "barcode" in query:
            rows = rows.with_barcode(query["barcode"])
        return self.included(rows, query)

    def retrieve(self, request: Request, id: str) -> Response:
        rows = self.included(self.rows, IncludeQuery.read(request))
        return Response(self.representation(rows.fetch(self.read_id(id))))


class PortionViewSet(DeviceViewSet):
    """Measures of a product. One portion of each product is its default, always."""

    model = Portion
    serializer_class = PortionSerializer


class ProductPortionViewSet(PortionViewSet):
    """The portions of one product."""

    @property
    def product_id(self) -> UUID:
        return self.read_id(self.kwargs["id"], Product)

    @property
    def product(self) -> Product:
        """The product that the path names.

        Raises:
            Missing: the device has no such live product.
        """
        return Product.objects.for_device(self.request.user).fetch(self.product_id)

    def filtered(self, query: Mapping[str, Any]) -> PortionQuerySet:
        return self.rows.filter(product=self.product_id).in_order()

    def list(self, request: Request, **path: str) -> Response:
        response = super().list(request)
        if not response.data:
            # A live product has a portion: this page lies past the end, or there is no product.
            _ = self.product
        return response

    def add(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        return self.rows.add(product=self.product, **values)
