"""The formulas, by worked examples and by what holds of all of them."""

from __future__ import annotations

import math
import statistics
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from goals import formulas

TODAY = date(2025, 2, 5)
PERSON: dict[str, Any] = {
    "today": TODAY,
    "gender": "female",
    "birth_date": date(1990, 5, 17),
    "height_cm": Decimal(168),
    "current_weight_kg": Decimal("72.5"),
    "activity_level": "light",
    "weight_goal_type": "lose",
    "weight_change_pace": "moderate",
}

genders = st.sampled_from(list(formulas.GENDERS))
levels = st.sampled_from(list(formulas.ACTIVITY_LEVELS))
types = st.sampled_from(list(formulas.WEIGHT_GOAL_TYPES))
paces = st.sampled_from(list(formulas.PACES))
heights = st.decimals(Decimal(50), Decimal(300), places=2)
weights = st.decimals(Decimal(20), Decimal(500), places=2)
ages = st.integers(formulas.MIN_AGE, formulas.MAX_AGE)
percents = st.tuples(st.integers(0, 100), st.integers(0, 100)).map(
    lambda cuts: (min(cuts), max(cuts) - min(cuts), 100 - max(cuts))
)
people = st.fixed_dictionaries(
    {
        "today": st.just(TODAY),
        "gender": genders,
        "birth_date": st.dates(date(1905, 1, 1), date(2012, 2, 5)),
        "height_cm": heights,
        "current_weight_kg": weights,
        "activity_level": levels,
        "weight_goal_type": types,
        "weight_change_pace": paces,
    }
)
series = st.dictionaries(st.integers(0, 400), weights, min_size=1, max_size=30).map(
    lambda found: [(TODAY + timedelta(day), found[day]) for day in sorted(found)]
)


def test_it_works() -> None:
    assert formulas.calculate(**PERSON) == {
        "bmr_kcal": 1444,
        "tdee_kcal": 1985,
        "daily_calories_kcal": 1485,
        "protein_percent": 30,
        "carbs_percent": 35,
        "fat_percent": 35,
        "protein_grams": 111,
        "carbs_grams": 129,
        "fat_grams": 57,
        "water_ml": 2392,
        "healthy_weight_min_kg": Decimal("52.2"),
        "healthy_weight_max_kg": Decimal("70.3"),
        "current_bmi": Decimal("25.7"),
        "bmi_category": "overweight",
    }


class TestAge:
    @pytest.mark.parametrize(
        ("birth_date", "today", "age"),
        [
            (date(1990, 5, 17), date(2025, 5, 16), 34),
            (date(1990, 5, 17), date(2025, 5, 17), 35),
            (date(1990, 5, 17), date(2025, 5, 18), 35),
            (date(2000, 2, 29), date(2025, 2, 28), 24),
            (date(2000, 2, 29), date(2025, 3, 1), 25),
            (date(2000, 2, 29), date(2024, 2, 28), 23),
            (date(2000, 2, 29), date(2024, 2, 29), 24),
            (date(1999, 12, 31), date(2000, 1, 1), 0),
            (date(2025, 2, 5), date(2025, 2, 5), 0),
            (date(2025, 2, 6), date(2025, 2, 5), -1),
        ],
    )
    def test_it_counts_birthdays(self, birth_date: date, today: date, age: int) -> None:
        assert formulas.age_years(birth_date, today) == age


class TestBMR:
    @pytest.mark.parametrize(
        ("gender", "weight", "height", "age", "kcal"),
        [
            ("male", "80", "180", 30, 1780),
            ("female", "60", "165", 30, 1320),
            ("male", "70", "175", 45, 1573),
            ("female", "55.55", "162.3", 67, 1073),
            ("male", "500", "300", 13, 6815),
            ("female", "0.01", "0.01", 120, -760),
        ],
    )
    def test_it_is_mifflin_and_st_jeors(
        self, gender: str, weight: str, height: str, age: int, kcal: int
    ) -> None:
        assert formulas.bmr_kcal(gender, Decimal(weight), Decimal(height), age) == kcal

    @given(genders, weights, heights, ages)
    def test_it_keeps_to_the_regression_that_they_published(
        self, gender: str, weight: Decimal, height: Decimal, age: int
    ) -> None:
        published = (
            Decimal("9.99") * weight
            + Decimal("6.25") * height
            - Decimal("4.92") * age
            + (166 if gender == "male" else 0)
            - 161
        )
        rounding_of_coefficients = weight / 100 + Decimal("0.08") * age + 1
        simplified = formulas.bmr_kcal(gender, weight, height, age)
        assert abs(simplified - published) <= rounding_of_coefficients

    @given(genders, weights, weights, heights, ages)
    def test_it_rises_with_weight(
        self, gender: str, one: Decimal, other: Decimal, height: Decimal, age: int
    ) -> None:
        light, heavy = sorted([one, other])
        rates = [formulas.bmr_kcal(gender, weight, height, age) for weight in (light, heavy)]
        assert rates == sorted(rates)


