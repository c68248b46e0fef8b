"""Bring foods into the catalog: in batches, each one transaction, beside live traffic.

A batch first asks what is stored, and leaves alone what its source says the same of. The rest is
copied into a temporary table, from which rows are updated and inserted by set. So a file that
changes nothing writes nothing to the foods. `ON CONFLICT` would lock and log each row that it
meets. After an interruption a second run does the rest.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.db import connection, connections, transaction
from django.utils import timezone

from catalog.models import Correction, Food, Seen, Source, food_id, plain
from catalog.records import CleanFood, Record, Refused, Unreadable, clean_food
from catalog.words import name_key_and_words
from countonme.scope.exceptions import Conflict
from products import gtin
from products.nutrients import COLUMNS_100G, MACROS_100G, MAX_MACROS_100G

T = TypeVar("T")
BATCH = 5_000
# Without `force` an import withdraws no more of a source's foods than this part.
MAX_WITHDRAWN = 0.05
# What an interrupted import noted is removed by one that starts this much later.
LONGEST_RUN = timedelta(days=2)
# Part of each digest: with another number the next import writes all foods anew. Raise it when
# records become foods by other rules.
RULES = b"1"
# What a digest is made of: all but where the record stands, and what only filters look at.
said_by = attrgetter(*(name for name in Record.__slots__ if name not in ("place", "countries")))
# What phones see; a change of it counts as an update.
SERVED = (
    *("name", "brand", "unit", "language", *COLUMNS_100G),
    *("barcode", "portions", "doubtful"),
)
WRITTEN = (
    *SERVED,
    *("name_key", "words", "gtin_14"),
    *("is_generic", "popularity", "source_updated_at", "source_digest"),
)
STAGED = ("id", "source_id", *WRITTEN)
staged = itemgetter(*STAGED)
# The columns of a food, and of several by their ids.
Row = dict[str, Any]
Rows = dict[UUID, Row]
# What was changed, what was new, and the ids of what broke a rule.
Written = tuple[Rows, Rows, list[UUID]]


def _columns(names: Iterable[str], table: str = "") -> str:
    return ", ".join(f"{table}.{name}" if table else name for name in names)


# Note which foods a run has met, and return those that it had not met before.
MEET = """
INSERT INTO catalog_seen (run, food_id) SELECT %(run)s, unnest(%(ids)s::uuid[])
ON CONFLICT DO NOTHING RETURNING food_id
"""
# A batch is small beside the table, which the planner would rather read whole.
SETTINGS = """
SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('jit', 'off', true)
"""
CREATE = f"""
CREATE TEMPORARY TABLE staged AS
SELECT {_columns(STAGED)} FROM catalog_foods WITH NO DATA
"""  # noqa: S608  # our own columns, here and below
COPY = f"COPY staged ({_columns(STAGED)}) FROM STDIN"
UPDATE = f"""
UPDATE catalog_foods SET ({_columns(WRITTEN)}) = ROW ({_columns(WRITTEN, "staged")}),
    withdrawn_at = NULL,
    updated_at = CASE
        WHEN withdrawn_at IS NULL AND ({_columns(SERVED, "catalog_foods")})
            IS NOT DISTINCT FROM ({_columns(SERVED, "staged")})
        THEN updated_at ELSE %(now)s
    END
FROM staged WHERE catalog_foods.id = staged.id
"""  # noqa: S608
INSERT = f"""
INSERT INTO catalog_foods
    ({_columns(STAGED)}, source, is_hidden, created_at, updated_at)
SELECT {_columns(STAGED)}, %(source)s, false, %(now)s, %(now)s FROM staged
ON CONFLICT DO NOTHING
"""  # noqa: S608


@dataclass
class Stored:
    """What is known of a food before a batch is written.

    Attributes:
        is_first: whether the run meets it for the first time.
        exists: whether it is in the catalog; the rest is what the catalog has of it.
    """

    is_first: bool
    exists: bool = False
    digest: int | None = None
    updated_at: datetime | None = None
    is_withdrawn: bool = False


# Of a food that is new to the run and to the catalog.
UNKNOWN = Stored(True)


@dataclass
class Filters:
    """Which of a file's records are wanted. What is empty filters nothing."""

    languages: frozenset[str] = frozenset()
    countries: frozenset[str] = frozenset()
    min_scans: int = 0

    def want(self, record: Record) -> bool:
        return (
            record.popularity >= self.min_scans
            and (not self.languages or record.language in self.languages)
            and (not self.countries or not self.countries.isdisjoint(record.countries))
        )


