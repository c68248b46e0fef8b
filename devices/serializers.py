"""Devices, phones and tokens on the wire."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from countonme.api.fields import (
    Reader,
    StrictBooleanField,
    StrictModelSerializer,
    StrictUUIDField,
    TextField,
)
from countonme.api.schema import example
from devices import codes
from devices.models import Device, PairingCode, Phone
from devices.models.phone import MAX_NAME_LENGTH

DEVICE_ID = "0b5b1c9e-3b1e-4f4e-8d9c-6f1a2b3c4d5e"
PHONE_ID = "3d0f1f52-7a54-4a53-9c1b-2f8f0b5c7e11"
TOKEN = "C1scnjseT06NnG8aKzxNXg.Xf0q7mE2pLw9Zr4tYv8uB1nC6kD3sA5hJ2gQ7iR0oWs"  # noqa: S105  # made up
# It names the phone too.
JOINED_TOKEN = f"C1scnjseT06NnG8aKzxNXj0PH1J6VEpTnBsvjwtcfhE.{TOKEN.partition('.')[2]}"
CODE = "BCDF-GHJK-LMNP"
KEY = "7Z3MK-0QH9R-XT5WC-2VJ8N-6PBFGB"


def name_field() -> TextField:
    return TextField(
        max_length=MAX_NAME_LENGTH,
        required=False,
        allow_null=True,
        help_text="What the phone calls itself, for its owner's list of phones.",
    )


@example("A phone", {"device_id": DEVICE_ID, "name": "Pixel 9"})
class RegisterSerializer(Reader):
    """A phone that begins a diary of its own."""

    device_id = StrictUUIDField(
        help_text="Chosen by the phone, for this device alone. It is the first phone's id too."
    )
    name = name_field()


class TokenField(serializers.CharField):
    """A token in an answer."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=200, help_text="Opaque, and shown this once.", **kwargs)


@example("A token", {"token": TOKEN})
class TokenSerializer(serializers.Serializer[Any]):
    token = TokenField()


@example(
    "A device",
    {
        "id": DEVICE_ID,
        "phone_id": DEVICE_ID,
        "created_at": "2025-02-05T08:30:00Z",
        "last_seen_at": "2025-02-05T12:30:00Z",
        "recovery_key_created_at": None,
    },
)
class DeviceSerializer(StrictModelSerializer):
    """The device of the phone that asks."""

    phone_id = serializers.UUIDField(read_only=True, help_text="The phone that asks.")
    last_seen_at = serializers.DateTimeField(
        read_only=True, help_text="When the phone that asks called, to five minutes."
    )

    class Meta:
        model = Device
        fields = ["id", "phone_id", "created_at", "last_seen_at", "recovery_key_created_at"]
        extra_kwargs = {
            "created_at": {"help_text": "When the device was registered."},
            "recovery_key_created_at": {
                "help_text": "When the present recovery key was made; null where there is none."
            },
        }

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        phone = {"phone_id": row.phone.id, "last_seen_at": row.phone.last_seen_at}
        values = super().represent(row) | phone
        return {name: values[name] for name in cls.Meta.fields}


@example(
    "A phone",
    {
        "id": PHONE_ID,
        "name": "Pixel 9",
        "created_at": "2025-02-05T08:30:00Z",
        "last_seen_at": "2025-02-05T12:30:00Z",
        "is_current": True,
    },
    response_only=True,
)
@example("A name", {"name": "Pixel 9"}, request_only=True)
class PhoneSerializer(StrictModelSerializer):
    """A phone that is signed in to the device."""

    id = StrictUUIDField(read_only=True)
    name = name_field()
    is_current = serializers.BooleanField(read_only=True, help_text="Whether it is the one asking.")

    class Meta:
        model = Phone
        fields = ["id", "name", "created_at", "last_seen_at", "is_current"]
        extra_kwargs = {
            "created_at": {"help_text": "When the phone joined."},
            "last_seen_at": {
                "help_text": "When it last called, to five minutes; null before its first call."
            },
        }

    @classmethod
    def represent(cls, row: Any) -> dict[str, Any]:
        return super().represent(row) | {"is_current": row.id == row.device.phone.id}


@extend_schema_serializer(component_name="PairingCode")
@example("One phone more", {"move": False})
@example("A new phone in the place of this one", {"move": True})
class AskForCodeSerializer(Reader):
    """What the code is for: one phone more, or a new phone in the place of the one that asks."""

    move = StrictBooleanField(
        default=False,
        help_text="Sign the phone that asks out as soon as the new one first uses its token.",
    )


@example("A code", {"code": CODE, "expires_at": "2025-02-05T08:40:00Z"})
class PairingCodeSerializer(serializers.ModelSerializer[Any]):
    code = serializers.CharField(
        help_text="Twelve letters, good once, for ten minutes; shown this once."
    )

    class Meta:
        model = PairingCode
        fields = ["code", "expires_at"]


@extend_schema_serializer(component_name="RecoveryKey")
@example("Without a key", {})
@example("With the present key", {"recovery_key": KEY})
class ShowKeySerializer(Reader):
    """The recovery key, if the person has it at hand."""

    recovery_key = TextField(
        required=False,
        allow_null=True,
        help_text="A key of the device that is still good. It ends at once, and so does every key "
        "made after it. Without one, the present key stays good for seven days.",
    )


@example("A key", {"recovery_key": KEY, "created_at": "2025-02-05T08:30:00Z"})
class RecoveryKeySerializer(serializers.Serializer[Any]):
    recovery_key = serializers.CharField(
        help_text="26 characters in groups, shown this once: for paper, not for the phone."
    )
    created_at = serializers.DateTimeField()


@example("By a code", {"code": CODE, "phone_id": PHONE_ID, "name": "Pixel 9"})
@example("By the recovery key: the other phone is lost", {"code": KEY, "phone_id": PHONE_ID})
@example(
    "By the recovery key: the other phone was stolen",
    {"code": KEY, "phone_id": PHONE_ID, "name": "Pixel 9", "revoke_others": True},
)
class PairSerializer(Reader):
    """A phone that joins a device."""

    code = TextField(
        help_text="A pairing code or the recovery key. Case, blanks and hyphens don't matter."
    )
    phone_id = StrictUUIDField(
        help_text="Chosen by the phone, and the same until it has its token. No other phone of the "
        "device may have it, or have had it in the last 90 days."
    )
    name = name_field()
    revoke_others = StrictBooleanField(
        default=False,
        help_text="With the recovery key alone: sign out all other phones, and void all codes.",
    )

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Refuse to sign others out by a code: a thief could ask for one."""
        if values["revoke_others"] and not codes.is_key(values["code"]):
            raise serializers.ValidationError(
                {"revoke_others": ErrorDetail("This takes a recovery key.", "invalid")}
            )
        return values


@example("A phone's token", {"token": JOINED_TOKEN, "device_id": DEVICE_ID})
class PairedSerializer(serializers.Serializer[Any]):
    token = TokenField()
    device_id = serializers.UUIDField(help_text="The device that the phone joined.")
