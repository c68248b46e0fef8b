"""`/v1/catalog` and `/v1/foods`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.viewsets import ViewSetMixin

from catalog import search
from catalog.models import Food, Report, Source
from catalog.serializers import (
    CatalogQuery,
    CopiedSerializer,
    CopySerializer,
    FoodSerializer,
    FoodsQuery,
    FoundSerializer,
    ReportedSerializer,
    ReportSerializer,
    SourceSerializer,
)
from catalog.throttling import ReportThrottle, SearchThrottle
from countonme.api.fields import parse_id
from countonme.api.json import JSONAnswer
from countonme.api.query import fetch_page
from countonme.api.views import DeviceView
from countonme.scope.exceptions import Missing
from countonme.scope.prepared import Prepared
from devices.throttling import DeviceThrottle
from products import gtin
from products.models import Product
from products.serializers import ProductSerializer


@cache
def _by_ids() -> Prepared:
    return Prepared(
        lambda ids: Food.objects.filter(pk__any_of=ids, is_live=True).values_list(
            "pk", *FoodSerializer.expressions()
        ),
        "ids",
    )


def represent(ids: Iterable[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return live foods as they are answered, by their ids."""
    columns = FoodSerializer.columns()
    rows = _by_ids().rows(ids=list(ids))
    return {key: dict(zip(columns, row, strict=True)) for key, *row in rows}


class CatalogView(DeviceView):
    """A call on what every device sees. Its ETag changes with the catalog alone."""

    def state(self) -> tuple[Any, ...]:
        return (Source.revision_of_all(),)


class CatalogFoodsView(CatalogView):
    """Foods of the catalog that a search or a barcode finds, the best first."""

    summaries = {"get": "Search the catalog"}
    throttle_classes = (DeviceThrottle, SearchThrottle)
    response_class = cast("Any", FoodSerializer(many=True))
    get_query_class = CatalogQuery
    query_examples = ("search",)

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        if "barcode" in query:
            hits = search.with_barcode(gtin.to_gtin_14(query["barcode"]) or "")
        else:
            hits = search.find(query["search"], query.get("language", "").lower())
        page, headers = fetch_page(lambda count, start: hits[start : start + count], request, query)
        foods = represent(hit.id for hit in page)
        return JSONAnswer([foods[hit.id] for hit in page if hit.id in foods], headers=headers)


class FoodsView(CatalogView):
    """What a search box shows while one types: own products and the catalog's foods in one list."""

    summaries = {"get": "Search foods"}
    throttle_classes = (DeviceThrottle, SearchThrottle)
    response_class = cast("Any", FoundSerializer(many=True))
    get_query_class = FoodsQuery

    def state(self) -> tuple[Any, ...]:
        return (*super().state(), self.device.pk, self.device.revision)

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        language = query.get("language", "").lower()
        found = search.find_with_own(self.device.pk, query["search"], language, query["limit"])
        foods = represent(food for _, food in found if food)
        return JSONAnswer(
            [
                {
                    "product": product and ProductSerializer.represent(product),
                    "food": foods.get(food) if food else None,
                }
                for product, food in found
                if product or food in foods
            ]
        )


class CatalogFoodView(CatalogView):
    """One food of the catalog, also one that its source withdrew."""

    summaries = {"get": "Get a catalog food"}
    serializer_class = FoodSerializer
    path_model = Food

    def get(self, request: Request, id: str) -> HttpResponse:
        return JSONAnswer(FoodSerializer.represent(fetch(id)))


class CopyView(ViewSetMixin, DeviceView):
    """Copy a food into the device's products, with its portions.

    Once more, it answers the product that was copied before, as long as that is live.
    """

    summaries = {"create": "Copy a catalog food"}
    serializer_class = CopySerializer
    create_response_class = CopiedSerializer
    body_is_optional = True
    path_model = Food
    answers = {
        "create": {
            409: [
                "ID already in use",
                f"A device has at most {settings.MAX_PRODUCTS_PER_DEVICE} products",
            ]
        }
    }

    def create(self, request: Request, id: str) -> HttpResponse:
        product, created = self.write(self.copy, id, self.read_body())
        return JSONAnswer(ProductSerializer.represent(product), 201 if created else 200)

    def copy(self, id: str, values: dict[str, Any]) -> tuple[Product, bool]:
        return fetch(id).copy_to(self.device.pk, values.get("id"))


class ReportView(DeviceView):
    """Say what is wrong with a food. The report does not tell who sent it."""

    summaries = {"post": "Report a catalog food"}
    throttle_classes = (DeviceThrottle, ReportThrottle)
    serializer_class = ReportSerializer
    response_class = ReportedSerializer
    success_status = 201
    path_model = Food

    def post(self, request: Request, id: str) -> HttpResponse:
        report = self.write(self.report, id, self.read_body())
        return JSONAnswer({"id": report.pk}, 201)

    def report(self, id: str, values: dict[str, Any]) -> Report:
        report: Report = Report.objects.create(food=fetch(id), **values)
        return report


class SourcesView(CatalogView):
    """Whom to name for the catalog's foods, as their licences ask."""

    summaries = {"get": "List catalog sources"}
    response_class = cast("Any", SourceSerializer(many=True))

    def get(self, request: Request) -> HttpResponse:
        rows = Source.objects.order_by("source").values(*SourceSerializer.Meta.fields)
        return JSONAnswer(list(rows))


def fetch(id: str) -> Food:
    """Return the food with the id in a path.

    Raises:
        Missing: the id is malformed, or there is no such food.
    """
    parsed = parse_id(id)
    if parsed is None:
        raise Missing(Food)
    return Food.fetch(parsed)
