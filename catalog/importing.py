"""Bring foods into the catalog: in batches, each one transaction, beside live traffic.

A batch first asks which of its foods are stored as their source still has them, and leaves these
alone. Of the rest, new foods are copied into the table, and others into a temporary one, from which
they are updated by set. So a file that changes nothing writes nothing to the foods. `ON CONFLICT`
would lock and log each row that it meets. After an interruption a second run does the rest.

While a batch is written, PostgreSQL is asked for the next one, and the one after that is read.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import Any, TypeVar
from uuid import UUID

import orjson
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from catalog.models import Correction, Food, Seen, Source, food_digits, plain
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
# The columns of a food, and of several by the hexadecimal digits of their ids.
Row = dict[str, Any]
Rows = dict[str, Row]
# A food that is not stored as its source has it: its place among those that were asked for, whether
# it is stored at all, and when its source had changed what is stored.
Different = tuple[int, bool, datetime | None]
# What was changed, what was new, and the ids of what broke a rule.
Written = tuple[Rows, Rows, list[str]]


def _columns(names: Iterable[str], table: str = "") -> str:
    return ", ".join(f"{table}.{name}" if table else name for name in names)


# A batch is small beside the table, which the planner would rather read whole.
SETTINGS = """
SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)
"""
# Note which foods a run has met, and return those that it had not met before.
MEET = """
INSERT INTO catalog_seen (run, food_id) SELECT %(run)s, unnest(%(ids)s::uuid[])
ON CONFLICT DO NOTHING RETURNING food_id
"""
# What is stored of those foods that are not as their source has them. Their place counts from 1.
DIFFERENT = """
SELECT said.place, id IS NOT NULL, source_updated_at
FROM unnest(%(ids)s::uuid[], %(digests)s::bigint[]) WITH ORDINALITY AS said (key, digest, place)
LEFT JOIN catalog_foods ON id = key
WHERE (source_digest = digest AND withdrawn_at IS NULL) IS NOT TRUE
"""
CREATE = f"""
CREATE TEMPORARY TABLE staged AS
SELECT {_columns(STAGED)} FROM catalog_foods WITH NO DATA
"""  # noqa: S608  # our own columns, here and below
STAGE = f"COPY staged ({_columns(STAGED)}) FROM STDIN"
INSERT = f"""
COPY catalog_foods ({_columns(STAGED)}, source, is_hidden, created_at, updated_at) FROM STDIN
"""
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


class AtOnce(Executor):
    """Does what is submitted before it returns."""

    def submit(self, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        done.set_result(call(*args, **kwargs))
        return done


AT_ONCE = AtOnce()


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


@dataclass(slots=True)
class Batch:
    """Some records of a file, and what PostgreSQL says of them.

    Attributes:
        length: how many records it has, with those that are not wanted or can't be read.
        records: those that are wanted, by the hexadecimal digits of their foods' ids.
        digests: theirs, in the same order.
        asked: what `Import._look_up()` returns.
    """

    length: int
    records: dict[str, Record]
    digests: list[int]
    asked: Future[tuple[set[str], list[Different]]]


@dataclass
class Import:
    """One run over the files of a source.

    Attributes:
        source: whose foods they are.
        filters: which of them are wanted.
        is_dry: whether to write no food, and only count.
        asker, writer: ask for a batch and write another one, while the next one is read; see
            `two_threads()`.
        refuse: called with place, source id and reason for each record that is refused.
        counts: how many records were `new`, `changed`, `unchanged`, `older` than what is stored,
            `repeated` in the file, `unwanted` by the filters, `refused`, and foods `withdrawn`.
        reasons: how many records were refused for each reason.
    """

    source: Source
    filters: Filters = field(default_factory=Filters)
    is_dry: bool = False
    asker: Executor = AT_ONCE
    writer: Executor = AT_ONCE
    refuse: Callable[[str, str, str], Any] = lambda place, source_id, reason: None
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    run: datetime = field(default_factory=timezone.now)
    # What is being asked; the batch that is being written, and its records.
    _asking: Future[Any] | None = None
    _writing: Future[Written] | None = None
    _records: dict[str, Record] = field(default_factory=dict)

    def records(self, records: Iterable[Record | Unreadable]) -> Iterator[int]:
        """Import records, and yield after each batch how many records it had.

        With a `writer`, the batch may still be being written then; at the end all are.
        """
        Seen.objects.filter(run__lt=self.run - LONGEST_RUN).delete()
        try:
            for batch in _one_behind(map(self._ask, _batches(records))):
                self._have_written(batch)
                yield batch.length
        finally:
            if self._asking is not None:
                # What is met from now on would not be forgotten.
                wait([self._asking])
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
        seen = Seen.objects.filter(run=self.run, food_id=OuterRef("id"))
        foods = Food.objects.filter(source=self.source.pk, withdrawn_at=None, **slice_)
        # Not `NOT IN`: for each food it would read all that was seen.
        return foods.exclude(Exists(seen))

    def _ask(self, batch: list[Record | Unreadable]) -> Batch:
        """Find out which records of a batch are wanted, and have PostgreSQL asked for their foods.

        It may not know yet what the batch before writes.
        """
        records: dict[str, Record] = {}
        # What the file has, wanted or not, is not withdrawn.
        met: set[str] = set()
        source = self.source.pk
        for record in batch:
            key = food_digits(source, record.source_id)
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
        digests = [digest_of(record) for record in records.values()]
        self._asking = self.asker.submit(self._look_up, met, list(records), digests)
        return Batch(len(batch), records, digests, self._asking)

    def _look_up(
        self, met: set[str], keys: list[str], digests: list[int]
    ) -> tuple[set[str], list[Different]]:
        """Note that foods were met.

        Returns:
            Those that the run had met before, and those that are not stored as their source has
            them now.
        """
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(SETTINGS)
            cursor.execute(MEET, {"run": self.run, "ids": _array(met)})
            again = set()
            if cursor.rowcount < len(met):
                again = met - {food.hex for (food,) in cursor.fetchall()}
            cursor.execute(DIFFERENT, {"ids": _array(keys), "digests": _array(digests)})
            return again, cursor.fetchall()

    def _have_written(self, batch: Batch) -> None:
        """Find out what is new or changed of a batch, and have it written."""
        again, different = batch.asked.result()
        keys = list(batch.records)
        if again:
            # The batch before may have these foods: it has to be written before they are read.
            self._wait()
            asked = self.asker.submit(self._look_up, set(), keys, batch.digests)
            _, different = asked.result()
        if len(different) < len(keys):
            self.counts["unchanged"] += len(keys) - len(different)
        changed: Rows = {}
        new: Rows = {}
        for place, is_stored, updated_at in different:
            key = keys[place - 1]
            record = batch.records[key]
            if is_stored and is_newer(updated_at, record.updated_at):
                self.counts["older"] += 1
            elif is_stored and key in again and not is_newer(record.updated_at, updated_at):
                self.counts["repeated"] += 1
            else:
                try:
                    row = row_of(key, clean_food(record), batch.digests[place - 1])
                except Refused as refusal:
                    self._refuse(record, str(refusal))
                else:
                    (changed if is_stored else new)[key] = row
        self._wait()
        self._records = batch.records
        if self.is_dry:
            self._count((changed, new, []))
        else:
            self._writing = self.writer.submit(self._write, changed, new)

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
            self._update(changed)
            self._insert(new)
        return changed, new, refused

    def _correct(self, rows: Rows) -> list[str]:
        """Put operators' corrections into rows; note for review where the source changed its mind.

        The rows are locked first, so that no correction is made in between. A row that breaks a
        rule together with its corrections is left out, and its id returned.
        """
        if not rows:
            return []
        ids = list(map(UUID, rows))
        locked = Food.objects.filter(pk__any_of=ids).order_by("pk")
        list(locked.select_for_update(no_key=True).values_list("pk"))
        corrections = Correction.objects.in_force().filter(food__pk__any_of=ids)
        for correction in corrections.exclude(field="is_hidden"):
            row, name = rows[correction.food_id.hex], correction.field
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

    def _update(self, rows: Rows) -> None:
        """Update foods by way of a temporary table."""
        if not rows:
            return
        with connection.cursor() as cursor:
            cursor.execute(CREATE)
            with cursor.cursor.copy(STAGE) as copy:
                for row in rows.values():
                    copy.write_row(staged(row))
            cursor.execute("ANALYZE staged")
            cursor.execute(SETTINGS)
            cursor.execute(UPDATE, {"now": timezone.now()})
            cursor.execute("DROP TABLE staged")

    def _insert(self, rows: Rows) -> None:
        """Insert foods, without those that another import inserts meanwhile."""
        now = timezone.now()
        # As text, which need not be made for each row.
        rest = (self.source.pk, "f", str(now), str(now))
        left = sorted(rows)
        while left:
            try:
                with (
                    transaction.atomic(),
                    connection.cursor() as cursor,
                    connection.wrap_database_errors,
                    cursor.cursor.copy(INSERT) as copy,
                ):
                    for key in left:
                        copy.write_row(staged(rows[key]) + rest)
                return
            except IntegrityError:
                found = Food.objects.filter(pk__any_of=map(UUID, left))
                stored = {food.hex for food in found.values_list("pk", flat=True)}
                if not stored:
                    raise
                left = [key for key in left if key not in stored]


def is_newer(moment: datetime | None, other: datetime | None) -> bool:
    """Return whether a moment is known to be later than another."""
    return moment is not None and other is not None and moment > other


def digest_of(record: Record) -> int:
    """Return 64 bits of a digest of all that the source says of a food."""
    said = said_by(record)
    try:
        text = orjson.dumps(said)
    except TypeError:  # numbers of 20 digits, halves of surrogate pairs
        text = repr(said).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=8, salt=RULES).digest()
    return int.from_bytes(digest, signed=True)


def row_of(key: str, food: CleanFood, digest: int) -> Row:
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
def two_threads() -> Iterator[tuple[Executor, Executor]]:
    """Yield an `asker` and a `writer`: threads with connections of their own, closed in the end."""
    with ThreadPoolExecutor(1) as asker, ThreadPoolExecutor(1) as writer:
        try:
            yield asker, writer
        finally:
            for thread in (asker, writer):
                thread.submit(connections.close_all)


def _array(values: Iterable[Any]) -> str:
    """Return an array as PostgreSQL reads it: faster than psycopg's, which looks at each value."""
    return f"{{{','.join(map(str, values))}}}"


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


def _one_behind(items: Iterable[T]) -> Iterator[T]:
    """Yield each item once the next one is there, or can't be had."""
    before: list[T] = []
    try:
        for item in items:
            yield from before
            before = [item]
    except (Exception, KeyboardInterrupt):
        yield from before
        raise
    yield from before


def slices(column: str) -> Iterator[dict[str, Any]]:
    """Yield filters that cut all ids into 256 parts, so that a statement stays short."""
    for byte in range(256):
        first = UUID(bytes=bytes([byte]) + bytes(15))
        last = UUID(bytes=bytes([byte]) + b"\xff" * 15)
        yield {f"{column}__range": (first, last)}
