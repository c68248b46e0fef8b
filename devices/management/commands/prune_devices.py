from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from devices import maintenance
from devices.management.arguments import age
from devices.models import Device


class Command(BaseCommand):
    help = (
        "Erase the devices of which no phone joined or was seen within an age. The tokens of an "
        "erased device are refused for ever; the next purge_deleted removes its rows. Works in "
        "batches of "
        f"{maintenance.BATCH}. After an interruption, run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--inactive",
            type=age,
            required=True,
            metavar="AGE",
            help="how long no phone of a device joined or was seen, as 365d or 52w",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="count the devices that would be erased, and erase none",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        since = timezone.now() - options["inactive"]
        count = Device.objects.inactive_since(since).count()
        if options["dry_run"]:
            self.stdout.write(f"Devices that would be erased: {count}.")
            return
        batches = maintenance.erase_inactive(since)
        erased = sum(maintenance.with_progress(self.stdout, "devices", batches, int, count))
        self.stdout.write(f"Devices erased: {erased}.")
