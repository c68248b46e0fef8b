from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from devices.management.arguments import get_device


class Command(BaseCommand):
    help = (
        "Refuse a device's token from now on. Its data stays; issue_token gives the phone a new "
        "token."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", help="the device's id")

    def handle(self, *args: Any, **options: Any) -> None:
        device = get_device(options["id"])
        device.revoke_token()
        self.stdout.write(f"The token of device {device.pk} is revoked.")
