"""What operators' commands do to devices and to what they own, in batches beside live traffic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, ForeignObjectRel, OuterRef, Q, QuerySet

from countonme.models import DeviceScoped, device_scoped_models
from devices.models import Device

BATCH = 1000


def purgeable(
    model: type[DeviceScoped], before: datetime, *, foresee: bool = False
) -> QuerySet[DeviceScoped]:
    """Return the rows to purge: deleted before a moment, or an erased device's, deleted or not.

    Rows that another row names stay: the diary keeps what it was worked out from. With `foresee`,
    those are counted in that only rows name that are to be purged themselves.
    """
    rows = model.all_objects.across_devices().filter(
        Q(deleted_at__lt=before) | Q(device__erased_at__isnull=False)
    )
    for relation in model._meta.related_objects:
        naming = _naming(relation)
        if foresee:
            gone = purgeable(naming.model, before, foresee=True)
            naming = naming.exclude(pk__in=gone.values("pk"))
        rows = rows.exclude(Exists(naming))
    return rows


def purge(model: type[DeviceScoped], before: datetime) -> Iterator[int]:
    """Hard-delete purgeable rows, a batch a transaction; yield how many each removed."""
    last: UUID | None = None
    while True:
        with transaction.atomic():
            rows = purgeable(model, before).order_by("pk")
            if last is not None:
                rows = rows.filter(pk__gt=last)
            batch = list(rows.values_list("pk", "device_id")[:BATCH])
            if not batch:
                return
            owners = {device_id for _, device_id in batch}
            list(Device.objects.select_for_update(no_key=True).filter(pk__in=owners).order_by("pk"))
            # Asked again under the locks: meanwhile a row may have been restored, or named.
            doomed = purgeable(model, before).filter(pk__in=[pk for pk, _ in batch])
            ids = list(doomed.values_list("pk", flat=True))
            removed = model.all_objects.across_devices().filter(pk__in=ids).hard_delete()
        last = batch[-1][0]
        yield removed


def purge_all(before: datetime) -> Iterator[tuple[type[DeviceScoped], int]]:
    """Purge every device-scoped model, those that name others first."""
    for model in reversed(device_scoped_models()):
        for removed in purge(model, before):
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


def _naming(relation: ForeignObjectRel) -> QuerySet[DeviceScoped]:
    """Return the rows that name the outer row by a foreign key."""
    model: type[DeviceScoped] = relation.related_model  # type: ignore[assignment]  # by its key
    return model.all_objects.across_devices().filter(
        **{relation.field.attname: OuterRef("pk"), "device_id": OuterRef("device_id")}
    )
