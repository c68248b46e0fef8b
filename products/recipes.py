"""How a recipe is worked out: the values of 100 g, and the grams of a serving.

Sums are exact, and each result is rounded half up once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from products.nutrients import MACROS, MACROS_100G, MAX_GRAMS, MAX_MACROS_100G, NUTRIENTS

SERVING = "serving"
MAX_ITEMS = 100
MAX_SERVINGS = 100
MAX_COOKED_GRAMS = 100_000
MAX_POSITION = 10_000
CENT = Decimal("0.01")

# A food, which has a column for each nutrient, and how many grams of it there are.
Amount = tuple[Any, Decimal]


def serving_id(product_id: uuid.UUID) -> uuid.UUID:
    """Return the id of a recipe's serving, which a phone can work out too."""
    return uuid.uuid5(product_id, SERVING)


def total_grams(amounts: Sequence[Amount], cooked_grams: Decimal | None) -> Decimal:
    """Return what a whole recipe weighs in grams: cooked, if that is known, else raw."""
    return cooked_grams or sum((grams for _, grams in amounts), Decimal(0))


def per_100g(amounts: Sequence[Amount], total: Decimal) -> dict[str, Any]:
    """Return a product's columns: 100 × Σ of the items' amounts ÷ the total.

    An item's amount is its food's value per 100 g × grams ÷ 100. A nutrient is None if it is
    unknown of one food.

    Args:
        total: the grams of the whole recipe.
    """
    values: dict[str, Any] = {}
    for nutrient in NUTRIENTS:
        column = nutrient.column_100g
        known = [(getattr(food, column), grams) for food, grams in amounts]
        if any(value is None for value, _ in known):
            values[column] = None
            continue
        # The quotient has 28 digits: more than enough not to be rounded twice.
        exact = sum((value * grams for value, grams in known), Decimal(0)) / total
        rounded = exact.quantize(Decimal(1).scaleb(-nutrient.decimals_100g), ROUND_HALF_UP)
        values[column] = rounded if nutrient.decimals_100g else int(rounded)
    return values


def serving_grams(total: Decimal, servings: Decimal) -> Decimal:
    """Return the grams of a serving, rounded half up to 2 decimals, within a portion's bounds."""
    exact = (total / servings).quantize(CENT, ROUND_HALF_UP)
    return min(max(exact, CENT), Decimal(MAX_GRAMS))


def excess(values: Mapping[str, Any]) -> str | None:
    """Return what 100 g would have too much of, as the end of a sentence; None if nothing."""
    for nutrient in NUTRIENTS:
        if (values[nutrient.column_100g] or 0) > nutrient.max_100g:
            # kcal are both the unit and what it counts.
            of = "" if nutrient.unit == nutrient.name else f" of {nutrient.name}"
            return f"more than {nutrient.max_100g} {nutrient.unit}{of} in 100 g"
    if sum(values[macro] or 0 for macro in MACROS_100G) > MAX_MACROS_100G:
        *others, last = MACROS
        return f"more than {MAX_MACROS_100G} g of {', '.join(others)} and {last} in 100 g"
    return None
