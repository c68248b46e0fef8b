"""Devices and tokens on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from countonme.api.fields import StrictUUIDField, TimestampField
from devices.models import Device


class RegisterSerializer(serializers.Serializer[Any]):
    device_id = StrictUUIDField(help_text="Chosen by the phone, once.")


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=200, help_text="Opaque, and shown this once.")


class DeviceSerializer(serializers.ModelSerializer[Device]):
    created_at = TimestampField()
    last_seen_at = TimestampField(allow_null=True)

    class Meta:
        model = Device
        fields = ["id", "created_at", "last_seen_at"]
