"""Values as phones write them and the server does not keep them, for every column that is synced.

Each is right once it is normalised; what breaks a rule has tests of its own.
"""

from __future__ import annotations

import struct
import unicodedata
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from goals import formulas
from goals.formulas import GRAMS, PERCENTS
from goals.models import CHOICES, ENERGY, SHAPE
from products.nutrients import COLUMNS_100G, MACROS_100G, OPTIONAL
from sync.registry import synced
from sync.tests.replica import new_id

BLANKS = ["", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028"]
LETTERS = ["a", "Z", "é", "e\u0301", "ﬁ", "ß", "が", "か\u3099", "각", "각", "🍎", "'", "-", "&"]
BARCODES = ["96385074", "4006381333931", "036000291452", "04252614", "10012345678902"]


def names() -> st.SearchStrategy[str]:
    """Names in any normalisation form, with white space around them and within."""
    words = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=8).map("".join)
    pieces = st.lists(st.tuples(st.sampled_from(BLANKS), words), min_size=1, max_size=4)
    form = st.sampled_from(["NFC", "NFD"])
    return st.builds(
        lambda parts, end, form: unicodedata.normalize(
            form, "".join(blank + word for blank, word in parts) + end
        ),
        pieces,
        st.sampled_from(BLANKS),
        form,
    )


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Doubles between bounds: of 32 bits, with a unit in the last place more, thirds, any."""
    doubles = st.floats(low, high, allow_subnormal=False)
    cents = st.integers(round(low * 100), round(high * 100)).map(lambda cents: cents / 100)
    inexact = cents.map(lambda number: number * (1 + 2**-52)).filter(lambda number: number <= high)
    narrow = cents.map(lambda number: struct.unpack("f", struct.pack("f", number))[0])
    thirds = st.integers(1, 30).map(lambda n: low + (high - low) * n / 90)
    return st.one_of(cents, doubles, inexact, narrow, thirds)


def whole(low: int, high: int) -> st.SearchStrategy[float]:
    """Integers, and doubles that stand for one."""
    return st.builds(lambda n, off: n + off, st.integers(low, high), st.sampled_from([0, 0, 1e-7]))


def timestamps() -> st.SearchStrategy[str | None]:
    """Moments with any offset and any number of decimals, as texts."""
    offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
    moments = st.datetimes(datetime(2001, 1, 1), datetime(2090, 1, 1))  # noqa: DTZ001 - made aware
    aware = st.builds(
        lambda moment, offset, spec: moment.replace(tzinfo=offset).isoformat(timespec=spec),
        moments,
        offsets,
        st.sampled_from(["seconds", "milliseconds", "microseconds"]),
    )
    javascript = moments.map(
        lambda m: m.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    return st.one_of(st.none(), st.just(""), aware, javascript)


def barcodes() -> st.SearchStrategy[str | None]:
    blanks = st.sampled_from(["", " ", "-"])
    spaced = st.builds(
        lambda code, blank: blank.join([code[:4], code[4:]]), st.sampled_from(BARCODES), blanks
    )
    return st.one_of(st.none(), st.just(""), spaced)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


DAYS = st.integers(0, 3).map(lambda n: str(date(2025, 2, 1) + timedelta(days=n)))
UNITS = st.sampled_from(["g", "ml"])
MEAL_TYPES = st.sampled_from(["breakfast", "lunch", "dinner", "snacks"])
COLUMNS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "products": {
        "name": names(),
        "brand": st.one_of(st.none(), st.sampled_from(BLANKS), names()),
        "unit": UNITS,
        **dict.fromkeys(COLUMNS_100G, optional(numbers(0, 99))),
        **dict.fromkeys(MACROS_100G, optional(numbers(0, 35))),
        "kcal_100g": whole(0, 999),
        "barcode": barcodes(),
        "catalog_id": st.one_of(st.none(), st.just(""), st.uuids().map(str)),
        "servings": optional(numbers(0.01, 99)),
        # No less than all items of a dish can weigh: it would have more than 1000 kcal in 100 g.
        "cooked_grams": optional(numbers(12_500, 99_999)),
    },
    "portions": {"name": names(), "grams": numbers(1, 9999), "is_default": st.booleans()},
    "recipe_items": {
        "quantity": optional(numbers(0.01, 0.1)),
        "grams": numbers(0.01, 999),
        "position": whole(0, 9999),
    },
    "food_entries": {
        "date": DAYS,
        "meal_type": MEAL_TYPES,
        "name": names(),
        "unit": UNITS,
        "grams": numbers(0.01, 100),
        "quantity": optional(numbers(0.01, 0.9)),
        "kcal": numbers(0, 9999),
        **dict.fromkeys(OPTIONAL, optional(numbers(0, 999))),
        "eaten_at": timestamps(),
    },
    "goals": {
        "goal_type": st.sampled_from(["calculated", "manual"]),
        "gender": st.sampled_from([*formulas.GENDERS]),
        "birth_date": st.integers(1930, 2005).map(lambda year: f"{year}-02-05"),
        "height_cm": numbers(140, 200),
        "current_weight_kg": numbers(60, 120),
        "activity_level": st.sampled_from([*formulas.ACTIVITY_LEVELS]),
        "weight_goal_type": st.sampled_from(["lose", "maintain"]),
        "target_weight_kg": numbers(20, 59),
        "weight_change_pace": st.sampled_from([*formulas.PACES]),
        "daily_calories_kcal": whole(1, 9999),
        # The last of the three is what the others leave of 100.
        **dict.fromkeys(PERCENTS, whole(0, 50)),
        "water_ml": whole(0, 9999),
        **dict.fromkeys((*ENERGY, *GRAMS, *SHAPE), optional(numbers(0, 999))),
        "bmi_category": optional(st.sampled_from([*CHOICES["bmi_category"]])),
    },
    "body_weights": {"date": DAYS, "weight_kg": numbers(0.01, 499)},
    "water_entries": {"date": DAYS, "ml": whole(1, 9999)},
}
# They name other records, and are drawn with these.
KEYS = {
    "portions": {"product_id"},
    "recipe_items": {"product_id", "ingredient_id", "portion_id"},
    "food_entries": {"product_id", "portion_id"},
}


def records(table: str) -> st.SearchStrategy[dict[str, Any]]:
    columns = COLUMNS[table]
    columns_synced = {*synced()[table].table.columns} - {"id"} - KEYS.get(table, set())
    assert columns.keys() == columns_synced, f"{table}: every synced column has its values here"
    drawn = st.fixed_dictionaries(columns)
    return drawn.map(_up_to_100_percent) if table == "goals" else drawn


def _up_to_100_percent(goal: dict[str, Any]) -> dict[str, Any]:
    *others, last = PERCENTS
    return goal | {last: 100 - sum(round(goal[name]) for name in others)}


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """Return new records of every table, by table; entries of products, of portions and of none."""

    def some(table: str, at_most: int, **keys: Any) -> list[dict[str, Any]]:
        drawn = draw(st.lists(records(table), min_size=1, max_size=at_most))
        return [{**record, "id": new_id(), **keys} for record in drawn]

    products = [*some("products", 2), *some("products", 1)]
    food, dish = products[0]["id"], products[-1]["id"]
    portions = some("portions", 2, product_id=food)
    in_dish = {"product_id": dish, "ingredient_id": food}
    items = some("recipe_items", 2, **in_dish, portion_id=None)
    items += some("recipe_items", 1, **in_dish, portion_id=portions[0]["id"])
    entries = some("food_entries", 2, product_id=None, portion_id=None)
    entries += some("food_entries", 2, product_id=food, portion_id=None)
    entries += some("food_entries", 2, product_id=food, portion_id=portions[0]["id"])
    weights = {row["date"]: row for row in some("body_weights", 3)}
    return {
        "products": products,
        "portions": portions,
        "recipe_items": items,
        "food_entries": entries,
        "goals": some("goals", 2),
        "body_weights": list(weights.values()),
        "water_entries": some("water_entries", 2),
    }


@st.composite
def edits(draw: st.DrawFn, rows: Any) -> list[tuple[str, str, dict[str, Any]]]:
    """Return new values of some columns of rows: others, or such as come to what is stored."""
    edited = []
    for table, kept in rows.items():
        for row_id, row in kept.items():
            editable = sorted(COLUMNS[table].keys() - {"date"})
            names = draw(st.sets(st.sampled_from(editable), max_size=3))
            values = {
                name: draw(st.one_of(COLUMNS[table][name], _alike(row[name]))) for name in names
            }
            if "portion_id" in row and row["portion_id"] is None:
                values.pop("quantity", None)
            if table == "goals" and names & {*PERCENTS}:
                other = draw(records("goals"))
                values |= {name: other[name] for name in PERCENTS}
            if values:
                edited.append((table, row_id, values))
    return edited


def _alike(value: Any) -> st.SearchStrategy[Any]:
    """Return what is kept as the same value."""
    if isinstance(value, str) and value.endswith("Z"):
        return st.just(value.replace("Z", "+00:00"))
    if isinstance(value, str) and not value.islower():
        return st.just(f" {unicodedata.normalize('NFD', value)}  ")
    if isinstance(value, float):
        return st.just(value * (1 + 2**-52))
    return st.just(value)
