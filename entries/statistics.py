"""Sums of the diary, of a day and of a range of days. Each function runs one query."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from countonme.scope.owner import Owner
from countonme.scope.prepared import Prepared
from entries.models import FoodEntry
from products.nutrients import NAMES, OPTIONAL


def day(device: Owner, when: date) -> dict[str, Any]:
    """Return a day's number of entries and exact totals (kcal and grams), also by meal type.

    `unknown` is the number of entries in which a nutrient is null, for each nutrient that has any.
    """
    rows = _BY_MEAL_TYPE.rows(device=device.pk, date=when)
    sums = [(meal_type, entries, *rest[COUNT_COLUMNS:]) for meal_type, entries, *rest in rows]
    unknown = map(sum, zip(*(rest[:COUNT_COLUMNS] for _, _, *rest in rows), strict=True))
    return {
        "date": when,
        "entries": sum(entries for _, entries, *_ in rows),
        "totals": _totals(cents / 100 for cents in _cents(sums)),
        "unknown": {n: count for n, count in zip(OPTIONAL, unknown, strict=False) if count},
        "by_meal_type": {meal_type: _totals(of_meal) for meal_type, _, *of_meal in sums},
    }


def daily(device: Owner, first: date, last: date) -> dict[str, Any]:
    """Return the totals of every day of a range, both ends included, and their average.

    The average is that of the days with an entry, rounded half up to 2 decimals.
    """
    rows = _BY_DAY.rows(device=device.pk, first=first, last=last)
    logged = {row[0]: row for row in rows}
    days = []
    for n in range((last - first).days + 1):
        when = first + timedelta(n)
        _, entries, *sums = logged.get(when, EMPTY_DAY)
        days.append({"date": when, "entries": entries, "totals": _totals(sums)})
    logged_days = len(rows) or 1
    means = ((2 * cents + logged_days) // (2 * logged_days) / 100 for cents in _cents(rows))
    return {"from": first, "to": last, "days": days, "average": _totals(means)}


def _totals(sums: Iterable[float]) -> dict[str, float]:
    return dict(zip(NAMES, sums, strict=True))


def _cents(rows: Iterable[Sequence[Any]]) -> Iterator[int]:
    """Yield the exact sum of each column, in hundredths.

    The rows hold doubles of exact sums. Over a year's diary, their error and that of `fsum()` stay
    far below half a hundredth.
    """
    _, _, *columns = zip(EMPTY_DAY, *rows, strict=True)
    return (round(math.fsum(column) * 100) for column in columns)


# The row of a day without an entry.
EMPTY_DAY = (None, 0, *(0.0 for _ in NAMES))
# How many counts `unknown_and_totals()` returns before the sums.
COUNT_COLUMNS = len(OPTIONAL)
_BY_MEAL_TYPE = Prepared(
    lambda device, date: (
        FoodEntry.objects.for_device(device).filter(date=date).unknown_and_totals("meal_type")
    ),
    *("device", "date"),
)
_BY_DAY = Prepared(
    lambda device, first, last: (
        FoodEntry.objects.for_device(device).filter(date__range=(first, last)).totals("date")
    ),
    *("device", "first", "last"),
)
