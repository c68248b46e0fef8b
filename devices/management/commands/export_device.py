from __future__ import annotations

from argparse import ArgumentParser, FileType
from typing import Any

from django.core.management.base import BaseCommand

from devices import transfer
from devices.management.arguments import get_device


class Command(BaseCommand):
    help = (
        "Write a device with its phones and all its rows, deleted ones included, as JSON. The file "
        "holds health data but no token, code or key. Keep it as safe as a backup."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", help="the device's id")
        parser.add_argument(
            "--output",
            type=FileType("wb"),
            default="-",
            metavar="FILE",
            help="the file to write (default: standard output)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        exported = transfer.export(get_device(options["id"]))
        with options["output"] as output:
            output.writelines(exported)
