from __future__ import annotations

from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from countonme.scope.models import device_scoped_models

NAMED = 20


class Command(BaseCommand):
    help = (
        "Ask the data for every rule that the code promises. Names the rows that break one (the "
        f"first {NAMED} of each) and exits with 1, or says that all is well."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        broken = 0
        for model in device_scoped_models():
            for rule, offenders in model.violations():
                named = list(islice(offenders, NAMED + 1))
                for row in named[:NAMED]:
                    table = model._meta.db_table
                    self.stdout.write(f"{table} {row.pk} of device {row.device_id}: not so: {rule}")
                if len(named) > NAMED:
                    self.stdout.write("... and more")
                broken += bool(named)
        if broken:
            raise CommandError(f"{broken} rules are broken.")
        self.stdout.write("Every rule holds.")
