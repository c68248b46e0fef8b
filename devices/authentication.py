"""`Authorization: Bearer <token>`: who is calling."""

from __future__ import annotations

import uuid

from django.db import OperationalError, connection
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from devices import tokens
from devices.models import Device, TokenSlot
from devices.throttling import RekeyThrottle

MAX_TOKEN_LENGTH = 200


class DeviceTokenAuthentication(BaseAuthentication):
    """One query: the device's row by its id, which the token names. `request.user` is the device.

    Right or wrong is decided by the HMAC alone. bcrypt decides once for a token whose HMAC was made
    with a key that is known no more, and the HMAC is made anew.
    """

    def authenticate(self, request: Request) -> tuple[Device, str]:
        """Return the device and the token.

        Raises:
            AuthenticationFailed: there is no token, or it is none that this device may use here.
            Throttled: too many tokens of this device had to be checked with bcrypt.
        """
        token = self._bearer(request)
        device_id = tokens.parse(token)
        if device_id is None:
            raise AuthenticationFailed
        # Known or not, usable or not: the same is done, so that time tells nothing.
        device = self._device(device_id) or Device.decoy(device_id)
        slot = device.match_signature(token)
        if not device.is_usable:
            raise AuthenticationFailed
        slot = slot or self._match_secret(request, device, token)
        view = request.parser_context["view"]
        if slot is None or (slot.is_previous and not view.accepts_previous_token):
            raise AuthenticationFailed
        device.token_used(slot, token)
        device.seen()
        return device, token

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    @staticmethod
    def _bearer(request: Request) -> str:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        token = token.strip(" ")
        if scheme.lower() != "bearer" or len(token) > MAX_TOKEN_LENGTH:
            raise AuthenticationFailed
        return str(token)

    @staticmethod
    def _device(device_id: uuid.UUID) -> Device | None:
        """Fetch the row; on a connection that died while it lay idle, try again on a new one."""
        try:
            return Device.by_id(device_id)
        except OperationalError:
            refused = connection.connection is None
            if refused or connection.in_atomic_block or connection.is_usable():
                raise
            connection.close()
            return Device.by_id(device_id)

    @staticmethod
    def _match_secret(request: Request, device: Device, token: str) -> TokenSlot | None:
        slots = device.slots_of_unknown_keys()
        if slots:
            throttle = RekeyThrottle()
            if not throttle.allow_request(request, device.pk):
                raise Throttled(throttle.wait())
        return next((slot for slot in slots if tokens.check_secret(token, slot.hashed)), None)
