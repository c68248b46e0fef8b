"""What the maintenance commands do: purge deleted rows and erase inactive devices.

Both work in batches, each a short transaction, so that they can run beside live traffic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.core.management.base import OutputWrapper
from django.db import transaction
from django.db.models import Exists, ForeignObjectRel, OuterRef, Q, QuerySet
from django.utils import timezone
from tqdm import tqdm

from countonme.scope.models import DeviceScoped, device_scoped_models
from countonme.scope.query import DeviceScopedQuerySet, Key
from devices.models import Device, PairingCode, Phone, RecoveryKey

BATCH = 1000
Rows = DeviceScopedQuerySet[Any]
T = TypeVar("T")


def purgeable(model: type[DeviceScoped], before: datetime) -> Rows:
    """Return the rows that `purge()` would remove.

    These are the rows deleted before a moment and all rows of erased devices. A row is left out if
    another row refers to it and would stay.
    """
    rows: Rows = model.all_objects.across_devices().filter(
        Q(deleted_at__lt=before) | Q(device__erased_at__isnull=False)
    )
    for relation in model._meta.related_objects:
        referrers = _referrers(relation)
        purged_too = purgeable(referrers.model, before).filter(
            device_id=OuterRef("device_id"), pk=OuterRef("pk")
        )
        rows = rows.exclude(Exists(referrers.exclude(Exists(purged_too))))
    return rows


def purge(before: datetime) -> Iterator[tuple[type[DeviceScoped], int]]:
    """Hard-delete the purgeable rows in batches, and yield the model and row count of each batch.

    Each batch is one transaction. Rows that refer to others are removed before those. A row that
    another row still refers to stays, such as the product of a live diary entry. After an
    interruption, a second purge removes the rest.
    """
    for model in reversed(device_scoped_models()):
        rows: Rows = model.all_objects.across_devices()
        for removed in _purge_in_batches(rows.filter(deleted_at__lt=before)):
            yield model, removed
        for erased in _id_batches(Device.objects.filter(erased_at__isnull=False)):
            for removed in _purge_in_batches(rows.filter(device__in=erased)):
                yield model, removed


def forget_phones() -> int:
    """Remove what is left of phones that signed out 90 days ago, and of expired codes and keys.

    Returns:
        The number of phones.
    """
    now = timezone.now()
    _delete_in_batches(PairingCode.objects.filter(expires_at__lt=now))
    _delete_in_batches(RecoveryKey.objects.filter(expires_at__lt=now))
    return _delete_in_batches(Phone.objects.to_forget())


def erase_inactive(since: datetime) -> Iterator[int]:
    """Erase the devices not registered and not seen since a moment; yield each batch's size."""
    inactive = Device.objects.inactive_since(since)
    for ids in _id_batches(inactive):
        erased = 0
        with transaction.atomic():
            for device_id in ids:
                own = Device.objects.filter(pk=device_id)
                device = own.select_for_update(skip_locked=True, no_key=True).first()
                # Asked again under the lock: a phone may have called since it was found.
                if device is not None and inactive.filter(pk=device_id).exists():
                    device.erase()
                    erased += 1
        yield erased


def with_progress(
    out: OutputWrapper, what: str, batches: Iterable[T], size: Any, total: int | None = None
) -> Iterator[T]:
    """Yield batches unchanged, with a progress bar on a terminal, or else a line for each batch.

    Args:
        what: the plural noun to print, such as "rows".
        size: a function that returns the size of a batch.
        total: the expected sum of all sizes, if known.
    """
    bar = tqdm(total=total, unit=f" {what}", file=out, disable=not out.isatty())
    with bar:
        for batch in batches:
            yield batch
            bar.update(size(batch))
            if bar.disable:
                out.write(f"{what}: {size(batch)}")


def _purge_in_batches(rows: Rows) -> Iterator[int]:
    last: Key | None = None
    while True:
        with transaction.atomic():
            later = _after(rows, *last) if last else rows
            batch = list(_unreferenced(later).order_by("device_id", "pk").key_list()[:BATCH])
            if not batch:
                return
            found = rows.of_keys(batch)
            found.lock_devices()
            # Asked again under the locks: a row may have been restored or referred to meanwhile.
            to_delete = list(_unreferenced(found).key_list())
            removed = rows.of_keys(to_delete).hard_delete()
        last = batch[-1]
        yield removed


def _delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete rows of phones that are no rows of a diary, device by device; return their number.

    Rows that somebody else has locked are left for the next time: to wait for them, while others
    wait for rows of this batch, could be a deadlock.
    """
    total = 0
    for ids in _id_batches(Device.objects.filter(pk__in=rows.values("device"))):
        with transaction.atomic():
            for device_id in ids:
                own = rows.filter(device=device_id)
                free = list(own.select_for_update(skip_locked=True).values_list("pk", flat=True))
                total += own.filter(pk__in=free).delete()[0]
    return total


def _after(rows: Rows, device_id: UUID, pk: UUID) -> Rows:
    """Return the rows that sort after a key; the first condition is there for the index."""
    later = rows.filter(device_id__gte=device_id)
    return later.filter(Q(device_id__gt=device_id) | Q(pk__gt=pk))


def _id_batches(devices: QuerySet[Device]) -> Iterator[list[UUID]]:
    last: UUID | None = None
    while True:
        later = devices.filter(pk__gt=last) if last else devices
        batch = list(later.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not batch:
            return
        last = batch[-1]
        yield batch


def _unreferenced(rows: Rows) -> Rows:
    """Leave out the rows that any row refers to."""
    for relation in rows.model._meta.related_objects:
        rows = rows.exclude(Exists(_referrers(relation)))
    return rows


def _referrers(relation: ForeignObjectRel) -> Rows:
    """Return the rows whose foreign key refers to the row of the outer query."""
    model: Any = relation.related_model
    outer_row = {relation.field.attname: OuterRef("pk"), "device_id": OuterRef("device_id")}
    rows: Rows = model.all_objects.across_devices().filter(**outer_row)
    return rows
