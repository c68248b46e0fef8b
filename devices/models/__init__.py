"""Devices, their phones, how phones join, and when maintenance was done."""

from devices.models.device import Device
from devices.models.maintenance import MaintenanceRun
from devices.models.pairing import PairingCode, RecoveryKey, UnknownCode, pair
from devices.models.phone import Phone, TokenSlot

__all__ = [
    "Device",
    "MaintenanceRun",
    "PairingCode",
    "Phone",
    "RecoveryKey",
    "TokenSlot",
    "UnknownCode",
    "pair",
]
