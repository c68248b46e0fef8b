from __future__ import annotations

from typing import Any

from django.urls import path

from countonme.api.urls import collection, resource
from products.views import PortionViewSet, ProductPortionViewSet, ProductViewSet, RecipeView

recipe: dict[str, Any] = {"get": "retrieve", "put": "update", "delete": "destroy"}

urlpatterns = [
    path("v1/products", ProductViewSet.as_view(collection)),
    path("v1/products/<str:id>", ProductViewSet.as_view(resource)),
    path("v1/products/<str:id>/portions", ProductPortionViewSet.as_view(collection)),
    path("v1/products/<str:id>/recipe", RecipeView.as_view(recipe)),
    path("v1/portions/<str:id>", PortionViewSet.as_view(resource)),
]
