"""The formulas of goals and statistics: exact functions of numbers and dates.

kcal, grams and ml are integers, truncated after each step. Weights in kg and the BMI of a goal have
one decimal, rounded half up.
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
# The keys of these tables are the values that a phone may send.
# The last term of the BMR.
GENDERS = {"male": 5, "female": -161}
# TDEE by BMR.
ACTIVITY_LEVELS = {
    "sedentary": Decimal("1.2"),
    "light": Decimal("1.375"),
    "moderate": Decimal("1.55"),
    "active": Decimal("1.725"),
    "very_active": Decimal("1.9"),
}
# Default percents of the kcal from protein, carbs and fat; they are the app's own.
WEIGHT_GOAL_TYPES = {"lose": (30, 35, 35), "maintain": (25, 45, 30), "gain": (30, 45, 25)}
# kcal a day less or more than the TDEE.
PACES = {"slow": 250, "moderate": 500, "aggressive": 750}
# The upper limit of each category, exclusive. `OBESE` has none.
BMI_CATEGORIES = {"underweight": Decimal("18.5"), "normal": Decimal(25), "overweight": Decimal(30)}
OBESE = "obese"
HEALTHY_BMI = Decimal("18.5"), Decimal("24.9")
MIN_AGE, MAX_AGE = 13, 120
MIN_KCAL_TO_LOSE = 1200
KCAL_PER_GRAM = 4, 4, 9
WATER_ML_PER_KG = 33
KCAL_PER_KG = 7700
TREND_DAYS = 10
# An estimate of the expenditure needs so many logged days, and as many between two weighings.
EXPENDITURE_DAYS = 14


class Streak(NamedTuple):
    """The current and the longest number of days logged in a row, and the number of all days."""

    current: int
    longest: int
    days_logged: int


def age_years(birth_date: date, today: date) -> int:
    """Return an age in whole years.

    Someone born on 29 February has their birthday on 1 March in a year without that day.
    """
    before_birthday = (today.month, today.day) < (birth_date.month, birth_date.day)
    return today.year - birth_date.year - before_birthday


def bmr_kcal(gender: str, weight_kg: Decimal, height_cm: Decimal, age: int) -> int:
    """Return the basal metabolic rate (BMR) in kcal a day.

    10 × kg + 6.25 × cm - 5 × years, + 5 for men or - 161 for women.

    Mifflin, St Jeor, Hill, Scott, Daugherty and Koh, "A new predictive equation for resting energy
    expenditure in healthy individuals", Am J Clin Nutr 51 (1990) 241-247; its simplified form.
    """
    return int(10 * weight_kg + Decimal("6.25") * height_cm - 5 * age + GENDERS[gender])


def tdee_kcal(bmr: int, activity_level: str) -> int:
    """Return the total daily energy expenditure (TDEE) in kcal: the BMR times an activity factor.

    The factors 1.2 to 1.9 are in common use with the Harris-Benedict and Mifflin-St Jeor equations,
    and have no single source. "Human energy requirements" (FAO/WHO/UNU, 2001) defines the factor as
    the physical activity level, with the classes 1.40-1.69, 1.70-1.99 and 2.00-2.40.
    """
    return int(bmr * ACTIVITY_LEVELS[activity_level])


def daily_calories_kcal(tdee: int, weight_goal_type: str, pace: str | None) -> int:
    """Return the target in kcal a day: the TDEE minus the pace to lose weight, plus it to gain.

    To lose weight the target is never under 1200. At 7700 kcal/kg the paces are 0.23, 0.45 and
    0.68 kg a week.
    """
    if weight_goal_type == "maintain" or pace is None:
        return tdee
    if weight_goal_type == "gain":
        return tdee + PACES[pace]
    return max(MIN_KCAL_TO_LOSE, tdee - PACES[pace])


def macro_grams(kcal: int, percents: Iterable[int]) -> list[int]:
    """Return the grams of protein, carbs and fat that supply these percents of the kcal.

    Atwater's general factors, 4, 4 and 9 kcal/g ("Food energy: methods of analysis and conversion
    factors", FAO Food and Nutrition Paper 77, 2003).
    """
    return [
        kcal * percent // (100 * per_gram)
        for percent, per_gram in zip(percents, KCAL_PER_GRAM, strict=True)
    ]


def water_ml(weight_kg: Decimal) -> int:
    """Return what to drink in ml a day: 33 ml/kg; the rule of thumb is 30 to 35."""
    return int(WATER_ML_PER_KG * weight_kg)


def bmi(weight_kg: Decimal, height_cm: Decimal) -> Decimal:
    """Return the body mass index (BMI) in kg/m², with one decimal."""
    return _rounded(weight_kg * 10_000 / height_cm**2)


def bmi_category(rounded_bmi: Decimal) -> str:
    """Return the category of an adult's BMI, which is given with one decimal.

    "Obesity: preventing and managing the global epidemic", WHO Technical Report Series 894 (2000).
    """
    return next((name for name, end in BMI_CATEGORIES.items() if rounded_bmi < end), OBESE)


def healthy_weight_kg(height_cm: Decimal) -> tuple[Decimal, Decimal]:
    """Return the weights in kg at which this height has a BMI of 18.5 and of 24.9."""
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
    """Return everything that is calculated from body metrics, by the API's names.

    Args:
        percents: those of protein, carbs and fat, instead of the defaults.
        water: ml a day, instead of the default.
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
    """Return the share that the trend before a gap keeps after these days: exp(-days / 10)."""
    return (Decimal(-days) / TREND_DAYS).exp()


