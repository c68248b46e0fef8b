"""`Authorization: Bearer <token>`: who is calling."""

from __future__ import annotations

import uuid

from django.db import OperationalError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from countonme.scope.connection import drop_if_dead
from devices import tokens
from devices.models import Device, Phone, TokenSlot
from devices.throttling import RekeyThrottle

MAX_TOKEN_LENGTH = 200


class DeviceTokenAuthentication(BaseAuthentication):
    """One query: the phone that the token names, with its device. `request.user` is the device.

    Right or wrong is decided by the HMAC alone. bcrypt decides once for a token whose HMAC was made
    with a key that is gone, and the HMAC is made anew.
    """

    def authenticate(self, request: Request) -> tuple[Device, str]:
        """Return the device, whose `phone` is the one that calls, and the token.

        Raises:
            AuthenticationFailed: there is no token, or it is none that this phone may use here.
            DeviceGone: the phone lost this token while it was checked.
            Throttled: too many tokens of this phone had to be checked with bcrypt.
        """
        token = self._bearer(request)
        ids = tokens.parse(token)
        if ids is None:
            raise AuthenticationFailed
        # Known or not, usable or not: the same is done, so that time tells nothing.
        phone = self._phone(*ids)
        slot = phone.match_signature(token)
        if not phone.is_usable:
            raise AuthenticationFailed
        slot = slot or self._match_secret(request, phone, token)
        view = request.parser_context["view"]
        if slot is None or (slot.is_previous and not view.accepts_previous_token):
            raise AuthenticationFailed
        phone.device.phone = phone
        phone.token_used(slot, token)
        phone.seen()
        return phone.device, token

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
    def _phone(device_id: uuid.UUID, phone_id: uuid.UUID) -> Phone:
        """Fetch the rows; on a connection that died while it was idle, try again on a new one."""
        try:
            return Phone.by_ids(device_id, phone_id)
        except OperationalError:
            if not drop_if_dead():
                raise
            return Phone.by_ids(device_id, phone_id)

    @staticmethod
    def _match_secret(request: Request, phone: Phone, token: str) -> TokenSlot | None:
        slots = phone.slots_of_unknown_keys()
        if slots:
            throttle = RekeyThrottle(phone)
            if not throttle.allow_request(request, None):
                raise Throttled(throttle.wait())
        return next((slot for slot in slots if tokens.check_secret(token, slot.hashed)), None)
