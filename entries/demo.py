"""Sample products and a sample diary, for a demo device."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from devices.models import Device
from entries.models import FoodEntry, MealType
from products.models import Portion, Product, Unit, make_recipe
from products.nutrients import per_100g


class Food(NamedTuple):
    """A sample product and a portion of it; values per 100 g stand in the order of `NUTRIENTS`."""

    name: str
    per_100g: tuple[float | None, ...]
    portion: str
    grams: int
    brand: str | None = None
    unit: Unit = Unit.GRAMS

    def values(self) -> dict[str, Any]:
        """Return the columns of the product."""
        described = {"name": self.name, "brand": self.brand, "unit": self.unit}
        return described | per_100g(self.per_100g)


# Per 100 g; rounded from USDA FoodData Central, SR Legacy (2018).
FOODS = {
    "oats": Food("Rolled oats", (379, 13.2, 67.7, 6.5, 10.1, 1, 1.1, 0.02), "1 bowl", 50),
    "milk": Food(
        "Milk 1.5 %",
        (46, 3.4, 4.8, 1.5, 0, 4.8, 1, 0.11),
        "1 glass",
        200,
        "Meadow",
        Unit.MILLILITRES,
    ),
    "banana": Food("Banana", (89, 1.1, 22.8, 0.3, 2.6, 12.2, 0.1, 0), "1 banana", 118),
    "egg": Food("Egg, boiled", (155, 12.6, 1.1, 10.6, 0, 1.1, 3.3, 0.31), "1 egg", 50),
    "bread": Food("Whole-wheat bread", (247, 13, 41.3, 3.4, 6.8, 6, 0.7, 1.13), "1 slice", 36),
    "cheese": Food("Gouda", (356, 24.9, 2.2, 27.4, 0, 2.2, 17.6, 2.05), "1 slice", 28, "Meadow"),
    "chicken": Food("Chicken Breast", (165, 31, 0, 3.6, 0, 0, 1, 0.19), "1 fillet", 150),
    "rice": Food("White rice, cooked", (130, 2.7, 28.2, 0.3, 0.4, 0.1, 0.1, 0), "1 cup", 158),
    "broccoli": Food("Broccoli, cooked", (35, 2.4, 7.2, 0.4, 3.3, 1.4, 0.1, 0.1), "1 serving", 120),
    "salmon": Food("Salmon, baked", (206, 22.1, 0, 12.4, 0, 0, 2.4, 0.15), "1 fillet", 140),
    "potatoes": Food("Potatoes, boiled", (87, 1.9, 20.1, 0.1, 1.8, 0.9, 0, 0.01), "1 serving", 200),
    "lentils": Food("Lentils, cooked", (116, 9, 20.1, 0.4, 7.9, 1.8, 0.1, 0.01), "1 bowl", 250),
    "pasta": Food("Pasta, cooked", (158, 5.8, 30.9, 0.9, 1.8, 0.6, 0.2, 0), "1 plate", 220),
    "tomato": Food("Tomato sauce", (24, 1.2, 5.3, 0.3), "1 ladle", 125),
    "apple": Food("Apple", (52, 0.3, 13.8, 0.2, 2.4, 10.4, 0, 0), "1 apple", 182),
    "yoghurt": Food("Yoghurt, plain", (61, 3.5, 4.7, 3.3, 0, 4.7, 2.1, 0.12), "1 cup", 150),
    "almonds": Food("Almonds", (579, 21.2, 21.6, 49.9, 12.5, 4.4, 3.8, 0), "1 handful", 28),
}
MEALS: dict[MealType, list[tuple[str, ...]]] = {
    MealType.BREAKFAST: [
        ("oats", "milk", "banana"),
        ("bread", "cheese", "egg"),
        ("yoghurt", "banana", "almonds"),
    ],
    MealType.LUNCH: [
        ("chicken", "rice", "broccoli"),
        ("lentils", "bread", "cheese"),
        ("pasta", "tomato", "cheese"),
    ],
    MealType.DINNER: [
        ("salmon", "potatoes", "broccoli"),
        ("bread", "cheese", "egg", "tomato"),
        ("chicken", "pasta", "broccoli"),
        ("dish",),
    ],
    MealType.SNACKS: [("apple",), ("almonds", "apple"), ("yoghurt", "apple"), ("banana",), ()],
}
# A recipe: what is in it by grams, how many servings it makes, and what it weighs cooked.
DISH = "Chicken and rice"
IN_DISH = {"chicken": 300, "rice": 474, "broccoli": 240, "tomato": 125}
SERVINGS, COOKED_GRAMS = Decimal(3), Decimal(1080)
# The hour of each meal, in UTC.
HOURS = {
    MealType.BREAKFAST: 7,
    MealType.LUNCH: 12,
    MealType.DINNER: 19,
    MealType.SNACKS: 16,
}
QUANTITIES = [Decimal("0.75"), Decimal(1), Decimal(1), Decimal("1.25"), Decimal("1.5")]


def fill_diary(device: Device, last: date, days: int, rng: random.Random) -> None:
    """Create the sample products and a diary of some days, of which `last` is the last."""
    portions = {key: _create_portion(device, food) for key, food in FOODS.items()}
    portions["dish"] = _cook(device, portions)
    for days_ago in reversed(range(days)):
        for values in _day(last - timedelta(days=days_ago), portions, rng):
            FoodEntry.add(device.pk, **values)


def _create_portion(device: Device, food: Food) -> Portion:
    """Create the product and the portion of a food; return the portion."""
    product, _ = Product.add(device.pk, **food.values())
    portion, _ = Portion.add(
        device.pk, product=product, name=food.portion, grams=Decimal(food.grams), is_default=True
    )
    return portion


def _cook(device: Device, portions: dict[str, Portion]) -> Portion:
    """Create the recipe; return its serving."""
    product, _ = Product.add(device.pk, name=DISH, kcal_100g=0)
    items = [
        {"ingredient_id": portions[key].product_id, "grams": Decimal(grams)}
        for key, grams in IN_DISH.items()
    ]
    make_recipe(product, servings=SERVINGS, cooked_grams=COOKED_GRAMS, items=items)
    serving: Portion = product.portions.get(is_default=True)
    return serving


def _day(day: date, portions: dict[str, Portion], rng: random.Random) -> list[dict[str, Any]]:
    """Return the values of a day's entries."""
    logged = []
    for meal, choices in MEALS.items():
        eaten_at = datetime.combine(day, time(HOURS[meal], rng.randrange(60)), UTC)
        for key in rng.choice(choices):
            portion = portions[key]
            logged.append(
                {
                    "date": day,
                    "meal_type": meal,
                    "eaten_at": eaten_at,
                    "product_id": portion.product_id,
                    "portion_id": portion.pk,
                    "quantity": rng.choice(QUANTITIES),
                }
            )
    return logged