class TestEnergy:
    @pytest.mark.parametrize(
        ("level", "kcal"),
        [
            ("sedentary", 2136),
            ("light", 2447),
            ("moderate", 2759),
            ("active", 3070),
            ("very_active", 3382),
        ],
    )
    def test_it_is_the_bmr_times_the_activity(self, level: str, kcal: int) -> None:
        assert formulas.tdee_kcal(1780, level) == kcal

    @given(st.integers(1, 7000))
    def test_it_rises_with_activity(self, bmr: int) -> None:
        found = [formulas.tdee_kcal(bmr, level) for level in formulas.ACTIVITY_LEVELS]
        assert found == sorted(found)
        assert found[0] >= bmr

    @pytest.mark.parametrize(
        ("type", "pace", "kcal"),
        [
            ("lose", "slow", 1750),
            ("lose", "moderate", 1500),
            ("lose", "aggressive", 1250),
            ("maintain", None, 2000),
            ("maintain", "aggressive", 2000),
            ("gain", "slow", 2250),
            ("gain", "moderate", 2500),
            ("gain", "aggressive", 2750),
        ],
    )
    def test_the_pace_is_taken_off_or_put_on(self, type: str, pace: str | None, kcal: int) -> None:
        assert formulas.daily_calories_kcal(2000, type, pace) == kcal

    @given(st.integers(1, 14_000), paces)
    def test_it_is_never_under_1200_to_lose_weight(self, tdee: int, pace: str) -> None:
        assert formulas.daily_calories_kcal(tdee, "lose", pace) >= 1200

    def test_the_floor_is_for_losing_alone(self) -> None:
        assert formulas.daily_calories_kcal(1000, "maintain", None) == 1000
        assert formulas.daily_calories_kcal(700, "gain", "slow") == 950


class TestMacros:
    @pytest.mark.parametrize(
        ("kcal", "percents", "grams"),
        [
            (2000, (30, 40, 30), [150, 200, 66]),
            (1485, (30, 35, 35), [111, 129, 57]),
            (1, (0, 0, 100), [0, 0, 0]),
            (9, (0, 0, 100), [0, 0, 1]),
            (10_000, (100, 0, 0), [2500, 0, 0]),
        ],
    )
    def test_they_have_4_4_and_9_kcal(
        self, kcal: int, percents: tuple[int, ...], grams: list[int]
    ) -> None:
        assert formulas.macro_grams(kcal, percents) == grams

    @given(st.integers(1, 15_000), percents)
    def test_together_they_fall_short_of_the_kcal_by_less_than_a_gram_each(
        self, kcal: int, percents: tuple[int, int, int]
    ) -> None:
        grams = formulas.macro_grams(kcal, percents)
        eaten = sum(g * per for g, per in zip(grams, formulas.KCAL_PER_GRAM, strict=True))
        assert kcal - (4 + 4 + 9) < eaten <= kcal

    @given(st.integers(1, 15_000), percents)
    def test_each_is_its_percent(self, kcal: int, percents: tuple[int, int, int]) -> None:
        grams = formulas.macro_grams(kcal, percents)
        for got, percent, per_gram in zip(grams, percents, formulas.KCAL_PER_GRAM, strict=True):
            assert got == math.floor(Fraction(kcal * percent, 100 * per_gram))

    @pytest.mark.parametrize("percents", formulas.WEIGHT_GOAL_TYPES.values())
    def test_the_defaults_are_100_together(self, percents: tuple[int, ...]) -> None:
        assert sum(percents) == 100


