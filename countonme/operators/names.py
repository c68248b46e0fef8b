"""How operators' pages and their log name a row: by its device and its id."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.urls import reverse

from countonme.scope.models import DeviceScoped
from countonme.scope.query import Key

# In no UUID, and nothing that Django's admin quotes in an address.
BETWEEN = "~"


def name_of(row: Model) -> str:
    """Return what names a row among all of its model: its id, of a device's row with the device."""
    return BETWEEN.join(map(str, row.key)) if isinstance(row, DeviceScoped) else str(row.pk)


def key_of(name: str) -> Key:
    """Return the device and the id that name a row of a device.

    Raises:
        ValueError: it is no such name.
    """
    device_id, id_ = name.split(BETWEEN)
    return UUID(device_id), UUID(id_)


def page_of(row: Model) -> str:
    """Return the address of a row's page."""
    view = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(view, args=[name_of(row)])


class Named:
    """A row for templates, which link to it by its `pk`: that is its name."""

    def __init__(self, row: Model) -> None:
        self._row = row
        self.pk = name_of(row)

    def __str__(self) -> str:
        return str(self._row)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._row, attribute)


def log(user_id: int, rows: Iterable[Model], flag: int, message: str) -> None:
    """Write into the log what an operator did to rows; Django would name them by their ids."""
    LogEntry.objects.bulk_create(
        LogEntry(
            user_id=user_id,
            content_type=ContentType.objects.get_for_model(row),
            object_id=name_of(row),
            object_repr=str(row)[:200],
            action_flag=flag,
            change_message=message,
        )
        for row in rows
    )
