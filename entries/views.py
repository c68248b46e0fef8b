"""`/v1/food-entries` and `/v1/stats`."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django.conf import settings
from django.http import Http404, HttpResponse
from rest_framework.request import Request
from rest_framework.viewsets import ViewSetMixin

from countonme.api.fields import parse_day
from countonme.api.json import JSONAnswer
from countonme.api.query import fetch_page
from countonme.api.views import DeviceView, DeviceViewSet
from entries import statistics, suggestions
from entries.models import FoodEntry
from entries.serializers import (
    CopyEntriesSerializer,
    DailyQuery,
    DailySerializer,
    DaySerializer,
    FoodEntryQuery,
    FoodEntrySerializer,
    LoggedProductsQuery,
    RestatedSerializer,
    RestateSerializer,
)
from products.models import Product
from products.serializers import ProductSerializer

DAY_IS_FULL = f"A day has at most {settings.MAX_ENTRIES_PER_DAY} food entries"


UPDATE = (
    "What it holds is worked out again only where the product, the portion or the amount is new."
)


class FoodEntryViewSet(DeviceViewSet):
    """The diary. An entry's kcal and nutrients are calculated when it is written, and then stay."""

    descriptions = dict.fromkeys(("update", "partial_update"), UPDATE)
    model = FoodEntry
    serializer_class = FoodEntrySerializer
    list_query_class = FoodEntryQuery
    plain_filters = {
        "date": "date",
        "from": "date__gte",
        "to": "date__lte",
        "meal_type": "meal_type",
        "product_id": "product_id",
    }
    answers = {
        "create": {
            404: ["Product not found", "Portion not found"],
            409: ["ID already in use", DAY_IS_FULL],
        },
        "update": {
            404: ["Product not found", "Portion not found"],
            409: [DAY_IS_FULL],
        },
        "partial_update": {
            404: ["Product not found", "Portion not found"],
            409: [DAY_IS_FULL],
        },
    }


class CopyView(ViewSetMixin, DeviceView):
    """Log a day, a meal or some entries again on another day, as they are written.

    Copies that `copy_id` made before are answered again, as far as they are still there.
    """

    summaries = {"create": "Copy food entries"}
    serializer_class = CopyEntriesSerializer
    create_response_class = cast("Any", FoodEntrySerializer(many=True))
    answers = {"create": {404: ["Food entry not found"], 409: [DAY_IS_FULL]}}

    def create(self, request: Request) -> HttpResponse:
        copy = FoodEntry.objects.for_device(self.device).copy
        entries, created = self.write(partial(copy, **self.read_body()))
        answer = [FoodEntrySerializer.represent(entry) for entry in entries]
        return JSONAnswer(answer, 201 if created else 200)


class RestateView(DeviceView):
    """Work out entries of a product again, from the product as it is now.

    Otherwise they keep what they were written with, when a product is corrected. Their grams stay.
    """

    summaries = {"post": "Restate food entries"}
    serializer_class = RestateSerializer
    response_class = RestatedSerializer
    answers = {"post": {404: ["Product not found"]}}

    def post(self, request: Request) -> HttpResponse:
        return JSONAnswer({"restated": self.write(self.restate, self.read_body())})

    def restate(self, values: dict[str, Any]) -> int:
        product = Product.fetch(self.device.pk, values["product_id"])
        entries = FoodEntry.objects.for_device(self.device)
        days = (values["from"], values["to"])
        return int(entries.filter(date__range=days).restate(product))


class LoggedProductsView(DeviceView):
    """Products that were logged, those first that are likely to be logged again."""

    summaries = {"get": "List logged products"}
    response_class = cast("Any", ProductSerializer(many=True))
    get_query_class = LoggedProductsQuery

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        order, meal_type = query["order"], query.get("meal_type")
        products, headers = fetch_page(
            lambda *page: suggestions.logged_products(self.device, order, meal_type, page),
            request,
            query,
        )
        return JSONAnswer(products, headers=headers)


class DayView(DeviceView):
    """A day's totals."""

    summaries = {"get": "Get a day's totals"}
    serializer_class = DaySerializer

    def get(self, request: Request, date: str) -> HttpResponse:
        try:
            day = parse_day(date)
        except ValueError as error:
            raise Http404 from error
        return JSONAnswer(statistics.day(self.device, day))


class DailyView(DeviceView):
    """The totals of every day of a range, and the average of the days with an entry."""

    summaries = {"get": "Get daily totals"}
    serializer_class = DailySerializer
    get_query_class = DailyQuery

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        return JSONAnswer(statistics.daily(self.device, query["from"], query["to"]))
