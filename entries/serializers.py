"""Serializers of food entries and of the diary's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from rest_framework import serializers

from countonme.api.fields import (
    DayField,
    NumberField,
    Reader,
    StrictChoiceField,
    StrictModelSerializer,
    StrictUUIDField,
    is_null,
)
from countonme.api.query import PageQuery, QuerySerializer, RangeMixin
from countonme.api.schema import example
from entries.models import FIRST_DAY, FROM_PRODUCT, LAST_DAY, FoodEntry, MealType
from entries.suggestions import Order
from products.models import Product
from products.names import MAX_NAME_LENGTH
from products.nutrients import NAMES, NUTRIENTS, Nutrient, per_100g

LOGGED = {
    "product_id": "5b0f0b1e-9a58-4c40-8a3b-0c7f3d2b9e10",
    "date": "2025-02-05",
    "meal_type": "lunch",
    "grams": 150,
}
CHICKEN = Product(**per_100g(nutrient.example_100g for nutrient in NUTRIENTS))
TOTALS = {name: float(value or 0) for name, value in CHICKEN.nutrition(Decimal(150)).items()}


ENTRY = {
    "id": "c0a8c1d2-7d3f-4b7e-9a4e-5f6a7b8c9d0e",
    **LOGGED,
    "portion_id": None,
    "name": "Chicken Breast",
    "unit": "g",
    "quantity": None,
    **TOTALS,
    "eaten_at": None,
    "created_at": "2025-02-05T12:30:00Z",
    "updated_at": None,
}
UNKNOWN = {"fiber": 1}


def nutrient_field(nutrient: Nutrient) -> NumberField:
    """Return the serializer field of a nutrient; clients send it for entries without a product."""
    return NumberField(
        max_digits=None,
        decimal_places=2,
        min_value=0,
        max_value=nutrient.max_sent,
        required=False,
        allow_null=not nutrient.is_required,
        help_text=f"In {nutrient.unit}.",
    )


@example("Grams of a product", {"id": ENTRY["id"], **LOGGED}, request_only=True)
@example(
    "Portions of a product",
    {name: value for name, value in LOGGED.items() if name != "grams"}
    | {"portion_id": "8d7d1a5e-6f3c-4e0a-9a55-2f7b0f6f2a11", "quantity": 2},
    request_only=True,
)
@example(
    "Without a product",
    {"name": "Soup", "unit": "ml", "kcal": 250, "date": "2025-02-05", "meal_type": "dinner"},
    request_only=True,
)
@example("Grams of a product", ENTRY, response_only=True)
class FoodEntrySerializer(StrictModelSerializer):
    """Something eaten: grams or portions of a product, or a name and its kcal.

    On POST with a product, send `grams`, or `portion_id` and `quantity`. Without a product, send
    `name` and `kcal`. With a product, the server takes name and unit from it and calculates kcal
    and nutrients, and ignores these fields in the request.
    """

    product_id = StrictUUIDField(required=False, allow_null=True)
    portion_id = StrictUUIDField(required=False, allow_null=True)
    vars().update({nutrient.name: nutrient_field(nutrient) for nutrient in NUTRIENTS})

    class Meta:
        model = FoodEntry
        fields = [
            "id",
            "product_id",
            "portion_id",
            "date",
            "meal_type",
            "name",
            "unit",
            "grams",
            "quantity",
            *NAMES,
            "eaten_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["created_at", "updated_at"]
        extra_kwargs = {"name": {"required": False, "max_length": MAX_NAME_LENGTH}}

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Ignore what the product or the portion determines, since phones send whole records."""
        ignored: set[str] = set()
        has_product = not is_null(data.get("product_id"))
        if has_product:
            ignored |= {*FROM_PRODUCT}
        if self.partial and not is_null(data.get("portion_id")):
            ignored.add("grams")
        kept = {name: value for name, value in data.items() if name not in ignored}
        return self.read_with(kept, () if has_product or self.partial else ("name", "kcal"))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """On POST with a product, require either grams or a portion."""
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


