"""Goals, body weights, water and their statistics on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from countonme.api.fields import DayField, NumberField, StrictModelSerializer
from countonme.api.query import PageQuery, QuerySerializer, RangeMixin
from countonme.api.schema import example
from entries.serializers import TOTALS, UNKNOWN, RangeQuery, TotalsSerializer, unknown_field
from goals.formulas import GRAMS, PERCENTS
from goals.models import (
    BODY,
    ENERGY,
    MAX_SENT_KCAL,
    MAX_SENT_WATER_ML,
    SHAPE,
    TARGETS,
    WEIGHT_CHANGE,
    BodyWeight,
    Goal,
    WaterEntry,
)
from products.nutrients import MACROS

DAILY = ("daily_calories_kcal", *PERCENTS, *GRAMS, "water_ml")

METRICS = {
    "gender": "female",
    "birth_date": "1990-05-17",
    "height_cm": 168,
    "current_weight_kg": 72.5,
    "activity_level": "light",
    "weight_goal_type": "lose",
    "target_weight_kg": 65,
    "weight_change_pace": "moderate",
}
BY_HAND = {
    "daily_calories_kcal": 2000,
    "protein_percent": 30,
    "carbs_percent": 40,
    "fat_percent": 30,
    "water_ml": 2000,
}
CALCULATION = {
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
    "healthy_weight_min_kg": 52.2,
    "healthy_weight_max_kg": 70.3,
    "current_bmi": 25.7,
    "bmi_category": "overweight",
}
WRITTEN = {"created_at": "2025-02-05T08:30:00Z", "updated_at": None}
CALCULATED = {
    "id": "3f1c9a52-0c1e-4f0b-9d1c-6f1f8f6f3a21",
    "goal_type": "calculated",
    **METRICS,
    **CALCULATION,
    **WRITTEN,
}
MANUAL = {
    "id": "77a8e6a4-3a0d-4d6e-8f0a-2b9f6f0c5d43",
    "goal_type": "manual",
    **dict.fromkeys((*METRICS, *CALCULATION)),
    **BY_HAND,
    "protein_grams": 150,
    "carbs_grams": 200,
    "fat_grams": 66,
    **WRITTEN,
}
# Of the calculated goal, after a lunch and 1.5 l of water.
LEFT = {"kcal": 1237.5, "protein": 64.5, "carbs": 129, "fat": 51.6, "water_ml": 892}
EATEN = {"eaten": TOTALS, "unknown": UNKNOWN}

OPTIONAL = {"required": False, "allow_null": True}
SENT_KCAL = {"daily_calories_kcal": {"max_value": MAX_SENT_KCAL}}
SENT_WATER = {"max_value": MAX_SENT_WATER_ML}


@example("To lose weight", METRICS, request_only=True)
class MetricsSerializer(StrictModelSerializer):
    """A body, and what its weight is to do.

    To lose or gain weight takes a target and a pace; to maintain it, they are ignored.
    """

    class Meta:
        model = Goal
        fields = [*BODY, *WEIGHT_CHANGE]
        extra_kwargs: dict[str, dict[str, Any]] = {
            name: {"required": True, "allow_null": False} for name in BODY
        }

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Ask for what the weight's goal needs, and leave out what it does not."""
        kept = dict(data)
        if data.get("weight_goal_type") == "maintain":
            kept |= dict.fromkeys(WEIGHT_CHANGE)
        needed = WEIGHT_CHANGE if data.get("weight_goal_type") in ("lose", "gain") else ()
        return self.read_with(kept, needed)


