from __future__ import annotations

from django.urls import path

from catalog.views import (
    CatalogFoodsView,
    CatalogFoodView,
    CopyView,
    FoodsView,
    ReportView,
    SourcesView,
)

urlpatterns = [
    path("v1/catalog/foods", CatalogFoodsView.as_view()),
    path("v1/catalog/foods/<str:id>", CatalogFoodView.as_view()),
    path("v1/catalog/foods/<str:id>/copy", CopyView.as_view({"post": "create"})),
    path("v1/catalog/foods/<str:id>/reports", ReportView.as_view()),
    path("v1/catalog/sources", SourcesView.as_view()),
    path("v1/foods", FoodsView.as_view()),
]
