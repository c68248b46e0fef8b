"""How much energy can come from what a food has of each macro."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import inf

# kcal of a gram: Regulation (EU) No 1169/2011, annex XIV.
ENERGY_OF_MACROS = {"protein": 4, "carbs": 4, "fat": 9}
ENERGY_OF_FIBER, ENERGY_OF_ALCOHOL = 2, 7


def energy_range(
    macros: Iterable[Decimal | float | None],
    fiber: Decimal | float | None,
    alcohol: float | None = None,
) -> tuple[float, float]:
    """Return the least and the greatest energy that can come from the macros of 100 g.

    Some countries count fiber as carbohydrates and some do not, polyols have 2.4 kcal/g, and labels
    round. So the energy may be a third lower than the macros', or a fifth higher with fiber and
    alcohol, and 25 kcal more either way. Where a macro is unknown, it may be anything.

    Args:
        macros: protein, carbs and fat in grams, in the order of `MACROS`.
        fiber, alcohol: in grams.
    """
    expected = 0.0
    for per_gram, grams in zip(ENERGY_OF_MACROS.values(), macros, strict=True):
        if grams is None:
            return -inf, inf
        expected += per_gram * float(grams)
    more = ENERGY_OF_FIBER * float(fiber or 0) + ENERGY_OF_ALCOHOL * (alcohol or 0)
    return expected * 2 / 3 - 25, (expected + more) * 1.2 + 25
