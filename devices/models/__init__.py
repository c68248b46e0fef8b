"""Devices, their phones, and the codes and keys by which phones join."""

from devices.models.device import Device
from devices.models.pairing import PairingCode, RecoveryKey, UnknownCode, pair
from devices.models.phone import Phone, TokenSlot

__all__ = ["Device", "PairingCode", "Phone", "RecoveryKey", "TokenSlot", "UnknownCode", "pair"]
