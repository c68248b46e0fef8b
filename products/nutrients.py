"""Energy and nutrients: each is named once, here.

A product has them per 100 g (`kcal_100g`), a food entry as they were eaten (`kcal`). Columns,
CHECKs, serializers' fields, sums, what is synced, the OpenAPI document and its examples follow from
`NUTRIENTS`, and keep its order. docs/architecture.md says what else the next nutrient touches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import LessThanOrEqual

# The greatest weight of an entry or a portion.
MAX_GRAMS = 10_000


@dataclass(frozen=True, kw_only=True)
class Nutrient:
    """Energy or a nutrient of foods: its name, bounds and unit.

    Attributes:
        name: the column of a food entry. A product's column is `<name>_100g`.
        max_100g: the greatest value in 100 g.
        max_sent: the greatest value that a client may send for an entry without a product.
        unit: the unit of all its values, as people read it.
        decimals_100g: the decimals of a product's values. An entry's values have 2.
        is_required: whether every food has a value. Otherwise null means unknown.
        is_macro: whether it counts towards the weight of 100 g, and a goal has grams of it.
        example_100g: the value of a roasted chicken breast (USDA FoodData Central, SR Legacy).
    """

    name: str
    max_100g: int = 100
    max_sent: int = 1000
    unit: str = "g"
    decimals_100g: int = 2
    is_required: bool = False
    is_macro: bool = False
    example_100g: float = 0

    @property
    def column_100g(self) -> str:
        """The name of a product's column."""
        return f"{self.name}_100g"

    @property
    def max_eaten(self) -> int:
        """The greatest value of an entry with a product."""
        return self.max_100g * MAX_GRAMS // 100

    def field_100g(self) -> models.Field[Any, Any]:
        """Return the model field of a product."""
        return self._field(self.max_100g, self.decimals_100g, f"In {self.unit} per 100 g.")

    def field(self) -> models.Field[Any, Any]:
        """Return the model field of a food entry."""
        return self._field(self.max_eaten, 2, f"In {self.unit}.")

    def _field(self, maximum: int, decimals: int, help_text: str) -> models.Field[Any, Any]:
        optional = {} if self.is_required else {"null": True, "blank": True}
        options: dict[str, Any] = {
            "validators": [MinValueValidator(0), MaxValueValidator(maximum)],
            "help_text": help_text,
            **optional,
        }
        if not decimals:
            return models.SmallIntegerField(**options)
        digits = len(str(maximum)) + decimals
        return models.DecimalField(max_digits=digits, decimal_places=decimals, **options)


NUTRIENTS = (
    Nutrient(
        name="kcal",
        max_100g=1000,
        max_sent=10_000,
        unit="kcal",
        decimals_100g=0,
        is_required=True,
        example_100g=165,
    ),
    Nutrient(name="protein", is_macro=True, example_100g=31),
    Nutrient(name="carbs", is_macro=True, example_100g=0),
    Nutrient(name="fat", is_macro=True, example_100g=3.6),
    Nutrient(name="fiber", example_100g=0),
    Nutrient(name="sugars", example_100g=0),
    Nutrient(name="saturated_fat", example_100g=1),
    Nutrient(name="salt", example_100g=0.19),
)

NAMES = tuple(nutrient.name for nutrient in NUTRIENTS)
COLUMNS_100G = tuple(nutrient.column_100g for nutrient in NUTRIENTS)
REQUIRED_100G = tuple(nutrient.column_100g for nutrient in NUTRIENTS if nutrient.is_required)
# Nutrients that may be unknown.
OPTIONAL = tuple(nutrient.name for nutrient in NUTRIENTS if not nutrient.is_required)
# Nutrients that count towards the weight of 100 g.
MACROS = tuple(nutrient.name for nutrient in NUTRIENTS if nutrient.is_macro)
MACROS_100G = tuple(nutrient.column_100g for nutrient in NUTRIENTS if nutrient.is_macro)
# The exact macros of 100 g weigh at most 100 g, but a label may round each of them up.
MAX_MACROS_100G = 105


def macros_constraint(table: str) -> models.CheckConstraint:
    """Return the CHECK that a table's macros fit into 100 g; unknown ones count as 0."""
    zero = Value(Decimal(0), output_field=models.DecimalField())
    first, *others = (Coalesce(F(macro), zero) for macro in MACROS_100G)
    return models.CheckConstraint(
        name=f"{table}_macros_fit_100g",
        condition=LessThanOrEqual(sum(others, start=first), Value(MAX_MACROS_100G)),
    )


def per_100g(values: Iterable[float | None]) -> dict[str, Any]:
    """Return a product's columns from values in the order of `NUTRIENTS`; missing ones are null.

    For sample foods: a float becomes the decimal number that was written in the code.
    """
    known = dict.fromkeys(COLUMNS_100G)
    given = ((n, value) for n, value in zip(NUTRIENTS, values, strict=False) if value is not None)
    return known | {
        n.column_100g: Decimal(str(value)) if n.decimals_100g else value for n, value in given
    }
