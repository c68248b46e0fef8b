from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from devices.management.arguments import get_device, get_phone


class Command(BaseCommand):
    help = (
        "Refuse the tokens of a device's phones, or of one of them, from now on. What the device "
        "owns stays; issue_token gives a phone a new token."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", help="the device's id")
        parser.add_argument("--phone", metavar="ID", help="the one phone's id (default: all)")

    def handle(self, *args: Any, **options: Any) -> None:
        device = get_device(options["id"])
        phones = device.phones.all()
        if options["phone"]:
            phones = phones.filter(id=get_phone(device, options["phone"]).id)
        with device.locked():
            count = device.sign_out(phones)
        self.stdout.write(f"Phones of device {device.pk} that were signed out: {count}.")
