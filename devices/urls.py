from __future__ import annotations

from django.urls import path

from devices.views import (
    DeviceView,
    PairingCodeView,
    PairView,
    PhonesView,
    PhoneView,
    RecoveryKeyView,
    RegisterView,
    RotateView,
)

urlpatterns = [
    path("v1/auth/register", RegisterView.as_view()),
    path("v1/auth/rotate", RotateView.as_view()),
    path("v1/auth/device", DeviceView.as_view()),
    path("v1/auth/phones", PhonesView.as_view()),
    path("v1/auth/phones/<str:id>", PhoneView.as_view()),
    path("v1/auth/pairing-code", PairingCodeView.as_view()),
    path("v1/auth/recovery-key", RecoveryKeyView.as_view()),
    path("v1/auth/pair", PairView.as_view()),
]
