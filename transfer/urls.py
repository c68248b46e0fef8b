from __future__ import annotations

from django.urls import path

from transfer.views import DataView, ExportView, ImportView

urlpatterns = [
    path("v1/export", ExportView.as_view()),
    path("v1/import", ImportView.as_view()),
    path("v1/data", DataView.as_view()),
]
