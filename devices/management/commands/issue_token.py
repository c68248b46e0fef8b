from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from devices.management.arguments import get_device


class Command(BaseCommand):
    help = (
        "Print a new token for a phone that lost its own. It is the only output, is shown this "
        "once and is stored nowhere. Older tokens of the device are refused from then on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", help="the device's id")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(get_device(options["id"]).issue_token())
