"""`/v1/auth`: a phone registers itself, changes its token, and is forgotten."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

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

    def post(self, request: Request) -> Response:
        _, token = Device.objects.register(self.read_body()["device_id"])
        return Response(TokenSerializer({"token": token}).data)


class RotateView(ApiView):
    """Replace the token. Until the new one is first used, the old one may ask again."""

    accepts_previous_token = True
    serializer_class = TokenSerializer
    takes_body = False

    def post(self, request: Request) -> Response:
        token = self.device.rotate_token(str(request.auth))
        return Response(TokenSerializer({"token": token}).data)


class DeviceView(ApiView):
    """The calling device."""

    serializer_class = DeviceSerializer

    def get(self, request: Request) -> Response:
        return Response(DeviceSerializer(self.device).data)

    def delete(self, request: Request) -> Response:
        """Erase the device and, with the next purge, everything that it owns."""
        self.device.erase()
        return Response(status=204)
