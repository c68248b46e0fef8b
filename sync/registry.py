"""The synced tables. Each app's `sync.py` registers its own, as `admin.py` registers pages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from countonme.scope.models import device_scoped_models
from sync.tables import Table

if TYPE_CHECKING:
    from sync.changes import TableChanges

C = TypeVar("C", bound="type[TableChanges]")

_registered: dict[type[Any], type[TableChanges]] = {}


def register(changes: C) -> C:
    """Sync the table of a `TableChanges`; a class decorator."""
    changes.table = Table(changes.serializer)
    _registered[changes.table.model] = changes
    return changes


@cache
def synced() -> Mapping[str, type[TableChanges]]:
    """Return the registered classes by table, each after the tables that its rows refer to."""
    models = (model for model in device_scoped_models() if model in _registered)
    return MappingProxyType({model._meta.db_table: _registered[model] for model in models})
