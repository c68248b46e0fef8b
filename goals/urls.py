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
    path("v1/goals/calculate", CalculateView.as_view()),
    path("v1/goals/calculated", CalculatedGoalViewSet.as_view({"post": "create"})),
    path("v1/goals/manual", ManualGoalViewSet.as_view({"post": "create"})),
    path("v1/goals/current", GoalViewSet.as_view({"get": "current"})),
    path("v1/goals/progress", ProgressView.as_view()),
    path("v1/goals/<str:id>", GoalViewSet.as_view(resource)),
    path("v1/body-weights", BodyWeightViewSet.as_view(collection)),
    path("v1/body-weights/<str:id>", BodyWeightViewSet.as_view(resource)),
    path("v1/water-entries", WaterEntryViewSet.as_view(collection)),
    path("v1/water-entries/<str:id>", WaterEntryViewSet.as_view(resource)),
    path("v1/stats/weight", WeightView.as_view()),
    path("v1/stats/expenditure", ExpenditureView.as_view()),
    path("v1/stats/streak", StreakView.as_view()),
]
