from __future__ import annotations

from django.urls import path

from countonme.api.urls import collection, resource
from entries.views import DailyView, DayView, FoodEntryViewSet

urlpatterns = [
    path("food-entries", FoodEntryViewSet.as_view(collection)),
    path("food-entries/<str:id>", FoodEntryViewSet.as_view(resource)),
    path("stats/day/<str:date>", DayView.as_view()),
    path("stats/daily", DailyView.as_view()),
]
