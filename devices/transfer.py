"""Export a device with all its rows as JSON, and import it into another database."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone

from countonme.api.json import stream_tables
from countonme.scope.derived import DerivedField
from countonme.scope.exceptions import Conflict
from countonme.scope.models import DeviceScoped, device_scoped_models
from countonme.scope.snapshot import snapshot
from devices.models import Device, Phone

FORMAT = "countonme-device-1"
DEVICE_FIELDS = ["id", "created_at", "revision", "purged_revision"]
PHONE_FIELDS = ["id", "name", "created_at", "last_seen_at", "signed_out_at"]
BATCH = 1000


def export(device: Device) -> Iterator[bytes]:
    """Yield a device and all its rows as JSON, deleted ones included, as one consistent snapshot.

    Decimals and timestamps are strings, so that nothing is rounded. Tokens and their hashes are
    left out.
    """
    with snapshot():
        device = Device.objects.get(pk=device.pk)
        head = {
            "format": FORMAT,
            "exported_at": timezone.now().isoformat(),
            "device": _values(device, _fields(Device, DEVICE_FIELDS)),
            "phones": [
                _values(phone, _fields(Phone, PHONE_FIELDS)) for phone in device.phones.in_order()
            ],
        }
        tables = (
            (model._meta.db_table, _exported(model, device)) for model in device_scoped_models()
        )
        yield from stream_tables(head, tables)


def load(exported: Any) -> tuple[Device, str]:
    """Create the device of an export with all its rows; return it with a token of its first phone.

    An export has no tokens. So the other phones come in as signed out, and pair anew.

    Its revision is greater than the exported one, so that a phone that synced with the old database
    sees every row as changed. The file of an earlier version lacks the tables and columns added
    since: those tables stay empty, and those columns get their defaults.

    Raises:
        Conflict: a device with this id exists here.
        ValidationError: this is no export, or a value is none of its column.
        DataError: a text is too long for its column, or has NUL in it.
        IntegrityError: an id occurs twice, or a row breaks a constraint of the database.
    """
    if not isinstance(exported, dict) or exported.get("format") != FORMAT:
        raise ValidationError(f"This is no export of the format {FORMAT}.")
    try:
        tables = exported["rows"]
        rows = {model: tables.get(model._meta.db_table, []) for model in device_scoped_models()}
        device = Device(**_read(_fields(Device, DEVICE_FIELDS), exported["device"]))
        if Device.objects.filter(pk=device.pk).exists():
            raise Conflict(f"Device {device.pk} is here already")
        phones, token = _phones(device, exported)
        with transaction.atomic():
            device.save(force_insert=True)
            Phone.objects.bulk_create(phones)
            for model, values in rows.items():
                instances = _instances(model, device, values)
                while batch := list(islice(instances, BATCH)):
                    model.objects.for_device(device).bulk_save(batch, insert=True)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValidationError("This export is incomplete.") from error
    device.refresh_from_db()
    return device, token


def _fields(model: type[models.Model], names: list[str]) -> list[Any]:
    return [model._meta.get_field(name) for name in names]


def _phones(device: Device, exported: dict[str, Any]) -> tuple[list[Phone], str]:
    """Return the phones of an export, unsaved, and the first one's token.

    In an earlier version's file a device was a phone, and had been seen itself.
    """
    earlier = {
        "id": str(device.pk),
        "created_at": exported["device"]["created_at"],
        "last_seen_at": exported["device"].get("last_seen_at"),
    }
    fields = _fields(Phone, PHONE_FIELDS)
    rows = [_read(fields, row) for row in exported.get("phones", [earlier])]
    own = next((row for row in rows if row["id"] == device.pk), {"id": device.pk})
    first, token = Phone.with_new_token(device, **own | {"signed_out_at": None})
    now = timezone.now()
    others = [
        Phone(
            device=device, **row | {"name": None, "signed_out_at": row.get("signed_out_at") or now}
        )
        for row in rows
        if row is not own
    ]
    return [first, *others], token


def _exported(model: type[DeviceScoped], device: Device) -> Iterator[list[dict[str, Any]]]:
    """Yield all rows of a device in batches, deleted ones included."""
    columns = _columns(model)
    rows = model.all_objects.for_device(device).order_by("pk").iterator(chunk_size=BATCH)
    while batch := list(islice(rows, BATCH)):
        yield [_values(row, columns) for row in batch]


def _columns(model: type[DeviceScoped]) -> list[models.Field[Any, Any]]:
    """Return the columns to export: all but the device, and those that are set at every save."""
    return [
        field
        for field in model._meta.concrete_fields
        if not isinstance(field, DerivedField) and field.name not in ("device", "revision")
    ]


def _instances(
    model: type[DeviceScoped], device: Device, rows: list[dict[str, Any]]
) -> Iterator[DeviceScoped]:
    columns = _columns(model)
    for row in rows:
        yield model(device=device, **_read(columns, row))


def _values(row: models.Model, fields: list[Any]) -> dict[str, Any]:
    values = {}
    for field in fields:
        value = getattr(row, field.attname)
        plain = value is None or isinstance(value, bool | int)
        values[field.attname] = value if plain else field.value_to_string(row)
    return values


def _read(fields: list[Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of fields as Python objects.

    Raises:
        KeyError: a value is missing, and its column has no default and can't be null.
    """
    # A column that a later version adds is null or has a default, since older exports lack it. An
    # id has a default too, but no export lacks it.
    optional = {field.attname for field in fields if field.null or field.has_default()} - {"id"}
    return {
        field.attname: field.to_python(values[field.attname])
        for field in fields
        if field.attname in values or field.attname not in optional
    }