@dataclass
class Import:
    """One run over the files of a source.

    Attributes:
        source: whose foods they are.
        filters: which of them are wanted.
        is_dry: whether to write no food, and only count.
        writer: writes a batch while the next one is read; see `one_writer()`.
        refuse: called with place, source id and reason for each record that is refused.
        counts: how many records were `new`, `changed`, `unchanged`, `older` than what is stored,
            `repeated` in the file, `unwanted` by the filters, `refused`, and foods `withdrawn`.
        reasons: how many records were refused for each reason.
    """

    source: Source
    filters: Filters = field(default_factory=Filters)
    is_dry: bool = False
    writer: Executor | None = None
    refuse: Callable[[str, str, str], Any] = lambda place, source_id, reason: None
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    run: datetime = field(default_factory=timezone.now)
    # The batch that is being written, and its records.
    _writing: Future[Written] | None = None
    _records: dict[UUID, Record] = field(default_factory=dict)

    def records(self, records: Iterable[Record | Unreadable]) -> Iterator[int]:
        """Import records, and yield after each batch how many records it had.

        With a `writer`, the batch may still be being written then; at the end all are.
        """
        Seen.objects.filter(run__lt=self.run - LONGEST_RUN).delete()
        try:
            for batch in _batches(records):
                self._batch(batch)
                yield len(batch)
        finally:
            self._wait()

    def finish(self) -> None:
        """Note that the files were imported to their end."""
        if not self.is_dry:
            self.source.change(imported_at=timezone.now())

    def forget(self) -> None:
        """Remove what was noted during the run."""
        for slice_ in slices("food_id"):
            Seen.objects.filter(run=self.run, **slice_).delete()

    def withdraw(self, *, force: bool = False) -> None:
        """Withdraw the foods of the source that no file of this run had.

        Args:
            force: also if they are many.

        Raises:
            Conflict: they are more than 5 % of the source's foods; nothing was withdrawn.
        """
        missing = sum(self._missing(slice_).count() for slice_ in slices("id"))
        self.source.refresh_from_db()
        if missing > self.source.foods * MAX_WITHDRAWN and not force:
            raise Conflict(
                f"{missing} of {self.source.foods} foods are not in the file. That is more than "
                f"{MAX_WITHDRAWN:.0%}: nothing was withdrawn"
            )
        if self.is_dry:
            self.counts["withdrawn"] += missing
            return
        now = timezone.now()
        for slice_ in slices("id"):
            self.counts["withdrawn"] += self._missing(slice_).update(withdrawn_at=now)

    def _missing(self, slice_: Mapping[str, Any]) -> Any:
        seen = Seen.objects.filter(run=self.run).values("food_id")
        foods = Food.objects.filter(source=self.source.pk, withdrawn_at=None, **slice_)
        return foods.exclude(id__in=seen)

    def _batch(self, batch: list[Record | Unreadable]) -> None:
        """Find out what is new or changed of a batch, and have it written."""
        records: dict[UUID, Record] = {}
        # What the file has, wanted or not, is not withdrawn.
        met: set[UUID] = set()
        for record in batch:
            key = food_id(self.source.pk, record.source_id)
            if record.source_id:
                met.add(key)
            if isinstance(record, Unreadable):
                self._refuse(record, record.reason)
            elif not self.filters.want(record):
                self.counts["unwanted"] += 1
            else:
                other = records.setdefault(key, record)
                if other is not record:
                    self.counts["repeated"] += 1
                    if is_newer(record.updated_at, other.updated_at):
                        records[key] = record
        stored = self._stored(met)
        rows: dict[UUID, Row] = {}
        for key, record in records.items():
            digest = digest_of(record)
            kind = kind_of(record, digest, stored.get(key, UNKNOWN))
            if kind in ("new", "changed"):
                try:
                    rows[key] = row_of(key, clean_food(record), digest)
                except Refused as refusal:
                    self._refuse(record, str(refusal))
            else:
                self.counts[kind] += 1
        changed = {key: row for key, row in rows.items() if stored.get(key, UNKNOWN).exists}
        new = {key: row for key, row in rows.items() if key not in changed}
        self._wait()
        self._records = records
        if self.is_dry:
            self._count((changed, new, []))
        elif self.writer is None:
            self._count(self._write(changed, new))
        else:
            self._writing = self.writer.submit(self._write, changed, new)

    def _stored(self, ids: set[UUID]) -> dict[UUID, Stored]:
        """Note that foods were met, and return what is stored of them, if they are not new."""
        with connection.cursor() as cursor:
            cursor.execute(MEET, {"ids": list(ids), "run": self.run})
            first = {key for (key,) in cursor.fetchall()}
        if len(first) < len(ids):
            # The batch before may have these foods: it has to be written before they are read.
            self._wait()
        known = Food.objects.filter(pk__any_of=ids).values_list(
            "pk", "source_digest", "source_updated_at", "withdrawn_at"
        )
        stored = {key: Stored(False) for key in ids - first}
        for key, digest, updated_at, withdrawn_at in known:
            stored[key] = Stored(key in first, True, digest, updated_at, withdrawn_at is not None)
        return stored

    def _wait(self) -> None:
        """Wait until the batch before is written."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            self._count(writing.result())

    def _count(self, written: Written) -> None:
        changed, new, refused = written
        self.counts.update("changed" if key in changed else "new" for key in (*changed, *new))
        for key in refused:
            self._refuse(self._records[key], "macros over 105 g, beside a correction")

    def _refuse(self, record: Record | Unreadable, reason: str) -> None:
        self.counts["refused"] += 1
        self.reasons[reason] += 1
        self.refuse(record.place, record.source_id, reason)

    def _write(self, changed: Rows, new: Rows) -> Written:
        """Write rows, and return which were changed and new, and which broke a rule."""
        with transaction.atomic():
            refused = self._correct(changed)
            self._save(UPDATE, changed)
            self._save(INSERT, new)
        return changed, new, refused

    def _correct(self, rows: Rows) -> list[UUID]:
        """Put operators' corrections into rows; note for review where the source changed its mind.

        The rows are locked first, so that no correction is made in between. A row that breaks a
        rule together with its corrections is left out, and its id returned.
        """
        ids = list(rows)
        locked = Food.objects.filter(pk__any_of=ids).order_by("pk")
        list(locked.select_for_update(no_key=True).values_list("pk"))
        corrections = Correction.objects.in_force().filter(food__pk__any_of=ids)
        for correction in corrections.exclude(field="is_hidden"):
            row, name = rows[correction.food_id], correction.field
            said = plain(row[name])
            if said != correction.source_value:
                correction.source_value, correction.review_since = said, timezone.now()
                correction.save()
            row[name] = Food.parse(name, correction.value)
            row["is_corrected"] = True
        refused = []
        for key in [key for key, row in rows.items() if row.pop("is_corrected", False)]:
            row = rows[key]
            row["gtin_14"] = gtin.to_gtin_14(row["barcode"]) if row["barcode"] else None
            row["name_key"], row["words"] = name_key_and_words(row["name"], row["brand"])
            if sum(row[macro] or 0 for macro in MACROS_100G) > MAX_MACROS_100G:
                del rows[key]
                refused.append(key)
        return refused

    def _save(self, statement: str, rows: Rows) -> None:
        """Update or insert rows by way of a temporary table."""
        if not rows:
            return
        with connection.cursor() as cursor:
            cursor.execute(CREATE)
            with cursor.cursor.copy(COPY) as copy:
                for row in rows.values():
                    copy.write_row(staged(row))
            cursor.execute("ANALYZE staged")
            cursor.execute(SETTINGS)
            values: dict[str, Any] = {"now": timezone.now(), "source": self.source.pk}
            cursor.execute(statement, values)
            cursor.execute("DROP TABLE staged")


def is_newer(moment: datetime | None, other: datetime | None) -> bool:
    """Return whether a moment is known to be later than another."""
    return moment is not None and other is not None and moment > other


def kind_of(record: Record, digest: int, stored: Stored) -> str:
    """Return what a record means for what is stored; see `Import.counts`."""
    if not stored.exists:
        return "new"
    if is_newer(stored.updated_at, record.updated_at):
        return "older"
    if stored.digest == digest and not stored.is_withdrawn:
        return "unchanged"
    if not stored.is_first and not is_newer(record.updated_at, stored.updated_at):
        return "repeated"
    return "changed"


def digest_of(record: Record) -> int:
    """Return 64 bits of a digest of all that the source says of a food."""
    said = said_by(record)
    try:
        text = orjson.dumps(said)
    except TypeError:  # numbers of 20 digits, halves of surrogate pairs
        text = repr(said).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8, salt=RULES).digest()
    return int.from_bytes(digest, signed=True)


def row_of(key: UUID, food: CleanFood, digest: int) -> Row:
    """Return the columns of a food."""
    key_of_name, words = name_key_and_words(food.name, food.brand)
    return {
        "id": key,
        "source_id": food.source_id,
        "name": food.name,
        "name_key": key_of_name,
        "words": words,
        "brand": food.brand,
        "unit": food.unit,
        "language": food.language,
        **dict(zip(COLUMNS_100G, (food.kcal, *food.values), strict=True)),
        "barcode": food.barcode,
        "gtin_14": food.gtin_14,
        "portions": orjson.dumps(food.portions).decode() if food.portions else "[]",
        "doubtful": food.doubtful,
        "is_generic": food.is_generic,
        "popularity": food.popularity,
        "source_updated_at": food.updated_at,
        "source_digest": digest,
    }


@contextmanager
def one_writer() -> Iterator[Executor | None]:
    """Yield a `writer`: a thread with a connection of its own, which is closed in the end."""
    with ThreadPoolExecutor(1) as writer:
        try:
            yield writer
        finally:
            writer.submit(connections.close_all)


def _batches(records: Iterable[T]) -> Iterator[list[T]]:
    """Yield lists of records. Where reading fails, first those that were read."""
    batch: list[T] = []
    try:
        for record in records:
            batch.append(record)
            if len(batch) == BATCH:
                yield batch
                batch = []
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def slices(column: str) -> Iterator[dict[str, Any]]:
    """Yield filters that cut all ids into 256 parts, so that a statement stays short."""
    for byte in range(256):
        first = UUID(bytes=bytes([byte]) + bytes(15))
        last = UUID(bytes=bytes([byte]) + b"\xff" * 15)
        yield {f"{column}__range": (first, last)}
