"""Cronometer's "Servings", which it exports as "Food & Recipe Entries": a food a row.

Sources: docs/data.md.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from catalog.records import cut
from entries.formats.diary import Diary
from entries.formats.sheet import Layout
from products.models import CENT, Unit
from products.names import MAX_NAME_LENGTH

AMOUNT = re.compile(r"(?P<number>[\d.,]+)\s*(?P<unit>.*)", re.ASCII | re.DOTALL)
# What one of a unit is in grams, or in millilitres. The pound is that of 1959.
WEIGHTS = {
    "g": Decimal(1),
    "kg": Decimal(1000),
    "mg": Decimal("0.001"),
    "oz": Decimal("28.349523125"),
    "lb": Decimal("453.59237"),
    "lbs": Decimal("453.59237"),
}
VOLUMES = {"ml": Decimal(1), "l": Decimal(1000)}


class Cronometer(Diary):
    format = "cronometer"
    layout = Layout(
        title="Cronometer's Servings",
        advice="Where Cronometer exports data, choose Food & Recipe Entries.",
        texts=("day", "group", "food name", "amount"),
        numbers={
            "energy": ("kcal", "kcal"),
            "protein": ("protein", "g"),
            "carbs": ("carbs", "g"),
            "fat": ("fat", "g"),
            "fiber": ("fiber", "g"),
            "sugars": ("sugars", "g"),
            "saturated": ("saturated_fat", "g"),
            "sodium": ("sodium", "mg"),
        },
    )
    day, meal = "day", "group"

    def describe(self, row: list[str]) -> dict[str, Any]:
        """Name an entry for its food, with an amount that is neither weight nor volume."""
        name, amount = self.sheet.text(row, "food name"), self.sheet.text(row, "amount")
        found = AMOUNT.fullmatch(amount)
        number = self.sheet.number(found["number"]) if found else None
        if found is None or number is None:
            return {"name": _with_amount(name, amount)}
        unit = found["unit"].casefold()
        for kept, factors in ((Unit.GRAMS, WEIGHTS), (Unit.MILLILITRES, VOLUMES)):
            if unit in factors:
                # What rounds to nothing has no weight.
                grams = number * factors[unit]
                return {"name": cut(name), "unit": kept, "grams": grams if grams >= CENT else None}
        plain = f"{number.normalize():f} {found['unit']}".strip()
        return {"name": _with_amount(name, plain)}


def _with_amount(name: str, amount: str) -> str:
    """Return a name with an amount in parentheses; what is too long is cut at a word."""
    if not amount or not name:
        return cut(name)
    shown = f" ({cut(' '.join(amount.split()), MAX_NAME_LENGTH // 2)})"
    return cut(" ".join(name.split()), MAX_NAME_LENGTH - len(shown)) + shown
