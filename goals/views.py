"""`/v1/goals`, `/v1/body-weights`, `/v1/water-entries` and what `/v1/stats` says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from countonme.api.views import ApiView, DeviceView, DeviceViewSet
from countonme.models import DeviceScoped
from entries.serializers import RangeQuery
from goals import statistics
from goals.models import (
    BodyWeight,
    BodyWeightQuerySet,
    Goal,
    WaterEntry,
    WaterEntryQuerySet,
)
from goals.serializers import (
    CALCULATED,
    BodyWeightQuery,
    BodyWeightSerializer,
    CalculatedGoalSerializer,
    CalculationSerializer,
    DateQuery,
    ExpenditureSerializer,
    GoalSerializer,
    ManualGoalSerializer,
    MetricsSerializer,
    ProgressSerializer,
    StreakSerializer,
    WaterEntryQuery,
    WaterEntrySerializer,
    WeightQuery,
    WeightSerializer,
)

Serializer = type[serializers.BaseSerializer[Any]] | None

ONE_WEIGHT = {409: ["This day has a body weight already"]}
FULL_DAY = {409: ["A day has at most 100 water entries"]}
ID_IN_USE = {409: ["ID already in use"]}


class CalculateView(ApiView):
    """What follows from a body's metrics. Nothing is stored."""

    serializer_class = MetricsSerializer
    response_class = CalculationSerializer

    def post(self, request: Request) -> Response:
        goal = Goal(**Goal.calculated(self.read_body()))
        goal.clean()
        return Response(CalculationSerializer(goal).data)


class GoalViewSet(DeviceViewSet):
    """What to eat and drink a day. A device has one goal; a new one takes its place."""

    model = Goal
    serializer_class: ClassVar[Serializer] = ManualGoalSerializer
    response_class = GoalSerializer
    # Of one schema: the document's own tool knows no answer that may be null.
    current_response_class: ClassVar[Any] = OpenApiResponse(
        {"oneOf": [{"$ref": "#/components/schemas/Goal"}, {"type": "null"}]},
        examples=[
            OpenApiExample("Calculated", value=CALCULATED),
            OpenApiExample("None", value=None),
        ],
    )

    def representation(self, row: Any, **kwargs: Any) -> Any:
        return GoalSerializer(row, **kwargs).data

    def current(self, request: Request) -> Response:
        """The goal, or null where there is none."""
        goal = self.rows.first()
        return Response(None if goal is None else self.representation(goal))


class CalculatedGoalViewSet(GoalViewSet):
    """A goal calculated from a body's metrics."""

    serializer_class = CalculatedGoalSerializer
    answers = {"create": ID_IN_USE}

    def add(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        return self.rows.add(id=values.get("id"), **Goal.calculated(values))


class ManualGoalViewSet(GoalViewSet):
    """A goal set by hand."""

    answers = {"create": ID_IN_USE}

    def add(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        return self.rows.add(id=values.get("id"), **Goal.manual(values))


class ProgressView(DeviceView):
    """What was eaten and drunk on a day, and what is left of the current goal."""

    serializer_class = ProgressSerializer
    get_query_class = DateQuery

    def get(self, request: Request) -> Response:
        query = self.get_query_class.read(request)
        return Response(ProgressSerializer(statistics.progress(self.device, query["date"])).data)


class BodyWeightViewSet(DeviceViewSet):
    """Weighings, one a day."""

    model = BodyWeight
    serializer_class = BodyWeightSerializer
    list_query_class = BodyWeightQuery
    answers = {
        "create": {409: [*ID_IN_USE[409], *ONE_WEIGHT[409]]},
        "update": ONE_WEIGHT,
        "partial_update": ONE_WEIGHT,
    }

    def filtered(self, query: Mapping[str, Any]) -> BodyWeightQuerySet:
        lookups = {"from": "date__gte", "to": "date__lte"}
        asked = {lookup: query[name] for name, lookup in lookups.items() if name in query}
        return cast("BodyWeightQuerySet", self.rows.filter(**asked)).in_order()


class WaterEntryViewSet(DeviceViewSet):
    """Water drunk."""

    model = WaterEntry
    serializer_class = WaterEntrySerializer
    list_query_class = WaterEntryQuery
    answers = {
        "create": {409: [*ID_IN_USE[409], *FULL_DAY[409]]},
        "update": FULL_DAY,
        "partial_update": FULL_DAY,
    }

    def filtered(self, query: Mapping[str, Any]) -> WaterEntryQuerySet:
        lookups = {"date": "date", "from": "date__gte", "to": "date__lte"}
        asked = {lookup: query[name] for name, lookup in lookups.items() if name in query}
        return cast("WaterEntryQuerySet", self.rows.filter(**asked)).in_order()


class WeightView(DeviceView):
    """Weighings and their trend."""

    serializer_class = WeightSerializer
    get_query_class = WeightQuery

    def get(self, request: Request) -> Response:
        query = self.get_query_class.read(request)
        # Straight to JSON: thousands of points would take longer through a serializer than to find.
        return Response(statistics.weight(self.device, query["from"], query["to"]))


class ExpenditureView(DeviceView):
    """What the body burns, from what was eaten and how weight moved."""

    serializer_class = ExpenditureSerializer
    get_query_class = RangeQuery

    def get(self, request: Request) -> Response:
        query = self.get_query_class.read(request)
        found = statistics.expenditure(self.device, query["from"], query["to"])
        return Response(ExpenditureSerializer(found).data)


class StreakView(DeviceView):
    """Days logged in a row, as of a day. Until it is over, a day not yet logged breaks nothing."""

    serializer_class = StreakSerializer
    get_query_class = DateQuery

    def get(self, request: Request) -> Response:
        query = self.get_query_class.read(request)
        return Response(StreakSerializer(statistics.streak(self.device, query["date"])).data)