def trend(weighings: Iterable[tuple[date, Decimal]]) -> list[Decimal]:
    """Return the trend in kg at each weighing.

    The trend is an exponentially weighted mean that starts at the first weighing. After a gap of n
    days the previous trend counts exp(-n / 10) and the new weighing the rest. That is as if the new
    weight had been weighed on every day of the gap.

    Source: Eckner, "Algorithms for unevenly spaced time series: moving averages and other rolling
    operators", 2012; its EMA "next".

    Args:
        weighings: days and kg, in the order of the days.
    """
    found: list[Decimal] = []
    last: date | None = None
    for day, weight_kg in weighings:
        kept = decay((day - last).days) if last else Decimal(0)
        found.append(kept * found[-1] + (1 - kept) * weight_kg if found else weight_kg)
        last = day
    return found


def kg_per_day(weighings: Sequence[tuple[date, Decimal]]) -> Fraction:
    """Return the change of weight in kg a day: the least-squares slope over the weighings.

    Args:
        weighings: days and kg, in the order of the days, of two days at least.
    """
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
    """Return the energy expenditure in kcal a day, rounded half up.

    It is the mean kcal of the logged days, minus 7700 kcal/kg times the change of weight in kg a
    day. 7700 kcal/kg (3500 a pound: Wishnofsky, "Caloric equivalents of gained or lost weight", Am
    J Clin Nutr 6, 1958, 542-546) is roughly right for fat, and wrong for water.

    Args:
        eaten_kcal: the sum over the logged days.
        weighings: days and kg, in the order of the days, one a day.

    Returns:
        None with fewer than 14 logged days, or fewer than 14 days from the first weighing to the
        last.
    """
    if logged_days < EXPENDITURE_DAYS or not weighings:
        return None
    if (weighings[-1][0] - weighings[0][0]).days < EXPENDITURE_DAYS:
        return None
    burnt = Fraction(eaten_kcal) / logged_days - KCAL_PER_KG * kg_per_day(weighings)
    return floor(burnt + Fraction(1, 2))


def streak(logged: Iterable[date], today: date) -> Streak:
    """Return the streaks: runs of logged days without a gap.

    The current streak ends today or, since today is not over yet, yesterday.

    Args:
        logged: the logged days up to today, each once, in order.
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
