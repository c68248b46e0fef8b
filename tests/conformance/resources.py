"""What every resource is: where it lies, what it takes and what it answers.

To add one is to declare it here; the tests beside this file then hold it to what every resource
does, and its app's tests say what it does beside. One whose rows can be written in several ways
stands here once for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from tests.conformance.rules import (
    BOOLEAN,
    DAY,
    NAME,
    OWN,
    TIMESTAMP,
    Rule,
    choice,
    decimal,
    reference,
    whole,
)
from tests.helpers import contract
from tests.helpers.api import Api

PRODUCT = "abcdef12-3456-4abc-8def-abcdef123456"
PORTION = "abcdef12-3456-4abc-8def-abcdef654321"
WHEN = {"date": "2025-02-05", "meal_type": "lunch"}
PERCENTS = {"protein_percent": 30, "carbs_percent": 40, "fat_percent": 30}


@dataclass(frozen=True)
class Quota:
    """How many rows there may be at once of a device, a product or a day."""

    setting: str
    value: int
    sentence: str


@dataclass(kw_only=True, eq=False)
class Resource:
    """A kind of rows, as the contract has it.

    Attributes:
        noun: what is not found where there is none.
        path: where rows are created, and listed where `is_listed`.
        rows: under which path each lies.
        body: what creates one; `required` of it are the fields that can't be left out.
        answer: the fields of an answer, in order.
        fields: what may be sent to create one, but for the id; those that share a rule are tried
            together.
        updates: what may be sent to change one, where that differs.
        changes: an update of several fields, each of which changes itself alone.
        nth: what the `n`th row of a list differs by; none where a device has one row at most.
        has_ties: whether two rows may stand at one place of the list's order.
        prepare: creates what the body names.
    """

    name: str
    noun: str
    path: str
    rows: str
    body: dict[str, Any]
    answer: list[str]
    fields: Mapping[str, Rule]
    changes: dict[str, Any]
    required: tuple[str, ...] = ()
    updates: Mapping[str, Rule] = field(default_factory=dict)
    nth: Callable[[int], Mapping[str, Any]] | None = None
    has_ties: bool = True
    is_listed: bool = True
    quota: Quota | None = None
    prepare: Callable[[Api], object] = lambda phone: None

    def __post_init__(self) -> None:
        self.updates = self.updates or self.fields
        self.required = self.required or tuple(self.body)

    def __str__(self) -> str:
        return self.name

    @property
    def table(self) -> str:
        return self.rows.removeprefix("/v1/").replace("-", "_")

    @property
    def refused(self) -> dict[str, tuple[str, str]]:
        """Of each field a text that is refused in a new row, and by which code."""
        return a_refusal_of_each(self.fields)

    @property
    def refused_updates(self) -> dict[str, tuple[str, str]]:
        """The same in an update."""
        return a_refusal_of_each(self.updates)

    @property
    def known_fields(self) -> set[str]:
        """What the calls take that create and update it, also of rows of another sort."""
        sorts = [sort for sort in RESOURCES if sort.path == self.path]
        return {"id"}.union(*((*sort.fields, *sort.updates) for sort in sorts))


def a_refusal_of_each(fields: Mapping[str, Rule]) -> dict[str, tuple[str, str]]:
    """Return one that depends on no other field: null may be right beside others."""
    return {
        name: next((sent, code) for sent, code in rule.refused.items() if code != "null")
        for name, rule in fields.items()
        if rule.refused
    }


def newest_first(n: int) -> dict[str, str]:
    return {"date": str(date(2025, 2, 5) - timedelta(n))}


def oldest_first(n: int) -> dict[str, str]:
    return {"date": str(date(2025, 2, 5) + timedelta(n))}


def product(phone: Api) -> None:
    phone.product(id=PRODUCT)


def product_and_portion(phone: Api) -> None:
    """Create a product and a portion of it of a gram."""
    product(phone)
    phone.portion({"id": PRODUCT}, id=PORTION, grams=1)


AMOUNT = decimal("0", "100").nullable()
GRAMS = decimal("0.01", "10000")
NUTRIENT = decimal("0", "1000").nullable()
PRODUCT_FIELDS = {
    "name": NAME,
    "brand": NAME.nullable(),
    "unit": choice("g", "ml"),
    "kcal_100g": whole(0, 1000),
    # Macros may be 105 together: each is tried alone.
    **{f"{name}_100g": decimal("0", "100").nullable() for name in contract.NUTRIENTS[1:4]},
    **dict.fromkeys((f"{name}_100g" for name in contract.NUTRIENTS[4:]), AMOUNT),
    "barcode": OWN,
    # It names a food of the catalog, which is no device's, and may be gone.
    "catalog_id": reference().nullable(),
}
PORTION_FIELDS = {"name": NAME, "grams": GRAMS, "is_default": BOOLEAN}
LOGGED = {
    "date": DAY,
    "meal_type": choice("breakfast", "lunch", "dinner", "snacks"),
    "eaten_at": TIMESTAMP.nullable(),
}
ENTRY: dict[str, Any] = {
    "noun": "Food entry",
    "path": "/v1/food-entries",
    "rows": "/v1/food-entries",
    "answer": contract.ENTRY,
    "nth": newest_first,
    "quota": Quota("MAX_ENTRIES_PER_DAY", 500, "A day has at most {} food entries"),
}
NO_REFERENCE = Rule(reference().nullable().kept, is_string=True)
LOGGED_AGAIN = {"date": "2025-02-06", "meal_type": "snacks", "eaten_at": "2025-02-06T18:00:00Z"}
TARGETS = {
    "daily_calories_kcal": whole(1, 10_000),
    # The three are 100 together.
    **{name: whole(0, 100, kept=[percent]) for name, percent in PERCENTS.items()},
    "water_ml": whole(0, 10_000),
}
GOAL: dict[str, Any] = {
    "noun": "Goal",
    "rows": "/v1/goals",
    "answer": contract.GOAL,
    "updates": TARGETS,
    "changes": {"water_ml": 2500},
    "is_listed": False,
}

RESOURCES = [
    Resource(
        name="product",
        noun="Product",
        path="/v1/products",
        rows="/v1/products",
        body={"name": "Rice", "kcal_100g": 130},
        answer=contract.PRODUCT,
        fields=PRODUCT_FIELDS,
        # It is chosen once.
        updates={**PRODUCT_FIELDS, "unit": PRODUCT_FIELDS["unit"].keeping('"g"')},
        changes={
            **dict.fromkeys((f"{name}_100g" for name in contract.NUTRIENTS[1:]), 0.25),
            "name": "Milk",
            "brand": "Dairy",
            "kcal_100g": 64,
            "protein_100g": 3.3,
            "barcode": "96385074",
            "catalog_id": "2c94a01b-4fe7-5e45-8f16-9e931a58bc50",
        },
        nth=lambda n: {"name": f"Rice {n:03}"},
        quota=Quota("MAX_PRODUCTS_PER_DEVICE", 5000, "A device has at most {} products"),
    ),
    Resource(
        name="portion",
        noun="Portion",
        path=f"/v1/products/{PRODUCT}/portions",
        rows="/v1/portions",
        body={"name": "1 cup", "grams": 158},
        answer=contract.PORTION,
        fields=PORTION_FIELDS,
        # Of the default it can't be taken.
        updates={**PORTION_FIELDS, "is_default": BOOLEAN.keeping("true")},
        changes={"name": "1 slice", "grams": 30.25, "is_default": True},
        nth=lambda n: {"name": f"cup {n:03}"},
        quota=Quota("MAX_PORTIONS_PER_PRODUCT", 50, "A product has at most {} portions"),
        prepare=product,
    ),
    Resource(
        name="entry",
        body={**WHEN, "name": "Soup", "kcal": 250},
        fields={
            **LOGGED,
            "name": NAME,
            "unit": choice("g", "ml"),
            "kcal": decimal("0", "10000"),
            "grams": GRAMS.nullable(),
            **dict.fromkeys(contract.NUTRIENTS[1:], NUTRIENT),
            "quantity": GRAMS.with_own_null().keeping(),
            # Others are for what has a product.
            "product_id": NO_REFERENCE,
            "portion_id": NO_REFERENCE,
        },
        changes={
            **LOGGED_AGAIN,
            **dict.fromkeys(contract.NUTRIENTS[1:], 0.75),
            "name": "Stew",
            "unit": "ml",
            "kcal": 1.5,
            "protein": 2,
            "grams": 5,
        },
        **ENTRY,
    ),
    Resource(
        name="entry by grams",
        body={**WHEN, "product_id": PRODUCT, "grams": 150},
        required=tuple(WHEN),
        fields={
            "product_id": reference(PRODUCT).with_own_null(),
            "grams": GRAMS.with_own_null(),
        },
        changes=LOGGED_AGAIN,
        prepare=product,
        **ENTRY,
    ),
    Resource(
        name="entry by portions",
        body={**WHEN, "product_id": PRODUCT, "portion_id": PORTION, "quantity": 2},
        required=tuple(WHEN),
        fields={
            "product_id": reference(PRODUCT).with_own_null(),
            "portion_id": reference(PORTION).with_own_null(),
            "quantity": GRAMS.with_own_null(),
        },
        changes=LOGGED_AGAIN,
        prepare=product_and_portion,
        **ENTRY,
    ),
    Resource(
        name="weight",
        noun="Body weight",
        path="/v1/body-weights",
        rows="/v1/body-weights",
        body={"date": "2025-02-05", "weight_kg": 80.5},
        answer=contract.WEIGHT,
        fields={"date": DAY, "weight_kg": decimal("0.01", "500")},
        changes={"date": "2024-02-29", "weight_kg": 79.95},
        nth=oldest_first,
        has_ties=False,
    ),
    Resource(
        name="water",
        noun="Water entry",
        path="/v1/water-entries",
        rows="/v1/water-entries",
        body={"date": "2025-02-05", "ml": 250},
        answer=contract.WATER,
        fields={"date": DAY, "ml": whole(1, 10_000)},
        changes={"date": "2025-02-06", "ml": 300},
        nth=newest_first,
        quota=Quota("MAX_WATER_ENTRIES_PER_DAY", 100, "A day has at most {} water entries"),
    ),
    Resource(
        name="manual goal",
        path="/v1/goals/manual",
        body={"daily_calories_kcal": 2000, **PERCENTS, "water_ml": 2000},
        fields=TARGETS,
        **GOAL,
    ),
    Resource(
        name="calculated goal",
        path="/v1/goals/calculated",
        body={
            "gender": "female",
            "birth_date": "1990-05-17",
            "height_cm": 168,
            "current_weight_kg": 500,
            "activity_level": "light",
            "weight_goal_type": "lose",
            "target_weight_kg": 0.01,
            "weight_change_pace": "moderate",
            **PERCENTS,
            "water_ml": 2000,
        },
        required=(
            "gender",
            "birth_date",
            "height_cm",
            "current_weight_kg",
            "activity_level",
            "weight_goal_type",
            "target_weight_kg",
            "weight_change_pace",
        ),
        fields={
            "gender": choice("male", "female"),
            "birth_date": OWN,
            "height_cm": decimal("50", "300"),
            "current_weight_kg": decimal("10", "500"),
            "activity_level": choice("sedentary", "light", "moderate", "active", "very_active"),
            # The others need another target, or none.
            "weight_goal_type": choice("lose", "maintain", "gain").keeping('"lose"'),
            # Below the current weight.
            "target_weight_kg": decimal("0.01", "499.99", refused_over="500"),
            "weight_change_pace": choice("slow", "moderate", "aggressive").never_null(),
            **{name: TARGETS[name].with_own_null() for name in PERCENTS},
            "water_ml": TARGETS["water_ml"].with_own_null(),
        },
        **GOAL,
    ),
]
