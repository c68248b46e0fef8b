"""`/v1/auth`: phones register, join, change their tokens and sign out; a device is erased."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpResponse
from rest_framework.request import Request

from countonme.api.fields import parse_id
from countonme.api.json import JSONAnswer
from countonme.api.views import ApiView
from countonme.scope.exceptions import ID_IN_USE, Missing
from devices.models import Device, PairingCode, Phone, RecoveryKey, UnknownCode, pair
from devices.serializers import (
    AskForCodeSerializer,
    DeviceSerializer,
    PairedSerializer,
    PairingCodeSerializer,
    PairSerializer,
    PhoneSerializer,
    RecoveryKeySerializer,
    RegisterSerializer,
    ShowKeySerializer,
    TokenSerializer,
)
from devices.throttling import PairThrottle, RegisterThrottle


class RegisterView(ApiView):
    """Register a device with its first phone, and hand out that phone's token.

    Where the answer is lost, register again under a new id: nothing is in the device yet.
    """

    summaries = {"post": "Register a device"}
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (RegisterThrottle,)
    serializer_class = RegisterSerializer
    response_class = TokenSerializer
    answers = {"post": {409: ["Device already registered"]}}

    def post(self, request: Request) -> HttpResponse:
        values = self.read_body()
        _, token = Phone.register(values["device_id"], values.get("name"))
        return JSONAnswer({"token": token})


class PairView(ApiView):
    """Have a phone join a device, by a pairing code of another phone or by the recovery key.

    Until its token is first used, the phone may ask again with the same code and `phone_id`, and
    gets another token in its place: the answer may have been lost.
    """

    summaries = {"post": "Pair a phone"}
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (PairThrottle,)
    serializer_class = PairSerializer
    response_class = PairedSerializer
    answers = {
        "post": {
            404: [str(UnknownCode())],
            409: [ID_IN_USE, "A device has at most 8 phones"],
        }
    }

    def post(self, request: Request) -> HttpResponse:
        values = self.read_body()
        phone, token = pair(
            values["code"],
            values["phone_id"],
            name=values.get("name"),
            revoke_others=values["revoke_others"],
        )
        return JSONAnswer({"token": token, "device_id": phone.device_id})


class CallerView(ApiView):
    """A call that concerns the calling device itself."""

    @property
    def device(self) -> Device:
        return cast("Device", self.request.user)

    @property
    def phone(self) -> Phone:
        """The phone that calls."""
        return cast("Phone", self.device.phone)


class RotateView(CallerView):
    """Replace the token of the phone that asks.

    Until the new one is first used, the old one may ask again: the answer may have been lost.
    """

    summaries = {"post": "Rotate the token"}
    accepts_previous_token = True
    serializer_class = TokenSerializer
    methods_with_body = ()

    def post(self, request: Request) -> HttpResponse:
        token = self.phone.rotate_token(str(request.auth))
        return JSONAnswer({"token": token})


class DeviceView(CallerView):
    """The device of the phone that asks."""

    summaries = {"get": "Get the device", "delete": "Erase the device"}
    serializer_class = DeviceSerializer

    def get(self, request: Request) -> HttpResponse:
        return JSONAnswer(DeviceSerializer.represent(self.device))

    def delete(self, request: Request) -> HttpResponse:
        """Erase the device, for ever: the tokens of all its phones are refused at once.

        The next purge removes everything that it owns.
        """
        self.write(self.device.erase)
        return HttpResponse(status=204)


class PhonesView(CallerView):
    """The phones that are signed in to the device, the oldest first."""

    summaries = {"get": "List phones"}
    serializer_class = PhoneSerializer
    response_class = cast("Any", PhoneSerializer(many=True))

    def get(self, request: Request) -> HttpResponse:
        phones = self.device.phones.live().in_order()
        return JSONAnswer([PhoneSerializer.represent(phone) for phone in phones])


class PhoneView(CallerView):
    """One of the device's phones."""

    summaries = {"patch": "Rename a phone", "delete": "Sign a phone out"}
    serializer_class = PhoneSerializer
    path_model = Phone
    answers = {"delete": {409: ["Erase the device instead"]}}

    def patch(self, request: Request, id: str) -> HttpResponse:
        """Change the name of a phone; `null` takes it away."""
        phone = self.write(self.perform_update, id, self.read_body(partial=True))
        return JSONAnswer(PhoneSerializer.represent(phone))

    def delete(self, request: Request, id: str) -> HttpResponse:
        """Sign a phone out, another one or the one that asks: its token is refused at once.

        What the device owns stays. The last phone can't go.
        """
        self.write(self.perform_destroy, id)
        return HttpResponse(status=204)

    def get_object(self, id: str) -> Phone:
        """Return the phone of a path's id.

        Raises:
            Missing: the id is malformed, or the device has no such phone.
        """
        parsed = parse_id(id)
        phone = self.device.phones.live().filter(id=parsed).first() if parsed else None
        if phone is None:
            raise Missing(Phone)
        return cast("Phone", phone)

    def perform_update(self, id: str, values: dict[str, str | None]) -> Phone:
        phone = self.get_object(id)
        phone.rename(values.get("name", phone.name))
        return phone

    def perform_destroy(self, id: str) -> None:
        self.get_object(id).leave()


class PairingCodeView(CallerView):
    """Make a code by which another phone may join. It takes the place of the one before.

    It is good no longer than the phone that asked for it is signed in.
    """

    summaries = {"post": "Make a pairing code"}
    serializer_class = AskForCodeSerializer
    response_class = PairingCodeSerializer
    body_is_optional = True
    success_status = 201

    def post(self, request: Request) -> HttpResponse:
        row, code = self.write(self.perform_create, self.read_body()["move"])
        return JSONAnswer({"code": code, "expires_at": row.expires_at}, self.success_status)

    def perform_create(self, is_move: bool) -> tuple[PairingCode, str]:
        return PairingCode.create(self.phone, is_move=is_move)


class RecoveryKeyView(CallerView):
    """Make the device's recovery key, by which a phone may join when none is at hand."""

    summaries = {"post": "Make a recovery key", "delete": "Delete the recovery key"}
    serializer_class = ShowKeySerializer
    response_class = RecoveryKeySerializer
    methods_with_body = ("POST", "DELETE")
    body_is_optional = True
    success_status = 201
    answers = {
        "post": {409: ["Not the device's recovery key"]},
        "delete": {409: ["Not the device's recovery key"]},
    }

    def post(self, request: Request) -> HttpResponse:
        shown = self.read_body().get("recovery_key")
        row, key = self.write(RecoveryKey.create, self.device, shown)
        answer = {"recovery_key": key, "created_at": row.created_at}
        return JSONAnswer(answer, self.success_status)

    def delete(self, request: Request) -> HttpResponse:
        """Leave the device without a recovery key."""
        self.write(RecoveryKey.withdraw, self.device, self.read_body().get("recovery_key"))
        return HttpResponse(status=204)
