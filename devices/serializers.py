"""Devices and tokens on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from countonme.api.fields import Reader, StrictModelSerializer, StrictUUIDField
from countonme.api.schema import example
from devices.models import Device

DEVICE_ID = "0b5b1c9e-3b1e-4f4e-8d9c-6f1a2b3c4d5e"


@example("A phone", {"device_id": DEVICE_ID})
class RegisterSerializer(Reader, serializers.Serializer[Any]):
    """A phone that is not known yet."""

    device_id = StrictUUIDField(help_text="Chosen by the phone, once.")


@example("A token", {"token": "C1scnjseT06NnG8aKzxNXg.Xf0q7mE2pLw9Zr4tYv8uB1nC6kD3sA5hJ2gQ7iR0oWs"})
class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200, help_text="Opaque, and shown this once.")


@example(
    "A phone",
    {
        "id": DEVICE_ID,
        "created_at": "2025-02-05T08:30:00Z",
        "last_seen_at": "2025-02-05T12:30:00Z",
    },
)
class DeviceSerializer(StrictModelSerializer):
    """The calling device: when it registered, and when it last called."""

    class Meta:
        model = Device
        fields = ["id", "created_at", "last_seen_at"]
