"""What operators' commands do to devices and to what they own, in batches beside live traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.core.management.base import OutputWrapper
from django.db import transaction
from django.db.models import Exists, ForeignObjectRel, OuterRef, Q, QuerySet
from tqdm import tqdm

from countonme.scope.models import DeviceScoped, device_scoped_models
from countonme.scope.query import DeviceScopedQuerySet, Key
from devices.models import Device

BATCH = 1000
Rows = DeviceScopedQuerySet[Any]
T = TypeVar("T")


def purgeable(model: type[DeviceScoped], before: datetime) -> Rows:
    """Return the rows that a purge would remove: deleted before a moment, or an erased device's.

    Those that only rows name that are to be purged themselves are counted in.
    """
    rows: Rows = model.all_objects.across_devices().filter(
        Q(deleted_at__lt=before) | Q(device__erased_at__isnull=False)
    )
    for relation in model._meta.related_objects:
        naming = _naming(relation)
        gone = purgeable(naming.model, before).filter(
            device_id=OuterRef("device_id"), pk=OuterRef("pk")
        )
        rows = rows.exclude(Exists(naming.exclude(Exists(gone))))
    return rows


def purge(before: datetime) -> Iterator[tuple[type[DeviceScoped], int]]:
    """Hard-delete purgeable rows, those first that name others; yield what each batch removed.

    Each batch is a transaction of its own. Rows that another row still names stay: the diary keeps
    what it was worked out from. After an interruption, another purge goes on.
    """
    for model in reversed(device_scoped_models()):
        rows: Rows = model.all_objects.across_devices()
        for removed in _purge(rows.filter(deleted_at__lt=before)):
            yield model, removed
        for erased in _batches(Device.objects.filter(erased_at__isnull=False)):
            for removed in _purge(rows.filter(device__in=erased)):
                yield model, removed


def erase_inactive(since: datetime) -> Iterator[int]:
    """Erase devices neither registered nor seen since a moment; yield the size of each batch."""
    while True:
        with transaction.atomic():
            found = Device.objects.inactive_since(since).order_by("pk")
            batch = list(found.select_for_update(skip_locked=True, no_key=True)[:BATCH])
            for device in batch:
                device.erase()
        if not batch:
            return
        yield len(batch)


def shown(
    out: OutputWrapper, what: str, batches: Iterable[T], size: Any, total: int | None = None
) -> Iterator[T]:
    """Pass batches on, with a progress bar on a terminal, and elsewhere with a line for each.

    Args:
        size: gives the number of rows of a batch.
    """
    bar = tqdm(total=total, unit=f" {what}", file=out, disable=not out.isatty())
    with bar:
        for batch in batches:
            yield batch
            bar.update(size(batch))
            if bar.disable:
                out.write(f"{what}: {size(batch)}")


def _purge(rows: Rows) -> Iterator[int]:
    last: Key | None = None
    while True:
        with transaction.atomic():
            later = _after(rows, *last) if last else rows
            batch = list(_unnamed(later).order_by("device_id", "pk").key_list()[:BATCH])
            if not batch:
                return
            found = rows.of_keys(batch)
            found.lock_devices()
            # Asked again under the locks: meanwhile a row may have been restored, or named.
            to_delete = list(_unnamed(found).key_list())
            removed = rows.of_keys(to_delete).hard_delete()
        last = batch[-1]
        yield removed


def _after(rows: Rows, device_id: UUID, pk: UUID) -> Rows:
    """Return the rows after one, by device and id; the first condition is what an index finds."""
    later = rows.filter(device_id__gte=device_id)
    return later.filter(Q(device_id__gt=device_id) | Q(pk__gt=pk))


def _batches(devices: QuerySet[Device]) -> Iterator[list[UUID]]:
    last: UUID | None = None
    while True:
        later = devices.filter(pk__gt=last) if last else devices
        batch = list(later.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not batch:
            return
        last = batch[-1]
        yield batch


def _unnamed(rows: Rows) -> Rows:
    for relation in rows.model._meta.related_objects:
        rows = rows.exclude(Exists(_naming(relation)))
    return rows


def _naming(relation: ForeignObjectRel) -> Rows:
    """Return the rows that name the outer row by a foreign key."""
    model: Any = relation.related_model
    named = {relation.field.attname: OuterRef("pk"), "device_id": OuterRef("device_id")}
    rows: Rows = model.all_objects.across_devices().filter(**named)
    return rows
