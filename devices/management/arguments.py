"""Arguments that several commands take."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from devices.models import Device, Phone

UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def age(text: str) -> timedelta:
    """Parse an age in hours, days or weeks: `12h`, `30d` or `8w`.

    Raises:
        ArgumentTypeError: the text has another form.
    """
    found = re.fullmatch(r"(\d{1,5})([hdw])", text, re.ASCII)
    if not found:
        raise ArgumentTypeError(f"{text!r} is no age: write it as 30d, 12h or 8w")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def get_device(id: str) -> Device:
    """Return the device with this id.

    Raises:
        CommandError: there is no such device, or it is erased.
    """
    try:
        device = Device.objects.get(pk=id)
    except (Device.DoesNotExist, ValidationError) as error:
        raise CommandError(f"No device has the id {id}.") from error
    if device.erased_at is not None:
        raise CommandError(f"Device {id} is erased.")
    return device


def get_phone(device: Device, id: str) -> Phone:
    """Return the phone of a device with this id, signed in or not.

    Raises:
        CommandError: the device has no such phone.
    """
    try:
        phone: Phone = device.phones.get(id=id)
    except (Phone.DoesNotExist, ValidationError) as error:
        raise CommandError(f"Device {device.pk} has no phone with the id {id}.") from error
    return phone
