"""Food entries and statistics on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from countonme.api.fields import (
    DayField,
    NumberField,
    StrictChoiceField,
    StrictModelSerializer,
    StrictUUIDField,
    is_null,
)
from countonme.api.query import PageQuery, QuerySerializer, RangeMixin
from countonme.api.schema import example
from entries.models import (
    MAX_SENT_KCAL,
    MAX_SENT_MACRO,
    NUTRIENTS,
    FoodEntry,
    MealType,
)
from products.names import MAX_NAME_LENGTH

LOGGED = {
    "product_id": "5b0f0b1e-9a58-4c40-8a3b-0c7f3d2b9e10",
    "date": "2025-02-05",
    "meal_type": "lunch",
    "grams": 150,
}
TOTALS = {"kcal": 247.5, "protein": 46.5, "carbs": 0, "fat": 5.4}


@example("Grams of a product", LOGGED, request_only=True)
@example(
    "Portions of a product",
    {name: value for name, value in LOGGED.items() if name != "grams"}
    | {"portion_id": "8d7d1a5e-6f3c-4e0a-9a55-2f7b0f6f2a11", "quantity": 2},
    request_only=True,
)
@example(
    "Without a product",
    {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "dinner"},
    request_only=True,
)
@example(
    "Grams of a product",
    {
        "id": "c0a8c1d2-7d3f-4b7e-9a4e-5f6a7b8c9d0e",
        **LOGGED,
        **TOTALS,
        "portion_id": None,
        "name": "Chicken Breast",
        "quantity": None,
        "eaten_at": None,
        "created_at": "2025-02-05T12:30:00Z",
        "updated_at": None,
    },
    response_only=True,
)
class FoodEntrySerializer(StrictModelSerializer):
    """Something eaten: grams or portions of a product, or a name and its kcal.

    On POST with a product, send `grams`, or `portion_id` and `quantity`; without one, `name` and
    `kcal`. What a product decides is worked out here and ignored where it is sent.
    """

    product_id = StrictUUIDField(required=False, allow_null=True)
    portion_id = StrictUUIDField(required=False, allow_null=True)
    kcal = NumberField(
        max_digits=None, decimal_places=2, min_value=0, max_value=MAX_SENT_KCAL, required=False
    )
    protein, carbs, fat = (
        NumberField(
            max_digits=None,
            decimal_places=2,
            min_value=0,
            max_value=MAX_SENT_MACRO,
            required=False,
            allow_null=True,
        )
        for _ in range(3)
    )

    class Meta:
        model = FoodEntry
        fields = [
            "id",
            "product_id",
            "portion_id",
            "date",
            "meal_type",
            "name",
            "grams",
            "quantity",
            "kcal",
            "protein",
            "carbs",
            "fat",
            "eaten_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["created_at", "updated_at"]
        extra_kwargs = {"name": {"required": False, "max_length": MAX_NAME_LENGTH}}

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out what a product or a portion decides: phones send back whole records."""
        ignored: set[str] = set()
        has_product = not is_null(data.get("product_id"))
        if has_product:
            ignored |= {"name", *NUTRIENTS}
        if self.partial and not is_null(data.get("portion_id")):
            ignored.add("grams")
        kept = {name: value for name, value in data.items() if name not in ignored}
        return self.read_with(kept, () if has_product or self.partial else ("name", "kcal"))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """On POST, refuse an amount that is said twice, or not at all."""
        if not self.partial and attrs.get("product_id") is not None:
            by_grams, by_portion = (attrs.get(name) is not None for name in ("grams", "portion_id"))
            if by_grams == by_portion:
                raise serializers.ValidationError(
                    "Send grams or portion_id, and not both.",
                    code="invalid" if by_grams else "required",
                )
        return attrs


class FoodEntryQuery(RangeMixin, PageQuery):
    date = DayField(required=False, help_text="One day.")
    meal_type = StrictChoiceField(MealType.choices, required=False)
    product_id = StrictUUIDField(required=False)


class RangeQuery(RangeMixin, QuerySerializer):
    """Both ends are required here, and the range may be bounded."""

    max_days: ClassVar[int | None] = None

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        fields["from"].required = fields["to"].required = True
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Bound the range."""
        attrs = super().validate(attrs)
        if self.max_days and (attrs["to"] - attrs["from"]).days >= self.max_days:
            raise serializers.ValidationError(
                f"The range must be at most {self.max_days} days.", code="max_value"
            )
        return attrs


class DailyQuery(RangeQuery):
    max_days = 366


class TotalsSerializer(serializers.Serializer[Any]):
    """Exact sums; a macro counts as 0 where it is null."""

    kcal, protein, carbs, fat = (NumberField(max_digits=None, decimal_places=2) for _ in range(4))


class DayTotalsSerializer(serializers.Serializer[Any]):
    date = DayField()
    entries = serializers.IntegerField()
    totals = TotalsSerializer()


@example(
    "A lunch",
    {"date": "2025-02-05", "entries": 1, "totals": TOTALS, "by_meal_type": {"lunch": TOTALS}},
)
class DaySerializer(DayTotalsSerializer):
    by_meal_type = serializers.DictField(
        child=TotalsSerializer(), help_text="Only the meal types logged."
    )


@example(
    "One day",
    {
        "from": "2025-02-05",
        "to": "2025-02-05",
        "days": [{"date": "2025-02-05", "entries": 1, "totals": TOTALS}],
        "average": TOTALS,
    },
)
class DailySerializer(serializers.Serializer[Any]):
    vars()["from"] = DayField()
    to = DayField()
    days = DayTotalsSerializer(many=True)
    average = TotalsSerializer(help_text="Over the days with an entry, rounded half up.")
