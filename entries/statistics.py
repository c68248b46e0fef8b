"""What the diary adds up to, by day and by range; each is one query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from countonme.prepared import Prepared
from devices.models import Device
from entries.models import NUTRIENTS, FoodEntry
from products.models import rounded

Totals = dict[str, Decimal]


def day(device: Device, when: date) -> dict[str, Any]:
    """Return a day's number of entries and exact totals, in kcal and grams, also by meal type."""
    rows = _BY_MEAL_TYPE.rows(device=device.pk, date=when)
    return {
        "date": when,
        "entries": sum(entries for _, entries, *_ in rows),
        "totals": _summed(sums for _, _, *sums in rows),
        "by_meal_type": {meal_type: _totals(sums) for meal_type, _, *sums in rows},
    }


def daily(device: Device, first: date, last: date) -> dict[str, Any]:
    """Return the totals of every day of a range, both ends included, and their average.

    The average is taken over the days with an entry, rounded half up to 2 decimals.
    """
    rows = _BY_DAY.rows(device=device.pk, first=first, last=last)
    logged = {when: (entries, _totals(sums)) for when, entries, *sums in rows}
    days = (first + timedelta(n) for n in range((last - first).days + 1))
    count = Decimal(len(logged) or 1)
    total = _summed(sums for _, _, *sums in rows)
    return {
        "from": first,
        "to": last,
        "days": [
            {"date": when, "entries": entries, "totals": totals}
            for when in days
            for entries, totals in [logged.get(when, NOTHING)]
        ],
        "average": {name: rounded(value / count) for name, value in total.items()},
    }


def _totals(sums: Iterable[Decimal]) -> Totals:
    return dict(zip(NUTRIENTS, sums, strict=True))


def _summed(rows: Iterable[Sequence[Decimal]]) -> Totals:
    return _totals(sum(values, Decimal(0)) for values in zip(ZEROS, *rows, strict=True))


ZEROS = [Decimal(0)] * len(NUTRIENTS)
NOTHING = (0, _totals(ZEROS))
_BY_MEAL_TYPE = Prepared(
    lambda device, date: FoodEntry.objects.for_device(device).filter(date=date).totals("meal_type"),
    *("device", "date"),
)
_BY_DAY = Prepared(
    lambda device, first, last: (
        FoodEntry.objects.for_device(device).filter(date__range=(first, last)).totals("date")
    ),
    *("device", "first", "last"),
)
