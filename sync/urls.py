from __future__ import annotations

from django.urls import path

from sync.views import SyncView

urlpatterns = [path("v1/sync", SyncView.as_view())]
