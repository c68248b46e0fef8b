"""What the diary adds up to, by day and by range; each is one query."""

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
    """Return a day's number of entries and exact totals, in kcal and grams, also by meal type.

    Beside them stands of how many entries a nutrient is unknown.
    """
    rows = _BY_MEAL_TYPE.rows(device=device.pk, date=when)
    sums = [(meal_type, entries, *rest[COUNTS:]) for meal_type, entries, *rest in rows]
    unknown = map(sum, zip(*(rest[:COUNTS] for _, _, *rest in rows), strict=True))
    return {
        "date": when,
        "entries": sum(entries for _, entries, *_ in rows),
        "totals": _totals(cents / 100 for cents in _cents(sums)),
        "unknown": {n: count for n, count in zip(OPTIONAL, unknown, strict=False) if count},
        "by_meal_type": {meal_type: _totals(of_meal) for meal_type, _, *of_meal in sums},
    }


def daily(device: Owner, first: date, last: date) -> dict[str, Any]:
    """Return the totals of every day of a range, both ends included, and their average.

    The average is taken over the days with an entry, rounded half up to 2 decimals.
    """
    rows = _BY_DAY.rows(device=device.pk, first=first, last=last)
    logged = {row[0]: row for row in rows}
    days = []
    for n in range((last - first).days + 1):
        when = first + timedelta(n)
        _, entries, *sums = logged.get(when, NOTHING)
        days.append({"date": when, "entries": entries, "totals": _totals(sums)})
    logged_days = len(rows) or 1
    means = ((2 * cents + logged_days) // (2 * logged_days) / 100 for cents in _cents(rows))
    return {"from": first, "to": last, "days": days, "average": _totals(means)}


def _totals(sums: Iterable[float]) -> dict[str, float]:
    return dict(zip(NAMES, sums, strict=True))


def _cents(rows: Iterable[Sequence[Any]]) -> Iterator[int]:
    """Yield the exact sums of rows of sums, in hundredths.

    A double is off by far less than a cent over all that a year can hold, and so is `fsum()`.
    """
    _, _, *columns = zip(NOTHING, *rows, strict=True)
    return (round(math.fsum(column) * 100) for column in columns)


# As a row of a day without an entry.
NOTHING = (None, 0, *(0.0 for _ in NAMES))
# So many counts stand before the sums of a day.
COUNTS = len(OPTIONAL)
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
