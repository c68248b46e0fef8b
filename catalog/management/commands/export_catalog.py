from __future__ import annotations

import gzip
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.exporting import live_foods
from catalog.formats import table
from catalog.formats.files import STANDARD_INPUT
from catalog.models import Source

STANDARD_OUTPUT = STANDARD_INPUT


class Command(BaseCommand):
    help = (
        "Write the foods of one source as they can be found here, with the operators' corrections, "
        "as a table that `import_catalog csv` reads on any server. Who serves an adapted database "
        "under the ODbL has to offer it. It can run beside live traffic."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="whose foods, as openfoodfacts")
        parser.add_argument(
            "file",
            nargs="?",
            default=STANDARD_OUTPUT,
            metavar="FILE",
            help="the file to write, gzipped if its name ends in .gz (default: standard output)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        source = Source.objects.filter(pk=options["source"]).first()
        if source is None:
            known = ", ".join(Source.objects.order_by("pk").values_list("pk", flat=True))
            raise CommandError(f"{options['source']} is no source here. There are: {known or '-'}.")
        foods = live_foods(source.pk, table.WRITTEN.values())
        try:
            with self.opened(options["file"]) as file:
                count = table.write(foods, file)
        except OSError as error:
            raise CommandError(f"{options['file']} can't be written: {error.strerror}.") from error
        self.stderr.write(f"{count} foods of {source.name}, {source.url}, under {source.licence}.")

    @contextmanager
    def opened(self, path: str) -> Iterator[Any]:
        """Open what is written to. A file appears under its name once it is whole."""
        if path == STANDARD_OUTPUT:
            yield self.stdout
            return
        unfinished = Path(f"{path}.unfinished")
        try:
            opening = gzip.open if path.endswith(".gz") else open
            with opening(unfinished, "wt", encoding="utf-8", newline="") as file:
                yield file
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
