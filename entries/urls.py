from __future__ import annotations

from django.urls import path

from countonme.api.urls import collection, resource
from entries.views import (
    CopyView,
    DailyView,
    DayView,
    FoodEntryViewSet,
    LoggedProductsView,
    RestateView,
)

urlpatterns = [
    path("v1/food-entries", FoodEntryViewSet.as_view(collection)),
    path("v1/food-entries/copy", CopyView.as_view({"post": "create"})),
    path("v1/food-entries/restate", RestateView.as_view()),
    path("v1/food-entries/products", LoggedProductsView.as_view()),
    path("v1/food-entries/<str:id>", FoodEntryViewSet.as_view(resource)),
    path("v1/stats/day/<str:date>", DayView.as_view()),
    path("v1/stats/daily", DailyView.as_view()),
]
