"""`/v1/goals`, `/v1/body-weights`, `/v1/water-entries` and the parts of `/v1/stats` about them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiResponse
from rest_framework.request import Request

from countonme.api.fields import StrictModelSerializer
from countonme.api.json import JSONAnswer
from countonme.api.views import ApiView, DeviceView, DeviceViewSet
from countonme.scope.models import DeviceScoped
from entries.serializers import RangeQuery
from goals import statistics
from goals.models import (
    BodyWeight,
    Goal,
    WaterEntry,
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

ONE_WEIGHT = {409: ["This day has a body weight already"]}
FULL_DAY = {409: ["A day has at most 100 water entries"]}
ID_IN_USE = {409: ["ID already in use"]}


class CalculateView(ApiView):
    """Calculate a goal from body metrics. Nothing is stored."""

    summaries = {"post": "Calculate a goal"}
    serializer_class = MetricsSerializer
    response_class = CalculationSerializer

    def post(self, request: Request) -> HttpResponse:
        goal = Goal(**Goal.calculated(self.read_body()))
        goal.clean()
        return JSONAnswer(CalculationSerializer.represent(goal))


class GoalViewSet(DeviceViewSet):
    """Daily targets. A device has one goal; a new goal replaces it."""

    summaries = {"current": "Get the current goal"}
    model = Goal
    serializer_class: ClassVar[type[StrictModelSerializer]] = ManualGoalSerializer
    response_class = GoalSerializer
    # Written by hand: drf-spectacular can't describe an answer that may be null.
    current_response_class: ClassVar[Any] = OpenApiResponse(
        {"oneOf": [{"$ref": "#/components/schemas/Goal"}, {"type": "null"}]},
        examples=[
            OpenApiExample("Calculated", value=CALCULATED),
            OpenApiExample("None", value=None),
        ],
    )

    def to_representation(self, row: Any) -> dict[str, Any]:
        return GoalSerializer.represent(row)

    def current(self, request: Request) -> HttpResponse:
        """The current goal, or null if there is none."""
        goal = self.get_queryset().first()
        return JSONAnswer(None if goal is None else self.to_representation(goal))


class CalculatedGoalViewSet(GoalViewSet):
    """A goal calculated from body metrics."""

    summaries = {"create": "Create a calculated goal"}
    serializer_class = CalculatedGoalSerializer
    answers = {"create": ID_IN_USE}

    def perform_create(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        return Goal.add(self.device.pk, id=values.get("id"), **Goal.calculated(values))


class ManualGoalViewSet(GoalViewSet):
    """A goal set by hand."""

    summaries = {"create": "Create a manual goal"}
    answers = {"create": ID_IN_USE}

    def perform_create(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        return Goal.add(self.device.pk, id=values.get("id"), **Goal.manual(values))


class ProgressView(DeviceView):
    """What was eaten and drunk on a day, and what is left of the current goal."""

    summaries = {"get": "Get progress"}
    serializer_class = ProgressSerializer
    get_query_class = DateQuery

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        progress = statistics.progress(self.device, query["date"])
        goal = progress["goal"]
        return JSONAnswer(progress | {"goal": goal and GoalSerializer.represent(goal)})


class BodyWeightViewSet(DeviceViewSet):
    """Weighings, one a day."""

    model = BodyWeight
    serializer_class = BodyWeightSerializer
    list_query_class = BodyWeightQuery
    plain_filters = {"from": "date__gte", "to": "date__lte"}
    answers = {
        "create": {409: [*ID_IN_USE[409], *ONE_WEIGHT[409]]},
        "update": ONE_WEIGHT,
        "partial_update": ONE_WEIGHT,
    }


class WaterEntryViewSet(DeviceViewSet):
    """Water drunk."""

    model = WaterEntry
    serializer_class = WaterEntrySerializer
    list_query_class = WaterEntryQuery
    plain_filters = {"date": "date", "from": "date__gte", "to": "date__lte"}
    answers = {
        "create": {409: [*ID_IN_USE[409], *FULL_DAY[409]]},
        "update": FULL_DAY,
        "partial_update": FULL_DAY,
    }


class WeightView(DeviceView):
    """Weighings and their trend."""

    summaries = {"get": "Get the weight trend"}
    serializer_class = WeightSerializer
    get_query_class = WeightQuery

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        return JSONAnswer(statistics.weight(self.device, query["from"], query["to"]))


class ExpenditureView(DeviceView):
    """Energy expenditure in kcal a day, estimated from what was eaten and how weight changed."""

    summaries = {"get": "Get the expenditure"}
    serializer_class = ExpenditureSerializer
    get_query_class = RangeQuery

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        return JSONAnswer(statistics.expenditure(self.device, query["from"], query["to"]))


class StreakView(DeviceView):
    """Days logged in a row, as of a day. That day may still be without an entry."""

    summaries = {"get": "Get the streak"}
    serializer_class = StreakSerializer
    get_query_class = DateQuery

    def get(self, request: Request) -> HttpResponse:
        query = self.get_query_class.of(request)
        return JSONAnswer(statistics.streak(self.device, query["date"]))