class BothEndsMixin(RangeMixin):
    """A range of which both ends are required, and whose length may be limited."""

    max_days: ClassVar[int | None] = None

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        fields["from"].required = fields["to"].required = True
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a range of more than `max_days`."""
        attrs = super().validate(attrs)
        if self.max_days and (attrs["to"] - attrs["from"]).days >= self.max_days:
            raise serializers.ValidationError(
                f"The range must be at most {self.max_days} days.", code="max_value"
            )
        return attrs


class RangeQuery(BothEndsMixin, QuerySerializer):
    """A range of days as query parameters."""


class DailyQuery(RangeQuery):
    max_days = 366


def diary_day_field(**kwargs: Any) -> DayField:
    """Return the serializer field of a day that the diary can have."""
    bounds = [MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)]
    return DayField(validators=bounds, **kwargs)


def meal_field(help_text: str) -> StrictChoiceField:
    """Return the serializer field of a meal that may be left out."""
    return StrictChoiceField(MealType.choices, required=False, allow_null=True, help_text=help_text)


@example("A day", {"from_date": "2025-02-05", "to_date": "2025-02-06"}, request_only=True)
@example(
    "A meal, safe to send again",
    {
        "from_date": "2025-02-05",
        "meal_type": "lunch",
        "to_date": "2025-02-06",
        "to_meal_type": "dinner",
        "copy_id": "6a1f3c9e-2b7d-4c58-9e0a-1d4f8b6c7a52",
    },
    request_only=True,
)
@example("Some entries", {"entry_ids": [ENTRY["id"]], "to_date": "2025-02-06"}, request_only=True)
class CopyEntriesSerializer(Reader):
    """Which entries to log again, and when: a day, a meal of it, or entries by their ids."""

    from_date = diary_day_field(
        required=False, allow_null=True, help_text="Required without `entry_ids`."
    )
    to_date = diary_day_field()
    meal_type = meal_field("Of the day's entries, copy only those of this meal.")
    to_meal_type = meal_field("The meal of the copies; by default that of each original.")
    entry_ids = serializers.ListField(
        child=StrictUUIDField(),
        required=False,
        allow_null=True,
        max_length=settings.MAX_ENTRIES_PER_DAY,
        help_text="Copy these; `from_date` and `meal_type` do not count then.",
    )
    copy_id = StrictUUIDField(
        required=False,
        allow_null=True,
        help_text="A new UUID, which makes it safe to send the request again. The copies' ids are "
        "the UUIDs version 5 of it and the id of each original, in lower case.",
    )

    def to_internal_value(self, data: Mapping[str, Any]) -> dict[str, Any]:
        return self.read_with(data, ("from_date",) if data.get("entry_ids") is None else ())


@example(
    "A year",
    {"product_id": LOGGED["product_id"], "from": "2025-01-01", "to": "2025-12-31"},
    request_only=True,
)
class RestateSerializer(BothEndsMixin, Reader):
    """Which entries to work out again: those of these days that name the product."""

    max_days = 3660

    product_id = StrictUUIDField()


@example("A lunch", {"restated": 1})
class RestatedSerializer(serializers.Serializer[Any]):
    restated = serializers.IntegerField(help_text="How many entries changed.")


class LoggedProductsQuery(PageQuery):
    order = StrictChoiceField(
        Order.choices,
        default=Order.RECENT,
        help_text="`recent`: the last logged first, by the day in the diary, then by when it was "
        "written. `frequent`: first those logged on the most of the last 90 days that have an "
        "entry, then as in `recent`.",
    )
    meal_type = StrictChoiceField(
        MealType.choices, required=False, help_text="Only entries of this meal count."
    )


class TotalsSerializer(serializers.Serializer[Any]):
    """Exact sums. A nutrient that is null counts as 0."""

    vars().update({name: NumberField(max_digits=None, decimal_places=2) for name in NAMES})


def unknown_field() -> serializers.DictField:
    """Return the field that counts, for each nutrient, the entries where it is null."""
    return serializers.DictField(
        child=serializers.IntegerField(),
        help_text="For each nutrient that is null in some entry, the number of such entries.",
    )


class DayTotalsSerializer(serializers.Serializer[Any]):
    date = DayField()
    entries = serializers.IntegerField()
    totals = TotalsSerializer()


@example(
    "A lunch",
    {
        "date": "2025-02-05",
        "entries": 1,
        "totals": TOTALS,
        "unknown": UNKNOWN,
        "by_meal_type": {"lunch": TOTALS},
    },
)
class DaySerializer(DayTotalsSerializer):
    unknown = unknown_field()
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
    average = TotalsSerializer(help_text="The average of the days with an entry, rounded half up.")
