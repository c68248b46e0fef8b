from __future__ import annotations

from django.urls import path

from countonme.api.urls import collection, resource
from goals.views import (
    BodyWeightViewSet,
    CalculatedGoalViewSet,
    CalculateView,
    ExpenditureView,
    GoalViewSet,
    ManualGoalViewSet,
    ProgressView,
    StreakView,
    WaterEntryViewSet,
    WeightView,
)

urlpatterns = [
    path("goals/calculate", CalculateView.as_view()),
    path("goals/calculated", CalculatedGoalViewSet.as_view({"post": "create"})),
    path("goals/manual", ManualGoalViewSet.as_view({"post": "create"})),
    path("goals/current", GoalViewSet.as_view({"get": "current"})),
    path("goals/progress", ProgressView.as_view()),
    path("goals/<str:id>", GoalViewSet.as_view(resource)),
    path("body-weights", BodyWeightViewSet.as_view(collection)),
    path("body-weights/<str:id>", BodyWeightViewSet.as_view(resource)),
    path("water-entries", WaterEntryViewSet.as_view(collection)),
    path("water-entries/<str:id>", WaterEntryViewSet.as_view(resource)),
    path("stats/weight", WeightView.as_view()),
    path("stats/expenditure", ExpenditureView.as_view()),
    path("stats/streak", StreakView.as_view()),
]
