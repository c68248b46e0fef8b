"""CHECK constraints, made from the minimum and maximum validators of fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

M = TypeVar("M", bound=type[models.Model])


def bounded(**names: str) -> Callable[[M], M]:
    """Return a decorator that gives a model a CHECK for each of its fields with bounds.

    They are called `<table>_<field>_in_range`.

    Args:
        names: another name for a field, to be used in the name of its constraint.
    """

    def add(model: M) -> M:
        options = model._meta
        options.constraints = [*options.constraints, *checks(model, names)]
        # Migrations look here for a model's constraints.
        options.original_attrs["constraints"] = options.constraints
        return model

    return add


def checks(model: type[models.Model], names: dict[str, str]) -> Iterator[models.CheckConstraint]:
    """Yield a CHECK for each field of a model that has bounds; null passes it."""
    table = model._meta.db_table
    for field in model._meta.concrete_fields:
        bounds = bounds_of(field)
        if bounds is not None:
            yield models.CheckConstraint(
                name=f"{table}_{names.get(field.name, field.name)}_in_range",
                condition=Q(**{f"{field.name}__range": bounds}),
            )


def bounds_of(field: models.Field[Any, Any]) -> tuple[Any, Any] | None:
    """Return minimum and maximum of a field's own validators, or None if one is missing."""
    # Not `field.validators`, to which Django adds the limits of the column's type.
    own: Any = field._validators  # type: ignore[attr-defined]  # missing in the stubs
    limits = {type(validator): getattr(validator, "limit_value", None) for validator in own}
    if not {MinValueValidator, MaxValueValidator} <= limits.keys():
        return None
    return limits[MinValueValidator], limits[MaxValueValidator]
