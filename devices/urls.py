from __future__ import annotations

from django.urls import path

from devices.views import DeviceView, RegisterView, RotateView

urlpatterns = [
    path("auth/register", RegisterView.as_view()),
    path("auth/rotate", RotateView.as_view()),
    path("auth/device", DeviceView.as_view()),
]
