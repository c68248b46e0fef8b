"""What the diary adds up to, by day and by range; each is one query."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from devices.models import Device
from entries.models import NUTRIENTS, FoodEntry
from products.models import rounded

Totals = dict[str, Decimal]


def day(device: Device, when: date) -> dict[str, Any]:
    """Return a day's number of entries and exact totals, in kcal and grams, also by meal type."""
    rows = list(FoodEntry.objects.for_device(device).filter(date=when).totals("meal_type"))
    return {
        "date": when,
        "entries": sum(row["entries"] for row in rows),
        "totals": _summed(rows),
        "by_meal_type": {row["meal_type"]: _totals(row) for row in rows},
    }


def daily(device: Device, first: date, last: date) -> dict[str, Any]:
    """Return the totals of every day of a range, both ends included, and their average.

    The average is taken over the days with an entry, rounded half up to 2 decimals.
    """
    logged = FoodEntry.objects.for_device(device).filter(date__range=(first, last)).totals("date")
    rows = {row["date"]: row for row in logged}
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    count = Decimal(len(rows) or 1)
    return {
        "from": first,
        "to": last,
        "days": [
            {
                "date": when,
                "entries": rows[when]["entries"] if when in rows else 0,
                "totals": _totals(rows.get(when, {})),
            }
            for when in days
        ],
        "average": {
            name: rounded(total / count) for name, total in _summed(list(rows.values())).items()
        },
    }


def _totals(row: dict[str, Any]) -> Totals:
    return {name: row.get(name, Decimal(0)) for name in NUTRIENTS}


def _summed(rows: list[dict[str, Any]]) -> Totals:
    return {name: sum((row[name] for row in rows), Decimal(0)) for name in NUTRIENTS}
