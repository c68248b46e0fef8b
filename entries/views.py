"""`/v1/food-entries` and `/v1/stats`."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpResponse
from rest_framework.request import Request

from countonme.api.fields import parse_day
from countonme.api.json import JSONAnswer
from countonme.api.views import DeviceView, DeviceViewSet
from entries import statistics
from entries.models import FoodEntry
from entries.serializers import (
    DailyQuery,
    DailySerializer,
    DaySerializer,
    FoodEntryQuery,
    FoodEntrySerializer,
)

DAY_IS_FULL = f"A day has at most {settings.MAX_ENTRIES_PER_DAY} food entries"


class FoodEntryViewSet(DeviceViewSet):
    """The diary. An entry's kcal and nutrients are calculated when it is written, and then stay."""

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


class DayView(DeviceView):
    """A day's totals."""

    serializer_class = DaySerializer

    def get(self, request: Request, date: str) -> HttpResponse:
        try:
            day = parse_day(date)
        except ValueError as error:
            raise Http404 from error
        return JSONAnswer(statistics.day(self.device, day))


class DailyView(DeviceView):
    """The totals of every day of a range, and the average of the days with an entry."""

    serializer_class = DailySerializer
    get_query_class = DailyQuery

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        return JSONAnswer(statistics.daily(self.device, query["from"], query["to"]))
