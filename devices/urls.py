from __future__ import annotations

from django.urls import path

from devices.views import DeviceView, RegisterView, RotateView

urlpatterns = [
    path("v1/auth/register", RegisterView.as_view()),
    path("v1/auth/rotate", RotateView.as_view()),
    path("v1/auth/device", DeviceView.as_view()),
]
