"""`/v1/auth`: a phone registers itself, changes its token, and is forgotten."""

from __future__ import annotations

from typing import cast

from django.http import HttpResponse
from rest_framework.request import Request

from countonme.api.json import JSONAnswer
from countonme.api.views import ApiView
from devices.models import Device
from devices.serializers import DeviceSerializer, RegisterSerializer, TokenSerializer
from devices.throttling import RegisterThrottle


class RegisterView(ApiView):
    """Register a device and hand out its token."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (RegisterThrottle,)
    serializer_class = RegisterSerializer
    response_class = TokenSerializer
    answers = {"post": {409: ["Device already registered"]}}

    def post(self, request: Request) -> HttpResponse:
        _, token = Device.objects.register(self.read_body()["device_id"])
        return JSONAnswer({"token": token})


class CallerView(ApiView):
    """A call that concerns the calling device itself."""

    @property
    def device(self) -> Device:
        return cast("Device", self.request.user)


class RotateView(CallerView):
    """Replace the token. Until the new one is first used, the old one may ask again."""

    accepts_previous_token = True
    serializer_class = TokenSerializer
    takes_body = False

    def post(self, request: Request) -> HttpResponse:
        token = self.device.rotate_token(str(request.auth))
        return JSONAnswer({"token": token})


class DeviceView(CallerView):
    """The calling device."""

    serializer_class = DeviceSerializer

    def get(self, request: Request) -> HttpResponse:
        return JSONAnswer(DeviceSerializer.represent(self.device))

    def delete(self, request: Request) -> HttpResponse:
        """Erase the device and, with the next purge, everything that it owns."""
        self.device.erase()
        return HttpResponse(status=204)
