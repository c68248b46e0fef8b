"""Names of rows in the operators' pages and log: `<device>~<id>`.

An id alone is no name, because two devices may have the same id.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone

from countonme.scope.models import DeviceScoped
from countonme.scope.query import Key

# No UUID has this character, and Django's admin does not quote it in addresses.
SEPARATOR = "~"


def name_of(row: Model) -> str:
    """Return the name of a row: `<device>~<id>` for a row of a device, else its id."""
    return SEPARATOR.join(map(str, row.key)) if isinstance(row, DeviceScoped) else str(row.pk)


def key_of(name: str) -> Key:
    """Return the key of a row of a device from its name.

    Raises:
        ValueError: it is not the name of such a row.
    """
    device_id, id_ = name.split(SEPARATOR)
    return UUID(device_id), UUID(id_)


def change_url(row: Model) -> str:
    """Return the URL of a row's page in the admin."""
    view = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(view, args=[name_of(row)])


class NamedRow:
    """A row for Django's templates, which link to it by `pk`: here `pk` is its name."""

    def __init__(self, row: Model) -> None:
        self._row = row
        self.pk = name_of(row)

    def __str__(self) -> str:
        return str(self._row)

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._row, attribute)


def log(
    user_id: int, rows: Iterable[Model], flag: int, message: str, moment: datetime | None = None
) -> None:
    """Log what an operator did to rows, by their names; Django would log their ids.

    Args:
        moment: when it was done; now by default.
    """
    action_time = moment or timezone.now()
    LogEntry.objects.bulk_create(
        LogEntry(
            action_time=action_time,
            user_id=user_id,
            content_type=ContentType.objects.get_for_model(row),
            object_id=name_of(row),
            object_repr=str(row)[:200],
            action_flag=flag,
            change_message=message,
        )
        for row in rows
    )