class TestBMI:
    @pytest.mark.parametrize(
        ("weight", "height", "bmi"),
        [
            ("70", "175", "22.9"),
            ("72.5", "168", "25.7"),
            ("24.95", "100", "25.0"),
            ("24.94", "100", "24.9"),
            ("18.45", "100", "18.5"),
            ("41", "200", "10.3"),
            ("42.93", "180", "13.3"),
            ("0.01", "300", "0.0"),
            ("500", "0.01", "50000000000.0"),
        ],
    )
    def test_it_is_rounded_half_up(self, weight: str, height: str, bmi: str) -> None:
        assert str(formulas.bmi(Decimal(weight), Decimal(height))) == bmi

    @pytest.mark.parametrize(
        ("bmi", "category"),
        [
            ("0", "underweight"),
            ("18.4", "underweight"),
            ("18.5", "normal"),
            ("24.9", "normal"),
            ("25.0", "overweight"),
            ("29.9", "overweight"),
            ("30.0", "obese"),
            ("50000000000.0", "obese"),
        ],
    )
    def test_the_classes_are_those_of_the_who(self, bmi: str, category: str) -> None:
        assert formulas.bmi_category(Decimal(bmi)) == category

    def test_the_class_is_that_of_the_rounded_bmi(self) -> None:
        assert (
            formulas.calculate(
                **PERSON | {"height_cm": Decimal(100), "current_weight_kg": Decimal("24.95")}
            )["bmi_category"]
            == "overweight"
        )

    @pytest.mark.parametrize(
        ("height", "low", "high"),
        [("170", "53.5", "72.0"), ("200", "74.0", "99.6"), ("0.01", "0.0", "0.0")],
    )
    def test_healthy_weights_lie_at_18_5_and_24_9(self, height: str, low: str, high: str) -> None:
        assert formulas.healthy_weight_kg(Decimal(height)) == (Decimal(low), Decimal(high))

    @given(heights)
    def test_healthy_weights_are_classed_normal(self, height: Decimal) -> None:
        assume(height >= 100)
        for weight in formulas.healthy_weight_kg(height):
            bmi = weight * 10_000 / height**2
            assert Decimal("18.4") < bmi < Decimal(25)


class TestCalculate:
    @given(people)
    def test_its_results_agree_with_each_other(self, person: dict[str, Any]) -> None:
        found = formulas.calculate(**person)
        grams = [found[name] for name in formulas.GRAMS]
        percents = [found[name] for name in formulas.PERCENTS]
        assert sum(percents) == 100
        assert grams == formulas.macro_grams(found["daily_calories_kcal"], percents)
        assert found["healthy_weight_min_kg"] <= found["healthy_weight_max_kg"]
        assert found["bmi_category"] == formulas.bmi_category(found["current_bmi"])

    @given(people, weights)
    def test_a_heavier_body_eats_and_drinks_no_less(
        self, person: dict[str, Any], other: Decimal
    ) -> None:
        light, heavy = sorted([person["current_weight_kg"], other])
        less, more = (
            formulas.calculate(**person | {"current_weight_kg": weight})
            for weight in (light, heavy)
        )
        for name in ("bmr_kcal", "tdee_kcal", "daily_calories_kcal", "water_ml", "current_bmi"):
            assert less[name] <= more[name]

    @given(people, percents, st.integers(0, 10_000))
    def test_chosen_percents_and_water_take_the_place_of_the_defaults(
        self, person: dict[str, Any], percents: tuple[int, int, int], water: int
    ) -> None:
        found = formulas.calculate(**person, percents=percents, water=water)
        plain = formulas.calculate(**person)
        assert tuple(found[name] for name in formulas.PERCENTS) == percents
        assert found["water_ml"] == water
        assert found["daily_calories_kcal"] == plain["daily_calories_kcal"]


class TestTrend:
    def days(self, *points: tuple[int, str]) -> list[tuple[date, Decimal]]:
        return [(TODAY + timedelta(day), Decimal(weight)) for day, weight in points]

    def test_without_weighings_there_is_no_trend(self) -> None:
        assert formulas.trend([]) == []

    def test_it_starts_at_the_first_weighing(self) -> None:
        assert formulas.trend(self.days((0, "80.4"))) == [Decimal("80.4")]

    def test_after_10_days_the_past_counts_1_part_in_e(self) -> None:
        found = formulas.trend(self.days((0, "80"), (10, "70")))[-1]
        assert float(found) == pytest.approx(70 + 10 / math.e)

    def test_a_day_moves_it_by_a_tenth_or_so(self) -> None:
        found = formulas.trend(self.days((0, "80"), (1, "81")))[-1]
        assert float(found) == pytest.approx(80.0951626)

    @given(series)
    def test_it_stays_within_what_was_weighed(self, found: list[tuple[date, Decimal]]) -> None:
        seen = [weight for _, weight in found]
        for low_high, value in zip(
            [(min(seen[: n + 1]), max(seen[: n + 1])) for n in range(len(seen))],
            formulas.trend(found),
            strict=True,
        ):
            assert low_high[0] - Decimal("1e-20") <= value <= low_high[1] + Decimal("1e-20")

    @given(weights, weights, st.integers(1, 60))
    def test_a_gap_is_as_if_it_had_been_weighed_through(
        self, before: Decimal, after: Decimal, gap: int
    ) -> None:
        through = [(TODAY, before)] + [(TODAY + timedelta(n + 1), after) for n in range(gap)]
        at_once = [(TODAY, before), (TODAY + timedelta(gap), after)]
        difference = formulas.trend(through)[-1] - formulas.trend(at_once)[-1]
        assert abs(difference) < Decimal("1e-20")


