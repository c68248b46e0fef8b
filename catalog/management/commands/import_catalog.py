from __future__ import annotations

import csv
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from signal import SIGINT
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from catalog import importing
from catalog.formats import fdc, openfoodfacts, table
from catalog.formats.files import STANDARD_INPUT, BrokenFile, size_of
from catalog.importing import BATCH, MAX_WITHDRAWN, Filters, Import
from catalog.models import Source
from countonme.scope.exceptions import Conflict

FORMATS = {"csv": table, "fdc": fdc, "openfoodfacts": openfoodfacts}
# What the formats say of their sources. A csv may bring foods of these, as an export does.
KNOWN = {
    info.source: {"name": info.name, "licence": info.licence, "url": info.url}
    for info in (fdc.SOURCE, openfoodfacts.SOURCE)
}
# The order of the summary, whose last line is followed by the reasons.
KINDS = (
    *("new", "changed", "unchanged", "older", "repeated", "unwanted", "withdrawn"),
    "refused",
)


def words(text: str) -> frozenset[str]:
    """Read an option that lists words, separated by commas."""
    return frozenset(word.strip().lower() for word in text.split(",") if word.strip())


def count(text: str) -> int:
    """Read an option that is a number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


class Command(BaseCommand):
    help = (
        "Bring the foods of a file into the catalog. Works in batches of "
        f"{BATCH}, each a short transaction, so it can run beside live traffic. After an "
        "interruption, run it again. A second run of the same file changes nothing. Records that "
        "can't be foods are refused, and counted by reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("format", choices=sorted(FORMATS), help="what the files are")
        parser.add_argument(
            "files",
            nargs="+",
            metavar="FILE",
            help="gzipped or not; - is standard input; for fdc a folder or a ZIP",
        )
        parser.add_argument(
            "--full",
            action="store_true",
            help="the files are all that the source has: withdraw its foods that they lack",
        )
        parser.add_argument(
            "--force",
            action="store_true",
            help=f"also if they are over {100 * MAX_WITHDRAWN:g} %% of its foods",
        )
        parser.add_argument(
            "--languages", type=words, default=frozenset(), metavar="LIST", help="only these: en,de"
        )
        parser.add_argument(
            "--countries",
            type=words,
            default=frozenset(),
            metavar="LIST",
            help="only foods that are sold in one of these: germany,austria",
        )
        parser.add_argument(
            "--min-scans",
            type=count,
            default=0,
            metavar="N",
            help="only foods that at least N people scanned",
        )
        parser.add_argument(
            "--limit", type=count, metavar="N", help="read the first N records only"
        )
        parser.add_argument("--dry-run", action="store_true", help="count, and write nothing")
        parser.add_argument(
            "--report", metavar="FILE", help="write each refused record and its reason as CSV"
        )
        source = parser.add_argument_group(
            "the source of csv files", "described when it is imported for the first time"
        )
        source.add_argument("--source", metavar="ID", help="its short name, as ciqual")
        source.add_argument("--name", help="its full name, which apps show")
        source.add_argument("--licence", help="the licence of its data")
        source.add_argument("--url", help="where it is")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["full"] and options["limit"] is not None:
            raise CommandError("--full needs the whole file: leave out --limit.")
        for path in options["files"]:
            if path != STANDARD_INPUT and not Path(path).exists():
                raise CommandError(f"There is no {path}. Nothing was imported.")
        with ExitStack() as stack:
            refuse = self.report(stack, options["report"])
            source = self.source(options)
            filters = Filters(options["languages"], options["countries"], options["min_scans"])
            asker, writer = stack.enter_context(importing.two_threads())
            run = Import(source, filters, options["dry_run"], asker, writer, refuse)
            try:
                self.run_files(run, options)
                # A source that a dry run did not create has nothing to withdraw.
                if options["full"] and not source._state.adding:
                    run.withdraw(force=options["force"])
                run.finish()
            except BrokenFile as error:
                kept = "" if run.is_dry else " What came before that is imported."
                raise CommandError(f"{error}{kept}") from error
            except Conflict as error:
                raise CommandError(f"{error}. Use --force if that is right.") from error
            except KeyboardInterrupt as interrupt:
                raise CommandError(
                    "Interrupted. Run it again for the rest.", returncode=128 + SIGINT
                ) from interrupt
            finally:
                run.forget()
                self.summary(run)

    def source(self, options: dict[str, Any]) -> Source:
        """Return the source of the files; a new one is created, unless it is a dry run.

        Raises:
            CommandError: it is not named, or not described.
        """
        info = FORMATS[options["format"]].SOURCE
        key = options["source"] if info is None else info.source
        if not key:
            raise CommandError("Say with --source whose foods these are.")
        found = Source.objects.filter(pk=key).first()
        source = found or Source(pk=key, **KNOWN.get(key, {}))
        given = {name: options[name] for name in ("name", "licence", "url") if options[name]}
        for name, value in given.items():
            setattr(source, name, value)
        try:
            source.full_clean(validate_unique=False)
        except ValidationError as error:
            listed = (f"--{name}: {' '.join(said)}" for name, said in error.message_dict.items())
            raise CommandError(" ".join(listed)) from error
        if not options["dry_run"]:
            # Not what triggers write in the meantime.
            source.save(update_fields=given if found else None)
        return source

    def report(self, stack: ExitStack, path: str | None) -> Any:
        """Return what is called with each record that is refused."""
        if path is None:
            return lambda *refusal: None
        try:
            file = stack.enter_context(Path(path).open("w", encoding="utf-8", newline=""))  # noqa: SIM115  # the stack is
        except OSError as error:
            raise CommandError(f"{path} can't be written: {error.strerror}.") from error
        rows = csv.writer(file)
        rows.writerow(["place", "source_id", "reason"])
        return lambda *refusal: rows.writerow(refusal)

    def run_files(self, run: Import, options: dict[str, Any]) -> None:
        """Import the files, with a progress bar on a terminal, else with a line a batch."""
        read = FORMATS[options["format"]].read
        sizes = [size_of(path) for path in options["files"]]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        with tqdm(
            total=total, unit="B", unit_scale=True, disable=not sys.stderr.isatty(), leave=False
        ) as bar:

            def records() -> Iterator[Any]:
                for path in options["files"]:
                    yield from read(path, bar.update)

            done = 0
            for count in run.records(islice(records(), options["limit"])):
                done += count
                if bar.disable:
                    self.stdout.write(f"{done} records")
                    # At once, also where it goes to a file.
                    self.stdout.flush()

    def summary(self, run: Import) -> None:
        """Write what became of the records, and why some were refused."""
        for kind in KINDS:
            if run.counts[kind]:
                self.stdout.write(f"{kind:>10} {run.counts[kind]}")
        for reason, count in run.reasons.most_common():
            self.stdout.write(f"{'':>10} {count} {reason}")
        if run.is_dry:
            self.stdout.write("Nothing was written.")
