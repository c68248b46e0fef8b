from __future__ import annotations

from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from countonme.scope.models import DeviceScoped, device_scoped_models
from devices.models import Device, MaintenanceRun

LISTED = 20


class Command(BaseCommand):
    help = (
        "Check that the stored rows keep every rule that the code promises. Lists the rows that "
        f"break a rule (the first {LISTED} of each) and exits with 1, or says that all rules hold."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        broken = 0
        models: list[Any] = [Device, *device_scoped_models()]
        for model in models:
            for rule, offenders in model.violations():
                listed = list(islice(offenders, LISTED + 1))
                for row in listed[:LISTED]:
                    owner = f" of device {row.device_id}" if isinstance(row, DeviceScoped) else ""
                    table = model._meta.db_table
                    self.stdout.write(f"{table} {row.pk}{owner}: not so: {rule}")
                if len(listed) > LISTED:
                    self.stdout.write("... and more")
                broken += bool(listed)
        said = f"{broken} rules are broken." if broken else "Every rule holds."
        MaintenanceRun.note("check_integrity", said)
        if broken:
            raise CommandError(said)
        self.stdout.write(said)
