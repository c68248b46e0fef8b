"""Statistics of a device: progress towards its goal, trend of weight, expenditure, streaks."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.db.models import Count, Sum

from countonme.scope.owner import Owner
from entries import statistics as diary
from entries.models import FoodEntry
from goals import formulas
from goals.models import BodyWeight, Goal, WaterEntry
from products.models import rounded
from products.nutrients import MACROS

WARM_UP = timedelta(days=60)


def progress(device: Owner, when: date) -> dict[str, Any]:
    """Return a day's exact sums, the current goal and what is left of it, in kcal, grams and ml.

    The goal is the current one, even for a day in the past. What is left is negative if more was
    eaten or drunk than the goal.
    """
    goal = Goal.objects.for_device(device).first()
    logged = diary.day(device, when)
    eaten = logged["totals"]
    water = WaterEntry.objects.for_device(device).filter(date=when)
    drunk = water.aggregate(ml=Sum("ml", default=0))["ml"]
    left = None
    if goal is not None:
        targets = {"kcal": goal.daily_calories_kcal}
        targets |= {macro: getattr(goal, f"{macro}_grams") for macro in MACROS}
        # Both have at most 2 decimals; rounding removes the error of the doubles.
        left = {name: round(target - eaten[name], 2) for name, target in targets.items()}
        left["water_ml"] = goal.water_ml - drunk
    return {
        "date": when,
        "goal": goal,
        "eaten": eaten,
        "unknown": logged["unknown"],
        "left": left,
        "water_ml": drunk,
    }


def weight(device: Owner, first: date, last: date) -> dict[str, Any]:
    """Return the weighings of a range, both ends included, with the trend in kg on each day.

    See `formulas.trend()`. The trend starts at the first weighing of the 60 days before the range,
    so that it has settled when the range starts. It is rounded half up to 2 decimals.
    """
    start = first - min(WARM_UP, first - date.min)
    weighings = BodyWeight.objects.for_device(device).weighings(start, last)
    points = [
        {"date": day, "weight_kg": weight_kg, "trend_kg": rounded(trend_kg)}
        for (day, weight_kg), trend_kg in zip(weighings, formulas.trend(weighings), strict=True)
        if day >= first
    ]
    return {"from": first, "to": last, "points": points}


def expenditure(device: Owner, first: date, last: date) -> dict[str, Any]:
    """Return the energy expenditure in kcal a day, from the logged days and weighings of a range.

    See `formulas.expenditure_kcal()`. A logged day is one with an entry. Both ends of the range are
    included.
    """
    eaten = FoodEntry.objects.for_device(device).filter(date__range=(first, last))
    logged = eaten.aggregate(days=Count("date", distinct=True), kcal=Sum("kcal", default=0))
    weighings = BodyWeight.objects.for_device(device).weighings(first, last)
    return {
        "from": first,
        "to": last,
        "logged_days": logged["days"],
        "weighings": len(weighings),
        "kcal_per_day": formulas.expenditure_kcal(logged["kcal"], logged["days"], weighings),
    }


def streak(device: Owner, today: date) -> dict[str, Any]:
    """Return the streaks of days with an entry, as of `today`.

    See `formulas.streak()`. What counts is the day of an entry, not the day on which it was sent.
    """
    entries = FoodEntry.objects.for_device(device).filter(date__lte=today)
    logged = entries.order_by("date").values_list("date", flat=True).distinct()
    return {"date": today, **formulas.streak(logged, today)._asdict()}
