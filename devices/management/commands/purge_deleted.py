from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from operator import itemgetter
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from countonme.scope.models import device_scoped_models
from devices import maintenance
from devices.management.arguments import age
from devices.models import MaintenanceRun, Phone


class Command(BaseCommand):
    help = (
        "Remove for ever the rows that were soft-deleted longer ago than an age, and all rows of "
        "erased devices. A row that a remaining row refers to is kept. Phones that were signed out "
        "90 days ago are forgotten too. Works in batches of "
        f"{maintenance.BATCH}, each a short transaction, so it can run beside live traffic. After "
        "an interruption, run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=age,
            required=True,
            metavar="AGE",
            help="how long ago a row was deleted, as 30d, 12h or 8w",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="count the rows that would be removed, and remove none",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        before = timezone.now() - options["older_than"]
        counts: Counter[str] = Counter()
        if options["dry_run"] or self.stdout.isatty():
            for model in device_scoped_models():
                counts[model._meta.db_table] = maintenance.purgeable(model, before).count()
            counts["phones"] = Phone.objects.to_forget().count()
        if not options["dry_run"]:
            total = counts.total() or None
            counts.clear()
            batches = maintenance.purge(before)
            for model, removed in maintenance.with_progress(
                self.stdout, "rows", batches, itemgetter(1), total
            ):
                counts[model._meta.db_table] += removed
            counts["phones"] = maintenance.forget_phones()
        verb = "would be removed" if options["dry_run"] else "removed"
        listed = ", ".join(f"{count} {table}" for table, count in counts.items() if count)
        said = f"Rows {verb}: {listed or 'none'}."
        if not options["dry_run"]:
            MaintenanceRun.note("purge_deleted", said)
        self.stdout.write(said)
