"""What a phone changed offline, applied at once: record by record valid or left out by name.

The protocol is WatermelonDB's ("Implementing your Sync backend"). All is worked out first, of rows
that a fixed number of queries reads, and then written by statements that take all rows of a
table. A push that is repeated finds all as it left it: nothing is changed, and nothing conflicts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import Count
from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import get_error_detail

from countonme.scope.exceptions import Conflict, Missing
from countonme.scope.models import DeviceScoped
from devices.models import Device
from entries.models import FoodEntry
from goals.models import BodyWeight
from products.models import Portion, Product
from sync.tables import TABLES, Table, parse_phone_id

CHANGED = "Something pushed has changed on the server: pull first"
WAS_DELETED = "This record was deleted"
OTHER_PRODUCT = "A portion stays with its product"
NO_ID = "Not a UUID in lower case"
UNKNOWN_TABLE = "No table of this name is synced"

Changes = Mapping[str, Mapping[str, list[Any]]]


def push(device: Device, after: int, changes: Changes) -> dict[str, Any]:
    """Apply what a phone changed, in a transaction that has locked the device.

    Args:
        after: the revision that the phone pulled last.
        changes: of a shape that was checked.

    Returns:
        What was left out, and why.

    Raises:
        Conflict: the server changed or deleted some of it after that revision, or can't tell.
    """
    if not device.purged_revision <= after <= device.revision:
        raise Conflict(CHANGED)
    pushed = Push(device, after, changes)
    pushed.judge()
    pushed.write()
    rejected = {name: part.rejected for name, part in pushed.parts.items() if part.rejected}
    rejected |= of_unknown_tables(changes)
    return {
        "experimentalRejectedIds": {name: list(whys) for name, whys in rejected.items()},
        "rejected": rejected,
    }


def of_unknown_tables(changes: Changes) -> dict[str, dict[str, str]]:
    """Return why whatever stands in tables that are not synced is left out, by table and id."""
    unknown = {name: table for name, table in changes.items() if name not in TABLES}
    ids = {
        name: [
            *(record["id"] for kind in ("created", "updated") for record in table.get(kind, ())),
            *table.get("deleted", ()),
        ]
        for name, table in unknown.items()
    }
    return {name: dict.fromkeys(listed, UNKNOWN_TABLE) for name, listed in ids.items() if listed}


class Part:
    """What a push says of one table, and what becomes of it."""

    def __init__(self, table: Table, changes: Mapping[str, list[Any]]) -> None:
        self.table = table
        self.model: Any = table.model
        self.rejected: dict[str, str] = {}
        # By id, and in the order in which they count: of two of one id the later.
        self.records: dict[UUID, dict[str, Any]] = {}
        self.doomed: set[UUID] = set()
        # What the phone takes for new; where it is here already, an answer was lost.
        self.created: set[UUID] = set()
        # Rows before and after.
        self.stored: dict[UUID, Any] = {}
        self.rows: dict[UUID, Any] = {}
        for record in (*changes.get("updated", ()), *changes.get("created", ())):
            key = parse_phone_id(record["id"])
            if key is None:
                self.rejected[record["id"]] = NO_ID
            else:
                self.records.pop(key, None)
                self.records[key] = record
        self.created = {
            key for record in changes.get("created", ()) if (key := parse_phone_id(record["id"]))
        }
        for text in changes.get("deleted", ()):
            key = parse_phone_id(text)
            if key is None:
                self.rejected[text] = NO_ID
            else:
                self.records.pop(key, None)
                self.created.discard(key)
                self.doomed.add(key)

    def load(self, device: Device, others: Iterable[UUID] = ()) -> None:
        """Read the stored rows that the push names here, and others."""
        named = {*self.records, *self.doomed, *others}
        self.stored |= self.model.all_objects.for_device(device).of_ids(named) if named else {}
        self.doomed &= self.stored.keys()

    def ids_in(self, column: str) -> set[UUID]:
        """Return the ids that records and stored rows have in a column."""
        sent = (record.get(column) for record in self.records.values())
        ids = {parse_phone_id(value) for value in sent}
        ids |= {getattr(row, column) for row in self.stored.values()}
        return {key for key in ids if key is not None}

    def reject(self, key: UUID, why: str) -> None:
        """Leave a record out."""
        self.records.pop(key, None)
        self.rows.pop(key, None)
        self.rejected[str(key)] = why

    def find(self, key: UUID | None) -> Any:
        """Return a row as it will be, be it deleted, or None."""
        return None if key is None else self.rows.get(key) or self.stored.get(key)

    def is_live(self, key: UUID) -> bool:
        """Whether a row will be live."""
        row = self.find(key)
        return row is not None and row.deleted_at is None and key not in self.doomed

    def was_live(self, key: UUID) -> bool:
        """Whether a row is live before the push."""
        return key in self.stored and self.stored[key].deleted_at is None

    def is_changed(self, key: UUID) -> bool:
        """Whether a row becomes another, or is new."""
        old, new = self.stored.get(key), self.rows[key]
        columns = self.table.columns
        return old is None or any(getattr(old, name) != getattr(new, name) for name in columns)

    def is_kept_otherwise(self, key: UUID) -> bool:
        """Whether a row is something else than the phone wrote: rounded, normalised, put right."""
        if key not in self.records:
            return False
        sent, kept = self.records[key], self.table.represent(self.rows[key])
        return any(name in sent and sent[name] != value for name, value in kept.items())

    def is_stale(self, key: UUID, after: int) -> bool:
        """Whether the server wrote a row after a revision, unless the phone takes it for new."""
        old = self.stored.get(key)
        return old is not None and old.revision > after and key not in self.created

    def refuse_conflicts(self, after: int) -> None:
        """Refuse what the server changed or deleted since a revision.

        Raises:
            Conflict: there is such a thing.
        """
        for key in (*self.records, *self.doomed):
            if not self.is_stale(key, after):
                continue
            if self.was_live(key) and (key in self.doomed or self.is_changed(key)):
                raise Conflict(CHANGED)

    def save(self, device: Device, after: int, now: datetime) -> None:
        """Insert and update rows, so that the next pull brings all that the phone has otherwise.

        A row that is new and goes at once is stored as one that was deleted. One that stays as it
        is, but is not what the phone wrote, gets a new revision alone.
        """
        new, changed = [], []
        for place, (key, row) in enumerate(self.rows.items()):
            old = self.stored.get(key)
            # A pull keeps their order.
            moment = now + timedelta(microseconds=place)
            if old is None:
                row.created_at = moment
                row.deleted_at = now if key in self.doomed else None
                new.append(row)
            elif key in self.doomed:
                continue
            elif self.is_changed(key):
                row.updated_at = moment
                changed.append(row)
            elif old.revision <= after and self.is_kept_otherwise(key):
                # The trigger stamps a row that differs.
                row.revision += 1
                changed.append(row)
        rows = self.model.all_objects.for_device(device)
        rows.bulk_save(changed, insert=False)
        rows.bulk_save(new, insert=True)


class Push:
    """One push, from what is stored to what will be."""

    def __init__(self, device: Device, after: int, changes: Changes) -> None:
        self.device = device
        self.after = after
        self.parts = {name: Part(table, changes.get(name, {})) for name, table in TABLES.items()}
        self.products = self.parts[Product._meta.db_table]
        self.portions = self.parts[Portion._meta.db_table]
        self.entries = self.parts[FoodEntry._meta.db_table]
        self.weights = self.parts[BodyWeight._meta.db_table]

    def judge(self) -> None:
        """Work out what every row becomes, and which records are left out.

        Raises:
            Conflict: a record meets what the server changed since.
        """
        self._load()
        for part in self.parts.values():
            for key, record in list(part.records.items()):
                try:
                    part.rows[key] = self._become(part, key, record)
                except (serializers.ValidationError, ModelValidationError) as error:
                    part.reject(key, _sentence(error))
                except Missing as error:
                    part.reject(key, str(error))
            # What goes by the push itself is none that was deleted before, when it is repeated.
            if part is self.portions:
                self._let_portions_go()
            elif part is self.weights:
                self._let_weights_go()
            self._refuse_deleted(part)
            self._keep_to_quota(part)
        self._choose_defaults()
        for part in self.parts.values():
            part.refuse_conflicts(self.after)

    def _load(self) -> None:
        """Read all that is named: first entries, then what they name, and so on."""
        for part in reversed(self.parts.values()):
            if part is self.portions:
                part.load(self.device, self.entries.ids_in("portion_id"))
                # Whichever may become the default, or be the last.
                owners = {*self.products.records, *part.ids_in("product_id")}
                rows = Portion.objects.for_device(self.device).filter(product_id__any_of=owners)
                part.stored |= {row.pk: row for row in rows} if owners else {}
            elif part is self.products:
                named = self.entries.ids_in("product_id") | self.portions.ids_in("product_id")
                part.load(self.device, named)
            else:
                part.load(self.device)

    def _become(self, part: Part, key: UUID, record: dict[str, Any]) -> DeviceScoped:
        """Return the row that a record makes of the stored one, or anew.

        Raises:
            ValidationError, Missing: it breaks a rule of its own.
        """
        old = part.stored.get(key)
        if part is self.entries:
            record = self._without_unknown(key, record)
        values = part.table.read(record, is_new=old is None)
        row: Any = part.model(device_id=self.device.pk, id=key) if old is None else copy(old)
        if part is self.entries:
            values = row.settled(values, self._find)
        elif part is self.portions and old is not None:
            if values.get("product_id", old.product_id) != old.product_id:
                raise serializers.ValidationError(OTHER_PRODUCT)
        elif part is self.portions and not self.products.find(values["product_id"]):
            raise Missing(Product)
        for name, value in values.items():
            setattr(row, name, value)
        row.clean()
        return row

    def _without_unknown(self, key: UUID, record: dict[str, Any]) -> dict[str, Any]:
        """Return an entry's record without what the server never had, if it can stand so.

        Raises:
            Missing: it can't.
        """
        product, portion = (
            parse_phone_id(record.get(name)) for name in ("product_id", "portion_id")
        )
        if product is not None and self.products.find(product) is None:
            if record.get("name") is None or record.get("kcal") is None:
                raise Missing(Product)
            return record | {"product_id": None, "portion_id": None, "quantity": None}
        if product and portion and self.portions.find(portion) is None:
            if record.get("grams") is None:
                raise Missing(Portion)
            return record | {"portion_id": None, "quantity": None}
        return record

    def _find(self, model: type[DeviceScoped], key: UUID) -> Any:
        row = self.parts[model._meta.db_table].find(key)
        if row is None:
            raise Missing(model)
        return row

    def _let_portions_go(self) -> None:
        """Have the portions of a product that is deleted now go with it, whatever they say."""
        for key, row in list(self.portions.rows.items()):
            if row.product_id in self.products.doomed:
                self.portions.doomed.add(key)
            elif not self.products.is_live(row.product_id) and key not in self.portions.stored:
                self.portions.reject(key, str(Missing(Product)))

    def _let_weights_go(self) -> None:
        """Have each day keep the weight that comes last; the others are deleted.

        A weight that was deleted before is none that comes last.
        """
        last: dict[Any, list[UUID]] = defaultdict(list)
        for key, row in self.weights.rows.items():
            if row.deleted_at is None:
                self.weights.doomed.update(last.pop(row.date, ()))
            last[row.date].append(key)

    def _refuse_deleted(self, part: Part) -> None:
        """Leave records out whose rows were deleted by the time of the last pull."""
        for key in list(part.rows):
            old = part.stored.get(key)
            if old is not None and old.deleted_at is not None and key not in part.doomed:
                if old.revision > self.after:
                    raise Conflict(CHANGED)
                part.reject(key, WAS_DELETED)

    def _keep_to_quota(self, part: Part) -> None:
        """Leave out, in their order, what is more than a device may have; what goes makes room."""
        quota, by = part.model.quota(), part.model.counted_by
        if quota is None or not part.rows:
            return
        limit, sentence = quota
        places = {getattr(row, by) for row in (*part.rows.values(), *part.stored.values())}
        rows = part.model.objects.for_device(self.device).filter(**{f"{by}__any_of": places})
        count = Counter(dict(rows.order_by().values_list(by).annotate(Count("pk"))))
        for key in part.doomed:
            if part.was_live(key):
                count[getattr(part.stored[key], by)] -= 1
        for key in sorted(part.rows, key=lambda key: key not in part.stored):
            old, place = part.stored.get(key), getattr(part.rows[key], by)
            if key in part.doomed or (old is not None and getattr(old, by) == place):
                continue
            if part.is_stale(key, self.after):
                raise Conflict(CHANGED)
            if count[place] >= limit:
                part.reject(key, sentence)
            else:
                count[place] += 1
                count[getattr(old, by, None)] -= 1

    def _choose_defaults(self) -> None:
        """Give every product of the push one default portion, and one portion at least."""
        part = self.portions
        of_product: dict[UUID, list[Portion]] = {key: [] for key in self.products.rows}
        for key in {**part.stored, **part.rows}:
            if part.is_live(key):
                row = part.rows.get(key) or copy(part.stored[key])
                of_product.setdefault(row.product_id, []).append(row)
            else:
                of_product.setdefault(part.find(key).product_id, [])
        sent = {key: part.rows[key].is_default for key in part.records if key in part.rows}
        chosen = {key: place for place, key in enumerate(sent, 1) if sent[key]}
        for product_id, portions in of_product.items():
            if not self.products.is_live(product_id):
                continue
            if portions:
                Portion.choose_default(portions, chosen)
            else:
                portions = [Portion.first_of(self.products.find(product_id))]
            part.rows |= {row.pk: row for row in portions}

    def write(self) -> None:
        """Write everything, in an order in which no rule of the database is broken midway."""
        now = timezone.now()
        portions = self.portions
        lost = [
            key
            for key, row in portions.rows.items()
            if portions.was_live(key) and portions.stored[key].is_default and not row.is_default
        ]
        if lost:
            self._rows(portions, lost).update(is_default=False)
        for part in reversed(self.parts.values()):
            doomed = [key for key in part.doomed if part.was_live(key)]
            if doomed and part is portions:
                # Theirs refuses the last of a product, which has another by now.
                self._rows(part, doomed).update(deleted_at=now)
            elif doomed:
                self._rows(part, doomed).delete_at(now)
        self._free_days(now)
        for part in self.parts.values():
            part.save(self.device, self.after, now)

    def _free_days(self, now: datetime) -> None:
        """Delete the weights whose days others take; those that move are live again at once."""
        part = self.weights
        coming = {key: row for key, row in part.rows.items() if key not in part.doomed}
        taken = {row.date for row in coming.values()}
        if not taken:
            return
        rows = part.model.objects.for_device(self.device).filter(date__any_of=taken)
        moving = {
            key
            for key, row in coming.items()
            if key in part.stored and part.stored[key].date != row.date
        }
        rows.exclude(pk__any_of=coming.keys() - moving).delete_at(now)
        self._rows(part, moving).delete_at(now)

    def _rows(self, part: Part, ids: Iterable[UUID]) -> Any:
        return part.model.objects.for_device(self.device).filter(pk__any_of=ids)


def _sentence(error: serializers.ValidationError | ModelValidationError) -> str:
    """Return what is wrong with a record, each column by its name."""
    if isinstance(error, ModelValidationError):
        error = serializers.ValidationError(get_error_detail(error))
    detail: Any = error.detail
    by_column = detail if isinstance(detail, dict) else {"non_field_errors": detail}
    return " ".join(
        text if name == "non_field_errors" else f"{name}: {text}"
        for name, texts in by_column.items()
        for text in texts
    )
