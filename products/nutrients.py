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

# The most that an entry or a portion weighs.
MAX_GRAMS = 10_000


@dataclass(frozen=True, kw_only=True)
class Nutrient:
    """What a food has, in kcal or in grams.

    Attributes:
        name: the column of an entry; a product's is `name_100g`.
        max_100g: the most in 100 g.
        max_sent: the most that a client may log without a product.
        unit: for people.
        decimals_100g: of a product's values; an entry's have 2.
        is_required: whether every food says it; else it is null where unknown.
        is_macro: whether it counts towards what 100 g weigh, and a goal has grams of it.
        example_100g: that of a roasted chicken breast (USDA FoodData Central, SR Legacy).
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
        """The column of a product."""
        return f"{self.name}_100g"

    @property
    def max_eaten(self) -> int:
        """The most that an entry of a product comes to."""
        return self.max_100g * MAX_GRAMS // 100

    def field_100g(self) -> models.Field[Any, Any]:
        """Return the field of a product."""
        return self._field(self.max_100g, self.decimals_100g, f"In {self.unit} per 100 g.")

    def field(self) -> models.Field[Any, Any]:
        """Return the field of an entry."""
        return self._field(self.max_eaten, 2, f"In {self.unit}.")

    def _field(self, most: int, decimals: int, help_text: str) -> models.Field[Any, Any]:
        optional = {} if self.is_required else {"null": True, "blank": True}
        options: dict[str, Any] = {
            "validators": [MinValueValidator(0), MaxValueValidator(most)],
            "help_text": help_text,
            **optional,
        }
        if not decimals:
            return models.SmallIntegerField(**options)
        digits = len(str(most)) + decimals
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
# Those that may be unknown.
OPTIONAL = tuple(nutrient.name for nutrient in NUTRIENTS if not nutrient.is_required)
# Those of which 100 g are made.
MACROS = tuple(nutrient.name for nutrient in NUTRIENTS if nutrient.is_macro)


def per_100g(values: Iterable[float | None]) -> dict[str, Any]:
    """Return the columns of a product by values in the order of the list; what is left out is null.

    For made-up foods: the values are exact to the decimals that they are written with.
    """
    known = dict.fromkeys(COLUMNS_100G)
    given = ((n, value) for n, value in zip(NUTRIENTS, values, strict=False) if value is not None)
    return known | {
        n.column_100g: Decimal(str(value)) if n.decimals_100g else value for n, value in given
    }
