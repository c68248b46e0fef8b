"""MyFitnessPal's "Nutrition Summary", one of the CSVs in the ZIP that it sends by e-mail.

A row is what was eaten at a meal, or with a column `Time` at one moment of it. Foods have no names
there. Sources: docs/data.md.
"""

from __future__ import annotations

from typing import Any

from entries.formats.diary import Diary
from entries.formats.sheet import Layout
from products.names import MAX_NAME_LENGTH

TOTALS = ("total", "totals")


class MyFitnessPal(Diary):
    format = "myfitnesspal"
    layout = Layout(
        title="MyFitnessPal's Nutrition Summary",
        advice="In the ZIP that MyFitnessPal sends, it is the file whose name begins with "
        "Nutrition-Summary.",
        texts=("date", "meal"),
        # Several columns of grams don't say so. Vitamins and minerals are percents of a day's need.
        numbers={
            "calories": ("kcal", "kcal"),
            "energy": ("kcal", "kcal"),
            "protein": ("protein", "g"),
            "carbohydrates": ("carbs", "g"),
            "fat": ("fat", "g"),
            "fiber": ("fiber", "g"),
            "fibre": ("fiber", "g"),
            "sugar": ("sugars", "g"),
            "saturated fat": ("saturated_fat", "g"),
            "sodium": ("sodium", "mg"),
        },
    )
    day, meal = "date", "meal"

    def describe(self, row: list[str]) -> dict[str, Any]:
        """Name an entry for its meal.

        Raises:
            ValueError: it is a sum of others.
        """
        meal = self.sheet.text(row, "meal")
        if meal.casefold() in TOTALS:
            raise ValueError("This is a total of other rows.")
        return {"name": meal[:MAX_NAME_LENGTH]}
