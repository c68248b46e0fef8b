"""What goals and statistics are calculated by: exact, and of numbers and days alone.

kcal, grams and ml are whole numbers, truncated after each step; kg and BMI have one decimal,
rounded half up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache
from math import floor
from typing import Any, NamedTuple

PERCENTS = ("protein_percent", "carbs_percent", "fat_percent")
GRAMS = ("protein_grams", "carbs_grams", "fat_grams")
# Each table's names are the values that a phone may send.
GENDERS = {"male": 5, "female": -161}
ACTIVITY_LEVELS = {
    "sedentary": Decimal("1.2"),
    "light": Decimal("1.375"),
    "moderate": Decimal("1.55"),
    "active": Decimal("1.725"),
    "very_active": Decimal("1.9"),
}
# Of protein, carbs and fat, in percent of the kcal; the app's own defaults.
WEIGHT_GOAL_TYPES = {"lose": (30, 35, 35), "maintain": (25, 45, 30), "gain": (30, 45, 25)}
# kcal a day.
PACES = {"slow": 250, "moderate": 500, "aggressive": 750}
# Where each class ends, exclusive; the last has no end.
BMI_CATEGORIES = {"underweight": Decimal("18.5"), "normal": Decimal(25), "overweight": Decimal(30)}
OBESE = "obese"
HEALTHY_BMI = Decimal("18.5"), Decimal("24.9")
MIN_AGE, MAX_AGE = 13, 120
MIN_KCAL_TO_LOSE = 1200
KCAL_PER_GRAM = 4, 4, 9
WATER_ML_PER_KG = 33
KCAL_PER_KG = 7700
TREND_DAYS = 10
# What an estimate of the expenditure needs: so many days logged, and between two weighings.
EXPENDITURE_DAYS = 14


class Streak(NamedTuple):
    """Days logged in a row, up to now and at most, and all of them."""

    current: int
    longest: int
    days_logged: int


def age_years(birth_date: date, today: date) -> int:
    """Return the birthdays that someone has had; who was born on 29 February has them on 1 March,
    where the year has no such day."""
    before_birthday = (today.month, today.day) < (birth_date.month, birth_date.day)
    return today.year - birth_date.year - before_birthday


def bmr_kcal(gender: str, weight_kg: Decimal, height_cm: Decimal, age: int) -> int:
    """Return the basal metabolic rate in kcal a day: 10 × kg + 6.25 × cm - 5 × years + 5 for men,
    - 161 for women.

    Mifflin, St Jeor, Hill, Scott, Daugherty and Koh, "A new predictive equation for resting energy
    expenditure in healthy individuals", Am J Clin Nutr 51 (1990) 241-247; its simplified form.
    """
    return int(10 * weight_kg + Decimal("6.25") * height_cm - 5 * age + GENDERS[gender])


def tdee_kcal(bmr: int, activity_level: str) -> int:
    """Return the total daily energy expenditure in kcal: the BMR times a factor of activity.

    The factors 1.2 to 1.9 are those in common use with the Harris-Benedict and Mifflin-St Jeor
    equations, and have no one source. "Human energy requirements" (FAO/WHO/UNU, 2001) defines the
    ratio as the physical activity level, and classes it 1.40-1.69, 1.70-1.99 and 2.00-2.40.
    """
    return int(bmr * ACTIVITY_LEVELS[activity_level])


def daily_calories_kcal(tdee: int, weight_goal_type: str, pace: str | None) -> int:
    """Return what to eat, in kcal a day: the TDEE less or more the pace, to lose never under 1200.

    At 7700 kcal/kg the paces are 0.23, 0.45 and 0.68 kg a week.
    """
    if weight_goal_type == "maintain" or pace is None:
        return tdee
    if weight_goal_type == "gain":
        return tdee + PACES[pace]
    return max(MIN_KCAL_TO_LOSE, tdee - PACES[pace])


def macro_grams(kcal: int, percents: Iterable[int]) -> list[int]:
    """Return grams of protein, carbs and fat that have so many percent of the kcal each.

    Atwater's general factors, 4, 4 and 9 kcal/g ("Food energy: methods of analysis and conversion
    factors", FAO Food and Nutrition Paper 77, 2003).
    """
    return [
        kcal * percent // (100 * per_gram)
        for percent, per_gram in zip(percents, KCAL_PER_GRAM, strict=True)
    ]


def water_ml(weight_kg: Decimal) -> int:
    """Return what to drink, in ml a day: 33 ml/kg, of the rule of thumb of 30 to 35."""
    return int(WATER_ML_PER_KG * weight_kg)


def bmi(weight_kg: Decimal, height_cm: Decimal) -> Decimal:
    """Return the body mass index, kg/m², with one decimal."""
    return _rounded(weight_kg * 10_000 / height_cm**2)


def bmi_category(rounded_bmi: Decimal) -> str:
    """Return the class of a BMI with one decimal, for adults.

    "Obesity: preventing and managing the global epidemic", WHO Technical Report Series 894 (2000).
    """
    return next((name for name, end in BMI_CATEGORIES.items() if rounded_bmi < end), OBESE)


def healthy_weight_kg(height_cm: Decimal) -> tuple[Decimal, Decimal]:
    """Return the weights in kg that have a BMI of 18.5 and of 24.9 at a height."""
    low, high = (_rounded(bound * height_cm**2 / 10_000) for bound in HEALTHY_BMI)
    return low, high


def calculate(
    *,
    today: date,
    gender: str,
    birth_date: date,
    height_cm: Decimal,
    current_weight_kg: Decimal,
    activity_level: str,
    weight_goal_type: str,
    weight_change_pace: str | None = None,
    percents: Sequence[int] | None = None,
    water: int | None = None,
) -> dict[str, Any]:
    """Return all that follows from a body's metrics, by the names that a phone knows.

    Args:
        percents: of protein, carbs and fat, and `water` in ml, in the place of the defaults.
    """
    bmr = bmr_kcal(gender, current_weight_kg, height_cm, age_years(birth_date, today))
    tdee = tdee_kcal(bmr, activity_level)
    calories = daily_calories_kcal(tdee, weight_goal_type, weight_change_pace)
    percents = WEIGHT_GOAL_TYPES[weight_goal_type] if percents is None else percents
    healthy_min, healthy_max = healthy_weight_kg(height_cm)
    current_bmi = bmi(current_weight_kg, height_cm)
    return {
        "bmr_kcal": bmr,
        "tdee_kcal": tdee,
        "daily_calories_kcal": calories,
        **dict(zip(PERCENTS, percents, strict=True)),
        **dict(zip(GRAMS, macro_grams(calories, percents), strict=True)),
        "water_ml": water_ml(current_weight_kg) if water is None else water,
        "healthy_weight_min_kg": healthy_min,
        "healthy_weight_max_kg": healthy_max,
        "current_bmi": current_bmi,
        "bmi_category": bmi_category(current_bmi),
    }


@cache
def decay(days: int) -> Decimal:
    """Return what a weighing still counts in the trend after so many days: exp(-days / 10)."""
    return (Decimal(-days) / TREND_DAYS).exp()


def trend(weighings: Iterable[tuple[date, Decimal]]) -> list[Decimal]:
    """Return the trend in kg at each of the weighings, which stand in order of their days.

    An exponentially weighted mean that starts at the first weighing. After a gap of so many days
    the trend so far counts exp(-days / 10) and the new weighing the rest, so that a gap lets the
    past fade as much as if it had been weighed through. (Eckner, "Algorithms for unevenly spaced
    time series: moving averages and other rolling operators", 2012; its EMA "next".)
    """
    found: list[Decimal] = []
    last: date | None = None
    for day, weight_kg in weighings:
        kept = decay((day - last).days) if last else Decimal(0)
        found.append(kept * found[-1] + (1 - kept) * weight_kg if found else weight_kg)
        last = day
    return found


def kg_per_day(weighings: Sequence[tuple[date, Decimal]]) -> Fraction:
    """Return how weight moves, in kg a day: the least-squares slope over weighings of two days."""
    start = weighings[0][0]
    points = [((day - start).days, weight_kg) for day, weight_kg in weighings]
    count, days = len(points), sum(x for x, _ in points)
    weights = sum((y for _, y in points), Decimal(0))
    products = sum((x * y for x, y in points), Decimal(0))
    squares = sum(x * x for x, _ in points)
    return Fraction(count * products - days * weights) / (count * squares - days**2)


def expenditure_kcal(
    eaten_kcal: Decimal, logged_days: int, weighings: Sequence[tuple[date, Decimal]]
) -> int | None:
    """Return what the body burns, in kcal a day, rounded half up.

    The mean of the days logged, less 7700 kcal for each kg that was put on a day. That a kg of body
    weight is worth 7700 kcal (3500 a pound: Wishnofsky, "Caloric equivalents of gained or lost
    weight", Am J Clin Nutr 6, 1958, 542-546) holds for fat, roughly, and not for water.

    Args:
        eaten_kcal: the sum over the days logged.
        weighings: in order of their days, one a day.

    Returns:
        None with fewer than 14 days logged, or fewer than 14 days from the first weighing to the
        last.
    """
    if logged_days < EXPENDITURE_DAYS or not weighings:
        return None
    if (weighings[-1][0] - weighings[0][0]).days < EXPENDITURE_DAYS:
        return None
    burnt = Fraction(eaten_kcal) / logged_days - KCAL_PER_KG * kg_per_day(weighings)
    return floor(burnt + Fraction(1, 2))


def streak(logged: Iterable[date], today: date) -> Streak:
    """Return the runs of days without a gap, of distinct days in order up to today.

    The current run is one that ends today or, as long as today is not over, yesterday.
    """
    run = longest = count = 0
    last: date | None = None
    for day in logged:
        run = run + 1 if last and (day - last).days == 1 else 1
        longest = max(longest, run)
        count += 1
        last = day
    is_current = last is not None and (today - last).days <= 1
    return Streak(run if is_current else 0, longest, count)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.1"), ROUND_HALF_UP)
