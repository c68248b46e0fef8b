from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from countonme.scope.exceptions import Conflict
from devices.management.arguments import get_device, get_phone
from devices.models import Device, Phone


class Command(BaseCommand):
    help = (
        "Print a new token for a phone that lost its own, and sign it in. The token is the only "
        "output, is shown this once and is stored nowhere. Older tokens of the phone are refused "
        "from then on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", help="the device's id")
        parser.add_argument(
            "--phone",
            metavar="ID",
            help="the phone's id (default: the only one that is signed in; if none is, the first)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        device = get_device(options["id"])
        given = options["phone"]
        phone = get_phone(device, given) if given else self.only_phone(device)
        try:
            self.stdout.write(phone.issue_token())
        except Conflict as error:
            raise CommandError(f"{error}.") from error

    @staticmethod
    def only_phone(device: Device) -> Phone:
        """Return the phone that is meant where none is named.

        Raises:
            CommandError: several are signed in.
        """
        phones: list[Phone] = list(device.phones.live().in_order())
        if len(phones) > 1:
            named = ", ".join(f"{phone.id} ({phone.name or 'no name'})" for phone in phones)
            raise CommandError(f"The device has several phones; name one by --phone: {named}.")
        return phones[0] if phones else Phone(device=device, id=device.pk)
