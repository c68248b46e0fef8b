"""Fields and checks that products share with portions, entries and the catalog's foods."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from products.nutrients import MACROS_100G, MAX_GRAMS, MAX_MACROS_100G

CENT = Decimal("0.01")
MAX_QUANTITY = 10_000


def rounded(value: Decimal) -> Decimal:
    """Round half up to two decimals."""
    return value.quantize(CENT, ROUND_HALF_UP)


class Unit(models.TextChoices):
    """The unit of a food's amounts. For `ml`, "grams" and "100g" in names mean millilitres."""

    GRAMS = "g", "g"
    MILLILITRES = "ml", "ml"


def unit_field() -> models.CharField[Any, Any]:
    """Return a model field for a unit."""
    return models.CharField(max_length=2, choices=Unit, default=Unit.GRAMS)


def unit_constraint(table: str) -> models.CheckConstraint:
    """Return the CHECK that a table's unit is one of `Unit`."""
    return models.CheckConstraint(name=f"{table}_unit", condition=Q(unit__in=Unit.values))


def grams_field(**kwargs: Any) -> models.DecimalField[Any, Any]:
    """Return a model field for a weight in grams: 0.01 to 10000, with 2 decimals."""
    return models.DecimalField(
        max_digits=7,
        decimal_places=2,
        validators=[MinValueValidator(CENT), MaxValueValidator(MAX_GRAMS)],
        **kwargs,
    )


def quantity_field(**kwargs: Any) -> models.DecimalField[Any, Any]:
    """Return a model field for a number of portions: 0.01 to 10000, with 2 decimals."""
    return models.DecimalField(
        max_digits=7,
        decimal_places=2,
        validators=[MinValueValidator(CENT), MaxValueValidator(MAX_QUANTITY)],
        **kwargs,
    )


def check_macros(food: models.Model) -> None:
    """Check that the macros of a food fit into 100 g.

    Raises:
        ValidationError: protein, carbs and fat weigh more than 105 g together.
    """
    if sum(getattr(food, macro) or 0 for macro in MACROS_100G) > MAX_MACROS_100G:
        *others, last = MACROS_100G
        raise ValidationError(
            f"{', '.join(others)} and {last} must not exceed {MAX_MACROS_100G} together.",
            code="max_value",
        )