@example("To lose weight", {**METRICS, "water_ml": 2500}, request_only=True)
class CalculatedGoalSerializer(MetricsSerializer):
    """A body, and what the phone would rather have than what is calculated from it."""

    class Meta(MetricsSerializer.Meta):
        fields = ["id", *MetricsSerializer.Meta.fields, *PERCENTS, "water_ml"]
        extra_kwargs = {
            **MetricsSerializer.Meta.extra_kwargs,
            **dict.fromkeys(PERCENTS, OPTIONAL),
            "water_ml": OPTIONAL | SENT_WATER,
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse one or two percents without the rest."""
        if len([name for name in PERCENTS if attrs.get(name) is not None]) in (1, 2):
            raise serializers.ValidationError("Send all three percents or none.", code="required")
        return attrs


@example("By hand", BY_HAND, request_only=True)
class ManualGoalSerializer(StrictModelSerializer):
    """Targets of one's own. An update takes these alone, also of a calculated goal."""

    class Meta:
        model = Goal
        fields = ["id", *TARGETS]
        extra_kwargs = {**SENT_KCAL, "water_ml": SENT_WATER}


@example("To lose weight", CALCULATION, response_only=True)
class CalculationSerializer(StrictModelSerializer):
    """What follows from a body: kcal, grams and ml a day, kg, and the BMI."""

    class Meta:
        model = Goal
        fields = [*ENERGY, *DAILY, *SHAPE]
        extra_kwargs = {name: {"allow_null": False} for name in (*ENERGY, *SHAPE)}


@example("Calculated", CALCULATED, response_only=True)
@example("By hand", MANUAL, response_only=True)
class GoalSerializer(StrictModelSerializer):
    """What to eat and drink a day; where it is manual, metrics and what follows them are null."""

    class Meta:
        model = Goal
        fields = [
            "id",
            "goal_type",
            *BODY,
            *WEIGHT_CHANGE,
            *ENERGY,
            *DAILY,
            *SHAPE,
            "created_at",
            "updated_at",
        ]


class LeftSerializer(serializers.Serializer[Any]):
    """The goal less what was eaten and drunk: kcal, grams and ml; negative where it was more."""

    vars().update(
        {name: NumberField(max_digits=None, decimal_places=2) for name in ("kcal", *MACROS)}
    )
    water_ml = serializers.IntegerField()


@example(
    "A day",
    {"date": "2025-02-05", "goal": CALCULATED, **EATEN, "left": LEFT, "water_ml": 1500},
)
@example(
    "Without a goal",
    {"date": "2025-02-05", "goal": None, **EATEN, "left": None, "water_ml": 1500},
)
class ProgressSerializer(serializers.Serializer[Any]):
    date = DayField()
    goal = GoalSerializer(allow_null=True)
    eaten = TotalsSerializer()
    unknown = unknown_field()
    left = LeftSerializer(allow_null=True)
    water_ml = serializers.IntegerField(help_text="Drunk.")


class DateQuery(QuerySerializer):
    date = DayField()


WEIGHT = {"date": "2025-02-05", "weight_kg": 72.5}
WATER = {"date": "2025-02-05", "ml": 250}


@example("A weighing", WEIGHT, request_only=True)
@example(
    "A weighing",
    {"id": "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d", **WEIGHT, **WRITTEN},
    response_only=True,
)
class BodyWeightSerializer(StrictModelSerializer):
    """What a body weighed on a day; a day has one weight."""

    class Meta:
        model = BodyWeight
        fields = ["id", "date", "weight_kg", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


class BodyWeightQuery(RangeMixin, PageQuery):
    """Which weights to list."""


@example("A glass", WATER, request_only=True)
@example(
    "A glass",
    {"id": "1b2c3d4e-5f6a-4b7c-8d9e-0f1a2b3c4d5e", **WATER, **WRITTEN},
    response_only=True,
)
class WaterEntrySerializer(StrictModelSerializer):
    """Water drunk on a day."""

    class Meta:
        model = WaterEntry
        fields = ["id", "date", "ml", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


class WaterEntryQuery(RangeMixin, PageQuery):
    date = DayField(required=False, help_text="One day.")


class WeightQuery(RangeQuery):
    max_days = 3660


class WeightPointSerializer(serializers.Serializer[Any]):
    date = DayField()
    weight_kg = NumberField(max_digits=None, decimal_places=2)
    trend_kg = NumberField(max_digits=None, decimal_places=2)


@example(
    "Three weighings",
    {
        "from": "2025-02-01",
        "to": "2025-02-28",
        "points": [
            {"date": "2025-02-01", "weight_kg": 73, "trend_kg": 73},
            {"date": "2025-02-03", "weight_kg": 72.4, "trend_kg": 72.89},
            {"date": "2025-02-12", "weight_kg": 72.1, "trend_kg": 72.42},
        ],
    },
)
class WeightSerializer(serializers.Serializer[Any]):
    """The weighings of a range, oldest first, each with the trend in kg on that day.

    The trend is an exponentially weighted mean with a time constant of 10 days, warmed up with the
    60 days before.
    """

    vars()["from"] = DayField()
    to = DayField()
    points = WeightPointSerializer(many=True)


@example(
    "Four weeks",
    {
        "from": "2025-02-01",
        "to": "2025-02-28",
        "logged_days": 26,
        "weighings": 19,
        "kcal_per_day": 2130,
    },
)
class ExpenditureSerializer(serializers.Serializer[Any]):
    vars()["from"] = DayField()
    to = DayField()
    logged_days = serializers.IntegerField(help_text="Days with a food entry.")
    weighings = serializers.IntegerField()
    kcal_per_day = serializers.IntegerField(
        allow_null=True,
        help_text="Null with fewer than 14 days logged, or weighings less than 14 days apart.",
    )


@example("A week", {"date": "2025-02-05", "current": 7, "longest": 12, "days_logged": 31})
class StreakSerializer(serializers.Serializer[Any]):
    date = DayField()
    current = serializers.IntegerField(help_text="Days logged in a row, today or not yet.")
    longest = serializers.IntegerField()
    days_logged = serializers.IntegerField()
