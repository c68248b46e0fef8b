"""Serializers of goals, body weights, water and their statistics."""

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

METRICS: dict[str, Any] = {
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
TIMESTAMPS = {"created_at": "2025-02-05T08:30:00Z", "updated_at": None}
CALCULATED = {
    "id": "3f1c9a52-0c1e-4f0b-9d1c-6f1f8f6f3a21",
    "goal_type": "calculated",
    **METRICS,
    **CALCULATION,
    **TIMESTAMPS,
}
MANUAL = {
    "id": "77a8e6a4-3a0d-4d6e-8f0a-2b9f6f0c5d43",
    "goal_type": "manual",
    **dict.fromkeys((*METRICS, *CALCULATION)),
    **BY_HAND,
    "protein_grams": 150,
    "carbs_grams": 200,
    "fat_grams": 66,
    **TIMESTAMPS,
}
# What is left of the calculated goal after a lunch and 1.5 l of water.
LEFT = {"kcal": 1237.5, "protein": 64.5, "carbs": 129, "fat": 51.6, "water_ml": 892}
EATEN = {"eaten": TOTALS, "unknown": UNKNOWN}

OPTIONAL = {"required": False, "allow_null": True}
SENT_KCAL = {"daily_calories_kcal": {"max_value": MAX_SENT_KCAL}}
SENT_WATER = {"max_value": MAX_SENT_WATER_ML}


@example("To lose weight", METRICS, request_only=True)
class MetricsSerializer(StrictModelSerializer):
    """Body metrics, and whether to lose, maintain or gain weight.

    To lose or gain weight, a target weight and a pace are required. To maintain it, they are
    ignored.
    """

    class Meta:
        model = Goal
        fields = [*BODY, *WEIGHT_CHANGE]
        extra_kwargs: dict[str, dict[str, Any]] = {
            name: {"required": True, "allow_null": False} for name in BODY
        }

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Require target weight and pace to lose or gain weight, and ignore them to maintain it."""
        kept = dict(data)
        if data.get("weight_goal_type") == "maintain":
            kept |= dict.fromkeys(WEIGHT_CHANGE)
        needed = WEIGHT_CHANGE if data.get("weight_goal_type") in ("lose", "gain") else ()
        return self.read_with(kept, needed)


@example("To lose weight", {**METRICS, "water_ml": 2500}, request_only=True)
class CalculatedGoalSerializer(MetricsSerializer):
    """Body metrics. Percents and `water_ml`, if sent, replace the calculated ones."""

    class Meta(MetricsSerializer.Meta):
        fields = ["id", *MetricsSerializer.Meta.fields, *PERCENTS, "water_ml"]
        extra_kwargs = {
            **MetricsSerializer.Meta.extra_kwargs,
            **dict.fromkeys(PERCENTS, OPTIONAL),
            "water_ml": OPTIONAL | SENT_WATER,
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse one or two percents without the others."""
        if len([name for name in PERCENTS if attrs.get(name) is not None]) in (1, 2):
            raise serializers.ValidationError("Send all three percents or none.", code="required")
        return attrs


@example("By hand", {"id": MANUAL["id"], **BY_HAND}, request_only=True)
class ManualGoalSerializer(StrictModelSerializer):
    """Targets set by hand. An update changes only these, of a calculated goal too."""

    class Meta:
        model = Goal
        fields = ["id", *TARGETS]
        extra_kwargs = {**SENT_KCAL, "water_ml": SENT_WATER}


@example("To lose weight", CALCULATION, response_only=True)
class CalculationSerializer(StrictModelSerializer):
    """What is calculated from body metrics: kcal, grams and ml a day, weights in kg, BMI."""

    class Meta:
        model = Goal
        fields = [*ENERGY, *DAILY, *SHAPE]
        extra_kwargs = {name: {"allow_null": False} for name in (*ENERGY, *SHAPE)}


@example("By hand", MANUAL, response_only=True)
@example("Calculated", CALCULATED, response_only=True)
class GoalSerializer(StrictModelSerializer):
    """Daily targets. In a manual goal the metrics, and what is calculated from them, are null."""

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
    """The goal minus what was eaten and drunk, in kcal, grams and ml; negative if that was more."""

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
    water_ml = serializers.IntegerField(help_text="Water drunk on the day, in ml.")


class DateQuery(QuerySerializer):
    date = DayField()


WEIGHT = {
    "id": "9a8b7c6d-5e4f-4a3b-8c2d-1e0f9a8b7c6d",
    "date": "2025-02-05",
    "weight_kg": 72.5,
}
WATER = {"id": "1b2c3d4e-5f6a-4b7c-8d9e-0f1a2b3c4d5e", "date": "2025-02-05", "ml": 250}


@example("A weighing", WEIGHT, request_only=True)
@example("A weighing", WEIGHT | TIMESTAMPS, response_only=True)
class BodyWeightSerializer(StrictModelSerializer):
    """A body's weight on a day. A day has one weight."""

    class Meta:
        model = BodyWeight
        fields = ["id", "date", "weight_kg", "created_at", "updated_at"]
        read_only_fields = ["created_at", "updated_at"]


class BodyWeightQuery(RangeMixin, PageQuery):
    """The filters of the list of weights."""


@example("A glass", WATER, request_only=True)
@example("A glass", WATER | TIMESTAMPS, response_only=True)
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

    The trend is an exponentially weighted mean with a time constant of 10 days. It starts with the
    weighings of the 60 days before the range.
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
        help_text="Null with fewer than 14 logged days, or weighings that span less than 14 days.",
    )


@example("A week", {"date": "2025-02-05", "current": 7, "longest": 12, "days_logged": 31})
class StreakSerializer(serializers.Serializer[Any]):
    date = DayField()
    current = serializers.IntegerField(
        help_text="Days logged in a row, up to `date` or up to the day before."
    )
    longest = serializers.IntegerField()
    days_logged = serializers.IntegerField()
