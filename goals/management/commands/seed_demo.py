from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from countonme.server import serve
from goals import demo

CURL = """\
Device {id}, with {days} days of meals, a goal, weighings and water.
The token of its phone, "{phone}", shown this once:

TOKEN={token}

curl -H "Authorization: Bearer $TOKEN" "{url}/v1/products?limit=5"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/food-entries?date={today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/stats/day/{today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/stats/daily?from={first}&to={today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/goals/current"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/goals/progress?date={today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/body-weights?from={first}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/water-entries?date={today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/stats/weight?from={first}&to={today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/stats/expenditure?from={first}&to={today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/stats/streak?date={today}"
curl -H "Authorization: Bearer $TOKEN" "{url}/v1/auth/phones"

A code by which another phone, such as the one with your app, joins the device:

curl -X POST -H "Authorization: Bearer $TOKEN" "{url}/v1/auth/pairing-code"
"""


class Command(BaseCommand):
    help = (
        "Register demo devices with a diary, a goal, weighings and water of the last days. Prints "
        "their phones' tokens and curl lines that use one. Each run creates more devices."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--url",
            default=serve.served_at(settings.DATA_DIR),
            help="the address of the server in the curl lines (default: %(default)s)",
        )
        parser.add_argument(
            "--devices", type=int, default=1, help="how many devices (default: %(default)s)"
        )
        parser.add_argument(
            "--days", type=int, default=30, help="how many days, up to today (default: %(default)s)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        today = timezone.now().date()
        days, count = options["days"], options["devices"]
        if days < 1 or count < 1:
            raise CommandError("There must be at least one device and one day.")
        for number in range(1, count):
            device, token = demo.create_phone(today, days, number)
            self.stdout.write(f"Device {device.pk}, likewise, with the token {token}\n")
        device, token = demo.create_phone(today, days)
        self.stdout.write(
            CURL.format(
                id=device.pk,
                phone=demo.PHONE,
                days=days,
                token=token,
                url=options["url"].rstrip("/"),
                today=today,
                first=today - timedelta(days=days - 1),
            )
        )
