"""Columns that are computed from other columns."""

from __future__ import annotations

from typing import Any

from django.db import models


class DerivedField(models.TextField):  # type: ignore[type-arg]  # generic in the stubs only
    """A text computed from another field at every save and bulk insert, such as a folded name.

    Its collation is C: it is sorted by code point, in the same way on every machine.
    """

    def __init__(self, source: str = "name", **kwargs: Any) -> None:
        self.source = source
        super().__init__(**kwargs | {"editable": False, "blank": True, "db_collation": "C"})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | {"source": self.source}

    def derive(self, value: str) -> str | None:
        """Return what is stored for a value of the source field."""
        raise NotImplementedError

    def derived(self, row: models.Model) -> str | None:
        """Return the value that this column should have in a row."""
        value = getattr(row, self.source)
        return None if value is None else self.derive(value)

    def is_current(self, row: models.Model) -> bool:
        """Return whether a row has that value."""
        return bool(getattr(row, self.attname) == self.derived(row))

    def pre_save(self, model_instance: models.Model, add: bool) -> str | None:
        setattr(model_instance, self.attname, self.derived(model_instance))
        return getattr(model_instance, self.attname)