class TestSlope:
    @given(weights, st.integers(-50, 50), st.sets(st.integers(0, 400), min_size=2, max_size=30))
    def test_a_straight_line_is_found_exactly(
        self, start: Decimal, grams_a_day: int, days: set[int]
    ) -> None:
        slope = Decimal(grams_a_day) / 1000
        points = [(TODAY + timedelta(day), start + slope * day) for day in sorted(days)]
        assert formulas.kg_per_day(points) == Fraction(slope)

    @given(series)
    def test_it_is_the_least_squares_slope(self, found: list[tuple[date, Decimal]]) -> None:
        assume(len(found) > 1)
        days = [(day - TODAY).days for day, _ in found]
        expected = statistics.linear_regression(days, [float(kg) for _, kg in found]).slope
        assert float(formulas.kg_per_day(found)) == pytest.approx(expected, abs=1e-6)


class TestExpenditure:
    def fortnight(self, first: str = "80", last: str = "79") -> list[tuple[date, Decimal]]:
        return [(TODAY, Decimal(first)), (TODAY + timedelta(14), Decimal(last))]

    def test_half_a_kg_lost_a_week_is_550_kcal_a_day(self) -> None:
        assert formulas.expenditure_kcal(Decimal(28_000), 14, self.fortnight()) == 2550

    def test_gained_weight_was_not_burnt(self) -> None:
        weighings = self.fortnight("79", "80")
        assert formulas.expenditure_kcal(Decimal(28_000), 14, weighings) == 1450

    @pytest.mark.parametrize(
        ("kcal", "rounded"), [("7", 1), ("6.99", 0), ("20", 1), ("21", 2), ("0", 0)]
    )
    def test_it_is_rounded_half_up(self, kcal: str, rounded: int) -> None:
        steady = self.fortnight("80", "80")
        assert formulas.expenditure_kcal(Decimal(kcal), 14, steady) == rounded

    @pytest.mark.parametrize(("days", "known"), [(0, False), (13, False), (14, True)])
    def test_it_needs_14_days_logged(self, days: int, known: bool) -> None:
        found = formulas.expenditure_kcal(Decimal(28_000), days, self.fortnight())
        assert (found is not None) is known

    @pytest.mark.parametrize(
        ("days", "known"), [([], False), ([0], False), ([0, 5, 13], False), ([0, 14], True)]
    )
    def test_it_needs_weighings_14_days_apart(self, days: list[int], known: bool) -> None:
        weighings = [(TODAY + timedelta(day), Decimal(80)) for day in days]
        found = formulas.expenditure_kcal(Decimal(28_000), 14, weighings)
        assert (found is not None) is known


class TestStreak:
    @pytest.mark.parametrize(
        ("back", "expected"),
        [
            ([], (0, 0, 0)),
            ([0], (1, 1, 1)),
            ([1], (1, 1, 1)),
            ([2], (0, 1, 1)),
            ([2, 1], (2, 2, 2)),
            ([2, 1, 0], (3, 3, 3)),
            ([9, 8, 7, 1, 0], (2, 3, 5)),
            ([9, 8, 7, 2], (0, 3, 4)),
            ([3, 0], (1, 1, 2)),
        ],
    )
    def test_it_counts_days_in_a_row(self, back: list[int], expected: tuple[int, ...]) -> None:
        assert formulas.streak([TODAY - timedelta(n) for n in back], TODAY) == expected

    def test_a_leap_day_is_a_day(self) -> None:
        days = [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]
        assert formulas.streak(days, date(2024, 3, 1)).current == 3
        del days[1]
        assert formulas.streak(days, date(2024, 3, 1)).current == 1

    @given(st.sets(st.integers(0, 40)))
    def test_it_agrees_with_counting_by_hand(self, back: set[int]) -> None:
        found = formulas.streak([TODAY - timedelta(n) for n in sorted(back, reverse=True)], TODAY)

        def run(start: int) -> int:
            return 0 if start not in back else 1 + run(start + 1)

        assert found.current == run(0) or (0 not in back and found.current == run(1))
        assert found.longest == max((run(n) for n in back), default=0)
        assert found.days_logged == len(back)
