"""Three devices make random calls, and each sees only its own rows, as a small model predicts.

The devices choose the same ids, which must not matter. Their phones call in turn, join, move, sign
each other out, recover and erase, and only those that the model knows as signed in may call. The
model implements what the contract promises in plain Python, and shares no code with the project.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

import hypothesis
from django.db import transaction
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.helpers.api import Api, new_phone
from tests.helpers.contract import NUTRIENTS
from tests.helpers.household import Household, Phone, Refused, unknown_code

# The path of each kind of row, its table in sync, and its name in error messages.
KINDS = {
    "products": ("products", "products", "Product"),
    "portions": ("portions", "portions", "Portion"),
    "entries": ("food-entries", "food_entries", "Food entry"),
    "weights": ("body-weights", "body_weights", "Body weight"),
    "waters": ("water-entries", "water_entries", "Water entry"),
    "goals": ("goals", "goals", "Goal"),
}
Row = dict[str, Any]
Answer = tuple[int, Any]

DEVICES = 3
DAYS = ["2025-02-05", "2025-02-06", "2025-02-07"]
MEALS = ["breakfast", "lunch", "dinner", "snacks"]
COPY_IDS = [str(uuid.UUID(int=number, version=4)) for number in range(3)]
ITEM_IDS = [str(uuid.UUID(int=number, version=4)) for number in range(100, 108)]
# How many entries a device may have and still copy: more would not fit into one page.
COPIES_UP_TO = 40
OPTIONAL, MACROS = NUTRIENTS[1:], NUTRIENTS[1:4]
BARCODES = ["96385074", "4006381333931"]
PERCENTS = ["protein_percent", "carbs_percent", "fat_percent"]
# The fields that are null in a goal set by hand.
METRICS = [
    *("gender", "birth_date", "height_cm", "current_weight_kg", "activity_level"),
    *("weight_goal_type", "target_weight_kg", "weight_change_pace", "bmr_kcal", "tdee_kcal"),
    *("healthy_weight_min_kg", "healthy_weight_max_kg", "current_bmi", "bmi_category"),
]
CENT = Decimal("0.01")
PER_100G = [f"{name}_100g" for name in NUTRIENTS]
# The columns in which a deleted row that comes back must be as it was, and what is said otherwise.
KEPT = {
    "products": ("unit", "The unit of a product can't be changed"),
    "portions": ("product_id", "A portion stays with its product"),
    "items": ("product_id", "An item stays with its recipe"),
}
# Numbers the changes of all devices: which came before which.
clock = itertools.count()


def rounded(value: Decimal) -> Decimal:
    return value.quantize(CENT, ROUND_HALF_UP)


def serving_of(product: str) -> str:
    """Return the id of a recipe's serving."""
    return str(uuid.uuid5(uuid.UUID(product), "serving"))


class World:
    """The model of one device's rows. Changes return the row, and creations also a status."""

    def __init__(self) -> None:
        self.products: dict[str, Row] = {}
        self.portions: dict[str, Row] = {}
        self.items: dict[str, Row] = {}
        self.entries: dict[str, Row] = {}
        self.weights: dict[str, Row] = {}
        self.waters: dict[str, Row] = {}
        self.goals: dict[str, Row] = {}

    @staticmethod
    def seen(row: Row) -> Row:
        """Return a row as the API answers it; `updated_at` is whether there is one."""
        of_the_model = ("live", "plain", "made", "changed")
        return {key: value for key, value in row.items() if key not in of_the_model}

    @staticmethod
    def live(rows: dict[str, Row], key: str, name: str) -> Row:
        row = rows.get(key)
        if row is None or not row["live"]:
            raise Refused(404, f"{name} not found")
        return row

    @staticmethod
    def change(row: Row, values: Row) -> None:
        if any(row[key] != value for key, value in values.items()):
            row.update(values, updated_at=True, changed=next(clock))

    def add(self, rows: dict[str, Row], key: str, values: Row) -> tuple[int, Row]:
        """Create a row, or find the one that has the client's id already."""
        if key in rows and rows[key]["live"]:
            return 200, rows[key]
        if key in rows:
            raise Refused(409, "ID already in use")
        rows[key] = {"id": key, **values, "updated_at": False, "live": True, **self.new()}
        return 201, rows[key]

    @staticmethod
    def new() -> Row:
        """Return when a new row was made and changed."""
        return {"made": next(clock), "changed": None}

    def portions_of(self, product: str) -> list[Row]:
        """Return a product's live portions, the oldest first."""
        rows = [p for p in self.portions.values() if p["live"] and p["product_id"] == product]
        return sorted(rows, key=lambda row: row["made"])

    def unset_default(self, product: str) -> None:
        for portion in self.portions_of(product):
            self.change(portion, {"is_default": False})

    def add_portion(self, key: str, product: str, values: Row) -> tuple[int, Row]:
        self.live(self.products, product, "Product")
        if key not in self.portions and values["is_default"]:
            self.unset_default(product)
        return self.add(self.portions, key, {"product_id": product, **values})

    def change_portion(self, key: str, values: Row) -> Row:
        portion = self.live(self.portions, key, "Portion")
        becomes_default = values.get("is_default", portion["is_default"])
        if portion["is_default"] and not becomes_default:
            raise Refused(409, "Make another portion the default instead")
        if becomes_default and not portion["is_default"]:
            self.unset_default(portion["product_id"])
        if key == serving_of(portion["product_id"]) and self.is_recipe(portion["product_id"]):
            values = {name: value for name, value in values.items() if name != "grams"}
        self.change(portion, values)
        return portion

    def delete_portion(self, key: str) -> None:
        portion = self.live(self.portions, key, "Portion")
        left = [p for p in self.portions_of(portion["product_id"]) if p is not portion]
        if not left:
            raise Refused(409, "A product keeps at least one portion")
        portion["live"] = False
        if portion["is_default"]:
            self.change(left[0], {"is_default": True})

    def delete_product(self, key: str) -> None:
        self.live(self.products, key, "Product")["live"] = False
        for row in (*self.portions_of(key), *self.items_of(key)):
            row["live"] = False

    def change_product(self, key: str, values: Row) -> Row:
        product = self.live(self.products, key, "Product")
        if values.get("unit", product["unit"]) != product["unit"]:
            raise Refused(409, "The unit of a product can't be changed")
        if self.is_recipe(key):
            values = {name: value for name, value in values.items() if name not in PER_100G}
        elif any(values.get(name, product[name]) != product[name] for name in PER_100G):
            product["plain"] = None
        self.change(product, values)
        for owner in {i["product_id"] for i in self.live_items() if i["ingredient_id"] == key}:
            self.work_out(owner)
        return product

    def live_items(self) -> list[Row]:
        return [item for item in self.items.values() if item["live"]]

    def items_of(self, product: str) -> list[Row]:
        items = [item for item in self.live_items() if item["product_id"] == product]
        return sorted(items, key=lambda item: (item["position"], item["id"]))

    def is_recipe(self, product: str) -> bool:
        return self.products[product]["servings"] is not None and bool(self.items_of(product))

    def seen_items(self, product: str) -> list[Row]:
        """Return a recipe's items as the API answers them."""
        return [
            {key: value for key, value in self.seen(item).items() if key != "product_id"}
            for item in self.items_of(product)
        ]

    def put_recipe(self, key: str, servings: Decimal, cooked: Decimal | None, items: Any) -> Row:
        product = self.live(self.products, key, "Product")
        if any(item["ingredient_id"] == key for item in self.live_items()):
            raise Refused(409, "This product is in a recipe")
        named = {item["ingredient_id"] for item in items}
        if key in named or any(item["product_id"] in named for item in self.live_items()):
            raise Refused(422, "Validation error")
        own = {item["id"]: item for item in self.items_of(key)}
        given = [item["id"] for item in items]
        if any(each in self.items and each not in own for each in given):
            raise Refused(409, "ID already in use")
        for item in items:
            stored = own.get(item["id"])
            if stored is None or stored["ingredient_id"] != item["ingredient_id"]:
                self.live(self.products, item["ingredient_id"], "Product")
        is_made = not self.is_recipe(key)
        for item in own.values():
            item["live"] = item["id"] in given
        amount = {"product_id": key, "portion_id": None, "quantity": None, "live": True}
        for place, item in enumerate(items):
            self.items[item["id"]] = {**item, **amount, "position": place}
        if product["plain"] is None:
            product["plain"] = {name: product[name] for name in PER_100G}
        self.change(product, {"servings": servings, "cooked_grams": cooked})
        self.work_out(key)
        self.keep_serving(key, is_made=is_made)
        return {"servings": servings, "cooked_grams": cooked, "items": self.seen_items(key)}

    def total(self, key: str) -> Decimal:
        cooked: Decimal | None = self.products[key]["cooked_grams"]
        return cooked or sum((item["grams"] for item in self.items_of(key)), Decimal(0))

    def per_100g(self, key: str) -> Row:
        """Return the values of a recipe that follow from its items."""
        values: Row = {}
        for name in PER_100G:
            foods = [
                (self.products[item["ingredient_id"]][name], item["grams"])
                for item in self.items_of(key)
            ]
            is_known = all(value is not None for value, _ in foods)
            unit = Decimal(1) if name == "kcal_100g" else CENT
            values[name] = None
            if is_known:
                exact = sum(value * grams for value, grams in foods) / self.total(key)
                values[name] = exact.quantize(unit, ROUND_HALF_UP)
        return values

    def work_out(self, key: str) -> None:
        """Set the values of a recipe, and the grams of its serving."""
        values = self.per_100g(key)
        if self.products[key]["plain"] is None:
            self.products[key]["plain"] = {name: self.products[key][name] for name in PER_100G}
        self.change(self.products[key], values)
        serving = self.portions.get(serving_of(key))
        if serving and serving["live"]:
            self.change(
                serving, {"grams": rounded(self.total(key) / self.products[key]["servings"])}
            )

    def keep_serving(self, product: str, *, is_made: bool) -> None:
        key, serving = serving_of(product), self.portions.get(serving_of(product))
        grams = rounded(self.total(product) / self.products[product]["servings"])
        was_default = serving is not None and serving["live"] and serving["is_default"]
        if is_made and not was_default:
            self.unset_default(product)
        kept = {"grams": grams, "is_default": is_made or was_default}
        if serving is None:
            self.add(self.portions, key, {"product_id": product, "name": "serving", **kept})
        else:
            self.change(serving, kept | {"live": True})

    def delete_recipe(self, key: str) -> None:
        product = self.live(self.products, key, "Product")
        if not self.is_recipe(key):
            raise Refused(404, "Recipe not found")
        for item in self.items_of(key):
            item["live"] = False
        values = (product["plain"] or {}) | {"servings": None, "cooked_grams": None, "plain": None}
        self.change(product, values)

    def worked_out(self, amount: Row, stored: Row) -> Row:
        """Return the fields of an entry that its product and amount determine."""
        product = self.find(self.products, "product_id", amount, stored, "Product")
        grams = amount["grams"]
        if amount["portion_id"] is not None:
            portion = self.find(self.portions, "portion_id", amount, stored, "Portion")
            if portion["product_id"] != product["id"]:
                raise Refused(404, "Portion not found")
            grams = rounded(portion["grams"] * amount["quantity"])
        shares = {name: product[f"{name}_100g"] for name in NUTRIENTS}
        return amount | {
            "name": product["name"],
            "unit": product["unit"],
            "grams": grams,
            **{
                name: None if share is None else rounded(share * grams / 100)
                for name, share in shares.items()
            },
        }

    def find(self, rows: dict[str, Row], key: str, amount: Row, stored: Row, name: str) -> Row:
        """Return a live row, or a deleted one that the entry refers to already."""
        if amount[key] == stored.get(key) and amount[key] in rows:
            return rows[amount[key]]
        return self.live(rows, amount[key], name)

    def add_entry(self, key: str, values: Row) -> tuple[int, Row]:
        empty = dict.fromkeys(["product_id", "portion_id", "grams", "quantity", *NUTRIENTS])
        entry = {**empty, "unit": "g", "eaten_at": None, **values}
        if key not in self.entries and entry["product_id"] is not None:
            entry |= self.worked_out(
                {name: entry[name] for name in ("product_id", "portion_id", "quantity", "grams")},
                {},
            )
        return self.add(self.entries, key, entry)

    def change_entry(self, key: str, values: Row) -> Row:
        entry = self.live(self.entries, key, "Food entry")
        plain = {name: values[name] for name in ("date", "meal_type") if name in values}
        product = values.get("product_id", entry["product_id"])
        of_grams = {"product_id": product, "portion_id": None, "quantity": None}
        if product is None:
            self.change(entry, values | of_grams)
            return entry
        if values.get("portion_id") is not None:
            amount = {name: values[name] for name in ("product_id", "portion_id", "quantity")}
            same = all(entry[name] == value for name, value in amount.items())
            changed = {} if same else self.worked_out(amount | {"grams": None}, entry)
        elif "grams" not in values:
            changed = {}
        elif (product, values["grams"]) == (entry["product_id"], entry["grams"]):
            changed = of_grams
        else:
            changed = self.worked_out(of_grams | {"grams": values["grams"]}, entry)
        self.change(entry, plain | changed)
        return entry

    def delete_entry(self, key: str) -> None:
        self.live(self.entries, key, "Food entry")["live"] = False

    def copy_entries(self, body: Row, ids: list[str]) -> tuple[int, list[Row]]:
        """Copy entries; only without a `copy_id` the answer has to tell their `ids`."""
        named, meal, copy_id = (body.get(key) for key in ("entry_ids", "meal_type", "copy_id"))

        def is_chosen(entry: Row) -> bool:
            if named is not None:
                return entry["id"] in named
            return entry["date"] == body["from_date"] and meal in (None, entry["meal_type"])

        live = sorted(
            (entry for entry in self.entries.values() if entry["live"]),
            key=lambda entry: entry["made"],
        )
        chosen = sorted(filter(is_chosen, live), key=lambda entry: str(entry["date"]))
        originals = [entry["id"] for entry in chosen] if named is None else sorted(set(named))
        if copy_id is not None:
            own = {str(uuid.uuid5(uuid.UUID(copy_id), key)) for key in originals}
            if known := own & self.entries.keys():
                return 200, [self.seen(entry) for entry in live if entry["id"] in known]
            ids = [str(uuid.uuid5(uuid.UUID(copy_id), entry["id"])) for entry in chosen]
        if len(chosen) < len(originals):
            raise Refused(404, "Food entry not found")
        copies = [
            entry
            | {
                "id": key,
                "date": body["to_date"],
                "meal_type": body.get("to_meal_type", entry["meal_type"]),
                "updated_at": False,
            }
            | self.new()
            for key, entry in zip(ids, chosen, strict=True)
        ]
        self.entries.update({copy["id"]: copy for copy in copies})
        return 201, [self.seen(copy) for copy in copies]

    def restate(self, key: str, first: str, last: str) -> Row:
        self.live(self.products, key, "Product")
        count = 0
        for entry in self.entries.values():
            is_meant = entry["live"] and entry["product_id"] == key
            if is_meant and first <= entry["date"] <= last:
                by_grams = {"product_id": key, "portion_id": None, "grams": entry["grams"]}
                values = self.worked_out(by_grams, {}) | {"portion_id": entry["portion_id"]}
                count += any(entry[name] != value for name, value in values.items())
                self.change(entry, values)
        return {"restated": count}

    def logged_products(self, meal: str | None = None, *, often: bool = False) -> list[Row]:
        """Return the live products that were logged, in the order of suggestions."""
        logged: dict[str, list[tuple[str, int]]] = {}
        for entry in self.entries.values():
            if entry["live"] and entry["product_id"] and meal in (None, entry["meal_type"]):
                logged.setdefault(entry["product_id"], []).append((entry["date"], entry["made"]))

        def rank(key: str) -> Any:
            last = max(logged[key])
            return (len({day for day, _ in logged[key]}) if often else 0, last)

        ranked = sorted(logged, key=rank, reverse=True)
        return [self.seen(self.products[key]) for key in ranked if self.products[key]["live"]]

    def weight_of(self, day: str) -> Row | None:
        """Return a day's live weight."""
        rows = (row for row in self.weights.values() if row["live"] and row["date"] == day)
        return next(rows, None)

    def add_weight(self, key: str, values: Row) -> tuple[int, Row]:
        if key not in self.weights and self.weight_of(values["date"]):
            raise Refused(409, "This day has a body weight already")
        return self.add(self.weights, key, values)

    def change_weight(self, key: str, values: Row) -> Row:
        weight = self.live(self.weights, key, "Body weight")
        if values.get("date", weight["date"]) != weight["date"] and self.weight_of(values["date"]):
            raise Refused(409, "This day has a body weight already")
        self.change(weight, values)
        return weight

    def change_water(self, key: str, values: Row) -> Row:
        water = self.live(self.waters, key, "Water entry")
        self.change(water, values)
        return water

    @staticmethod
    def with_grams(targets: Row) -> Row:
        """Return targets and the grams calculated from them, at 4, 4 and 9 kcal a gram."""
        kcal = targets["daily_calories_kcal"]
        grams = {
            percent.replace("percent", "grams"): kcal * targets[percent] // 100 // per_gram
            for percent, per_gram in zip(PERCENTS, [4, 4, 9], strict=True)
        }
        return targets | grams

    def goal(self) -> Row | None:
        """Return the live goal, if there is one."""
        (goal,) = [row for row in self.goals.values() if row["live"]] or (None,)
        return goal

    def add_goal(self, key: str, targets: Row) -> tuple[int, Row]:
        current = self.goal()
        if current and key not in self.goals:
            current["live"] = False
        values = dict.fromkeys(METRICS) | self.with_grams(targets) | {"goal_type": "manual"}
        return self.add(self.goals, key, values)

    def change_goal(self, key: str, values: Row) -> Row:
        goal = self.live(self.goals, key, "Goal")
        self.change(goal, self.with_grams(goal | values))
        return goal

    def remove(self, kind: str, key: str) -> None:
        """Delete a row of a kind that no other row depends on."""
        self.live(getattr(self, kind), key, KINDS[kind][2])["live"] = False

    def push(self, kind: str, key: str, values: Row | None) -> bool:
        """Write a row as sync does, or without values delete it; return whether it is rejected."""
        rows = getattr(self, kind)
        row = rows.get(key)
        if values is None:
            if row:
                row["live"] = False
            return False
        if row and not row["live"]:
            return True
        # The later weight of a day replaces the earlier, as the later goal does.
        other = None
        if kind == "weights":
            other = self.weight_of(values["date"])
        elif kind == "goals":
            other = self.goal()
            values = dict.fromkeys(METRICS) | self.with_grams(values) | {"goal_type": "manual"}
        if other and other is not row:
            other["live"] = False
        if row:
            self.change(row, values)
        else:
            self.add(rows, key, values)
        return False

    def list_products(self, wanted: Callable[[Row], bool] = lambda row: True) -> list[Row]:
        rows = [row for row in self.products.values() if row["live"] and wanted(row)]
        return [self.seen(row) for row in sorted(rows, key=lambda row: (row["name"], row["id"]))]

    def list_portions(self, product: str) -> list[Row]:
        def place(row: Row) -> Any:
            return (not row["is_default"], row["name"], row["id"])

        return [self.seen(row) for row in sorted(self.portions_of(product), key=place)]

    def list_entries(self, wanted: Callable[[Row], bool] = lambda row: True) -> list[Row]:
        rows = [row for row in self.entries.values() if row["live"] and wanted(row)]
        return self.newest_day_first(rows)

    def list_weights(self) -> list[Row]:
        rows = [self.seen(row) for row in self.weights.values() if row["live"]]
        return sorted(rows, key=lambda row: row["date"])

    def list_waters(self) -> list[Row]:
        return self.newest_day_first([row for row in self.waters.values() if row["live"]])

    def newest_day_first(self, rows: list[Row]) -> list[Row]:
        ordered = sorted(rows, key=lambda row: row["made"])
        ordered.sort(key=lambda row: row["date"], reverse=True)
        return [self.seen(row) for row in ordered]

    def everything(self) -> dict[str, Any]:
        """Return the expected answers of all lists and of the current goal, by path."""
        goal = self.goal()
        return {
            "products?include=portions,recipe&limit=200": [
                row
                | {
                    "portions": self.list_portions(row["id"]),
                    "recipe": (self.is_recipe(row["id"]) and self.seen_items(row["id"])) or None,
                }
                for row in self.list_products()
            ],
            "food-entries?limit=200": self.list_entries(),
            "body-weights": self.list_weights(),
            "water-entries?limit=200": self.list_waters(),
            "goals/current": goal and self.seen(goal),
        }

    def start_over(self) -> None:
        for kind in KINDS:
            for row in getattr(self, kind).values():
                row["live"] = False
        for item in self.items.values():
            item["live"] = False

    def exported(self) -> dict[str, dict[str, Row]]:
        """Return copies of all live rows, by kind and id, the oldest first."""
        return {
            kind: {
                row["id"]: dict(row)
                for row in sorted(getattr(self, kind).values(), key=lambda row: row["made"])
                if row["live"]
            }
            for kind in KINDS
        } | {"items": {item["id"]: dict(item) for item in self.live_items()}}

    def load(self, exported: dict[str, dict[str, Row]]) -> Row:
        """Import rows as they are; return the answer. It changes no live row."""
        answer: Row = {"imported": {}, "skipped": {}, "rejected": {}}
        for kind, (_, table, _) in KINDS.items():
            rows, here = exported[kind], getattr(self, kind)
            new = {key: row for key, row in rows.items() if not here.get(key, {}).get("live")}
            had_portions = {row["product_id"] for row in self.portions.values() if row["live"]}
            rejected = {}
            coming = {}
            for key, row in new.items():
                try:
                    coming[key] = self.imported(kind, dict(row), here.get(key))
                except Refused as refused:
                    rejected[key] = refused.args[1]
            if kind == "portions":
                self.keep_one_default(coming, had_portions)
            here.update(coming)
            answer["imported"][table] = len(coming)
            answer["skipped"][table] = len(rows) - len(new)
            if rejected:
                answer["rejected"][table] = rejected
        self.load_items(exported["items"], answer)
        return answer

    def load_items(self, items: dict[str, Row], answer: Row) -> None:
        """Import items: all that come in of a recipe, or none."""
        new = {key: dict(row) for key, row in items.items() if not self.is_live_item(key)}
        rejected: dict[str, str] = {}
        for key, row in new.items():
            stored = self.items.get(key)
            if stored and stored["product_id"] != row["product_id"]:
                rejected[key] = KEPT["items"][1]
            elif not self.products.get(row["product_id"], {}).get("live") or (
                row["ingredient_id"] not in self.products
            ):
                rejected[key] = "Product not found"
        coming = {key: row for key, row in new.items() if key not in rejected}
        before = self.live_items()
        owners = {row["product_id"] for row in (*before, *coming.values())}
        named = {row["ingredient_id"] for row in (*before, *coming.values())}
        wrong = {}
        for product in {row["product_id"] for row in coming.values()}:
            own = [row for row in coming.values() if row["product_id"] == product]
            if product in named or any(row["ingredient_id"] in owners for row in own):
                wrong[product] = "A recipe can't be in a recipe"
            elif self.products[product]["servings"] and not self.follows(product, own):
                wrong[product] = "Its recipe would have other values here"
        for key, row in coming.items():
            if row["product_id"] in wrong:
                rejected[key] = wrong[row["product_id"]]
            else:
                self.items[key] = row
        answer["imported"]["recipe_items"] = len(new) - len(rejected)
        answer["skipped"]["recipe_items"] = len(items) - len(new)
        if rejected:
            answer["rejected"]["recipe_items"] = rejected

    def is_live_item(self, key: str) -> bool:
        return key in self.items and self.items[key]["live"]

    def follows(self, product: str, coming: list[Row]) -> bool:
        """Return whether a product's values and serving follow from its items and more."""
        trial = World()
        trial.products = self.products
        trial.items = {row["id"]: row for row in (*self.items_of(product), *coming)}
        stored, serving = self.products[product], self.portions.get(serving_of(product))
        grams = rounded(trial.total(product) / stored["servings"])
        values = trial.per_100g(product)
        return all(stored[name] == values[name] for name in PER_100G) and (
            serving is None or not serving["live"] or serving["grams"] == grams
        )

    def imported(self, kind: str, row: Row, deleted: Row | None) -> Row:
        """Return a row as it comes in, where it may be deleted, but is not live."""
        column, why = KEPT.get(kind, ("id", ""))
        if deleted and deleted[column] != row[column]:
            raise Refused(422, why)
        if kind == "products":
            row["plain"] = None
            is_used = any(item["ingredient_id"] == row["id"] for item in self.live_items())
            if is_used and deleted and any(deleted[name] != row[name] for name in PER_100G):
                raise Refused(422, "A recipe that is here has it with other values")
        elif kind == "portions":
            owner = self.live(self.products, row["product_id"], "Product")
            follows = row["id"] == serving_of(owner["id"]) and self.is_recipe(owner["id"])
            if follows and row["grams"] != rounded(self.total(owner["id"]) / owner["servings"]):
                raise Refused(422, "Its grams follow from the recipe that is here")
        elif kind == "weights" and self.weight_of(row["date"]):
            raise Refused(409, "A day has one body weight.")
        elif kind == "goals" and self.goal():
            raise Refused(409, "A device has one goal.")
        elif kind == "entries" and row["product_id"]:
            self.import_entry(row)
        return row

    def import_entry(self, row: Row) -> None:
        """Take out of an entry what is not here, and say if it is not as its product is here."""
        product, portion = (
            self.products.get(row["product_id"]),
            self.portions.get(row["portion_id"]),
        )
        if not product or not portion or portion["product_id"] != product["id"]:
            portion = None
            row.update(portion_id=None, quantity=None)
        if not product:
            row.update(product_id=None)
            return
        if product["unit"] != row["unit"]:
            raise Refused(422, "unit: Not the unit of its product.")

        def unchanged(of: Row) -> bool:
            return of["changed"] is None or of["changed"] < row["made"]

        amount = {"product_id": product["id"], "portion_id": None, "grams": row["grams"]}
        shares = self.worked_out(amount, amount)
        unlike = unchanged(product) and any(row[name] != shares[name] for name in NUTRIENTS)
        if portion and unchanged(portion):
            unlike |= row["grams"] != rounded(portion["grams"] * row["quantity"])
        if unlike and not row["updated_at"] and row["id"][14] != "5":
            row.update(updated_at=True, changed=next(clock))

    def keep_one_default(self, coming: dict[str, Row], had_portions: set[str]) -> None:
        of_product: dict[str, list[Row]] = {}
        for row in coming.values():
            of_product.setdefault(row["product_id"], []).append(row)
        for product, rows in of_product.items():
            default = None
            if product not in had_portions:
                default = min(rows, key=lambda row: (not row["is_default"], row["made"]))
            for row in rows:
                row["is_default"] = row is default

    def live_ids(self) -> dict[str, set[str]]:
        """Return the ids of the rows that a first sync brings, by table."""
        found = {
            table: {key for key, row in getattr(self, kind).items() if row["live"]}
            for kind, (_, table, _) in KINDS.items()
        }
        return found | {"recipe_items": {item["id"] for item in self.live_items()}}

    def progress(self, day: str) -> Row:
        eaten = self.totals(lambda row: row["date"] == day)
        waters = (row["ml"] for row in self.waters.values() if row["live"] and row["date"] == day)
        drunk = sum(waters)
        goal = self.goal()
        left = goal and {
            "kcal": goal["daily_calories_kcal"] - eaten["kcal"],
            **{name: goal[f"{name}_grams"] - eaten[name] for name in MACROS},
            "water_ml": goal["water_ml"] - drunk,
        }
        seen = goal and self.seen(goal)
        return {
            "date": day,
            "goal": seen,
            "eaten": eaten,
            "unknown": self.unknown(day),
            "left": left,
            "water_ml": drunk,
        }

    def totals(self, wanted: Callable[[Row], bool]) -> Row:
        rows = self.list_entries(wanted)
        return {name: sum((row[name] or 0 for row in rows), Decimal(0)) for name in NUTRIENTS}

    def unknown(self, day: str) -> Row:
        rows = self.list_entries(lambda row: row["date"] == day)
        counts = {name: sum(row[name] is None for row in rows) for name in OPTIONAL}
        return {name: count for name, count in counts.items() if count}

    def day(self, day: str) -> Row:
        meals = {row["meal_type"] for row in self.list_entries(lambda row: row["date"] == day)}
        return {
            "date": day,
            "entries": len(self.list_entries(lambda row: row["date"] == day)),
            "totals": self.totals(lambda row: row["date"] == day),
            "unknown": self.unknown(day),
            "by_meal_type": {
                meal: self.totals(lambda row: (row["date"], row["meal_type"]) == (day, meal))  # noqa: B023  # called at once
                for meal in meals
            },
        }

    def daily(self) -> Row:
        days = [self.day(day) for day in DAYS]
        logged = sum(day["entries"] > 0 for day in days) or 1
        all_days = self.totals(lambda row: True)
        return {
            "from": DAYS[0],
            "to": DAYS[-1],
            "days": [{key: day[key] for key in ("date", "entries", "totals")} for day in days],
            "average": {name: rounded(total / logged) for name, total in all_days.items()},
        }


def of_two_decimals(low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(low, high, places=2)


names = st.sampled_from(["apple", "bread", "carrot", "dates", "egg"])
grams = of_two_decimals(1, 500)
amounts = of_two_decimals(1, 9)
macros = st.none() | of_two_decimals(0, 33)
units = st.sampled_from(["g", "ml"])
barcodes = st.none() | st.sampled_from(BARCODES)
product_fields = {
    "name": names,
    "brand": st.none() | names,
    "unit": units,
    "kcal_100g": st.integers(0, 1000),
    **dict.fromkeys((f"{name}_100g" for name in OPTIONAL), macros),
    "barcode": barcodes,
}
portion_fields = {"name": names, "grams": grams, "is_default": st.booleans()}
whens = st.fixed_dictionaries({"date": st.sampled_from(DAYS), "meal_type": st.sampled_from(MEALS)})
products = st.fixed_dictionaries(product_fields)
portions = st.fixed_dictionaries(portion_fields)
foods = st.fixed_dictionaries(
    {"name": names, "kcal": of_two_decimals(0, 900)},
    optional={**dict.fromkeys(OPTIONAL, macros), "grams": grams, "unit": units},
)
eatens = st.fixed_dictionaries(
    {
        "by": st.sampled_from(["grams", "portions", "food"]),
        "fits": st.booleans(),
        "food": foods,
        "grams": grams,
        "portion": st.integers(0, 10_000),
        "product": st.integers(0, 10_000),
        "quantity": amounts,
    }
)
recipe_items = st.fixed_dictionaries(
    {"id": st.sampled_from(ITEM_IDS), "ingredient": st.integers(0, 10_000), "grams": grams}
)
days = st.sampled_from(DAYS)
copies = st.fixed_dictionaries(
    {"from_date": days, "to_date": days},
    optional={
        "meal_type": st.sampled_from(MEALS),
        "to_meal_type": st.sampled_from(MEALS),
        "copy_id": st.sampled_from(COPY_IDS),
    },
)
weights = st.fixed_dictionaries({"date": days, "weight_kg": of_two_decimals(40, 120)})
waters = st.fixed_dictionaries({"date": days, "ml": st.integers(1, 2000)})
percents = st.sampled_from([(30, 35, 35), (25, 45, 30), (0, 0, 100)]).map(
    lambda chosen: dict(zip(PERCENTS, chosen, strict=True))
)
other_targets = {
    "daily_calories_kcal": st.integers(1, 10_000),
    "water_ml": st.integers(0, 10_000),
}
goals = st.builds(dict.__or__, percents, st.fixed_dictionaries(other_targets))
targets = st.builds(
    dict.__or__, st.just({}) | percents, st.fixed_dictionaries({}, optional=other_targets)
)
parts = st.one_of(whens, foods, st.fixed_dictionaries({"grams": grams}))
# Which of the rows to take, deleted ones and other devices' included.
picks = st.integers(0, 10_000)
# Which device calls: None is the row's owner.
actors = st.sampled_from([None, None, None, *range(DEVICES)])
rarely = st.sampled_from([False, False, False, True])
very_rarely = st.sampled_from([False] * 9 + [True])
any_device = st.integers(0, DEVICES - 1)


class Worlds(RuleBasedStateMachine):
    """Makes the same calls to the API and to the models, and compares the answers."""

    phones: list[Api]

    def __init__(self) -> None:
        super().__init__()
        self.worlds = [World() for _ in range(DEVICES)]
        self.homes = [home_of(phone) for phone in self.phones]
        # By kind, the ids of all rows with their owners, in the order of creation.
        self.known: dict[str, dict[str, list[int]]] = {kind: {} for kind in KINDS}
        # All that was ever known to a phone of any device, whether it is good or not.
        self.tokens = [phone.token for phone in self.phones]
        self.phone_ids = [home.id for home in self.homes]
        self.codes: list[str] = []
        self.keys: list[str] = []
        self.turn = 0
        # Who wrote in the last step, and under which path.
        self.written: tuple[int, str] | None = None
        self.block = transaction.atomic()
        self.block.__enter__()

    def teardown(self) -> None:
        try:
            for actor in range(DEVICES):
                self.sees_its_own_world(actor)
                self.sees_its_phones(actor)
        finally:
            transaction.set_rollback(True)
            self.block.__exit__(None, None, None)

    def pick(self, kind: str, number: int, owner: int | None = None) -> str:
        """Return the id of a row, live or deleted, of any device or mostly of an owner's."""
        known = list(self.known[kind])
        if owner is not None and number % 4:
            known = [key for key in known if owner in self.known[kind][key]] or known
        return known[number % len(known)]

    def owner(self, kind: str, key: str, number: int) -> int:
        """Return one of the devices that have a row with this id."""
        owners = self.known[kind][key]
        return owners[number % len(owners)]

    def remember(self, kind: str, key: str, owner: int) -> None:
        owners = self.known[kind].setdefault(key, [])
        if owner not in owners:
            owners.append(owner)

    def caller(self, actor: int) -> Phone:
        """Return the phone of a device whose turn it is; it makes its first call only if it must.

        What a first call brings about is noted.
        """
        home = self.homes[actor]
        phones = [phone for phone in home.live() if not phone.joined_by] or home.live()
        self.turn += 1
        phone = phones[self.turn % len(phones)]
        home.called(phone, phone.token)
        return phone

    def ask(self, actor: int, method: str, path: str, body: Any = None) -> Answer:
        """Call the API by one of a device's phones; return the status and the answer."""
        return self.call(self.caller(actor).token, method, path, body)

    def call(self, token: str, method: str, path: str, body: Any = None) -> Answer:
        """Call the API with a token, and return the status and the answer with exact decimals."""
        is_raw = body is None or isinstance(body, bytes)
        sent = body if is_raw else json.dumps(body, default=float).encode()
        response = Api(token=token).request(method, path, sent)
        found = json.loads(response.content, parse_float=Decimal) if response.content else None
        return response.status_code, plain(found)

    def agree(self, found: Answer, expected: Callable[[], Any], status: int = 200) -> None:
        """Check an answer against the model; `status` is expected where the model returns none."""
        try:
            told = expected()
        except Refused as refused:
            status, row = refused.args[0], {"detail": refused.args[1]}
        else:
            status, row = told if isinstance(told, tuple) else (status, told)
        assert found == (status, World.seen(row) if isinstance(row, dict) else row)

    def create(
        self, actor: int, kind: str, path: str, body: Row, key: str | None, add: Callable[..., Any]
    ) -> str | None:
        """POST with a client's id or none; return the id of the row if it is new."""
        self.written = actor, path
        found = self.ask(actor, "POST", path, body | ({"id": key} if key else {}))
        key = key or found[1].get("id", "")
        assert key is not None
        self.agree(found, lambda: add(key))
        if found[0] != 201:
            return None
        self.remember(kind, key, actor)
        return key

    def update(self, actor: int, path: str, body: Row, change: Callable[[], Row]) -> None:
        self.written = actor, path
        self.agree(self.ask(actor, "PATCH", path, body), change)

    def delete(self, actor: int, path: str, delete: Callable[[], None]) -> None:
        self.written = actor, path
        self.agree(self.ask(actor, "DELETE", path), delete, 204)

    # Products

    def create_product(self, actor: int, body: Row, key: str | None) -> None:
        world = self.worlds[actor]

        def add(key: str) -> tuple[int, Row]:
            empty = dict.fromkeys(("catalog_id", "servings", "cooked_grams", "plain"))
            return world.add(world.products, key, body | empty)

        created = self.create(actor, "products", "/v1/products", body, key, add)
        if created:
            _, (portion,) = self.ask(actor, "GET", f"/v1/products/{created}/portions")
            first = {"name": f"100{body['unit']}", "grams": 100, "is_default": True}
            world.add_portion(portion["id"], created, first)
            self.remember("portions", portion["id"], actor)

    @initialize(
        bodies=st.tuples(*[products] * DEVICES),
        when=whens,
        weight=weights,
        water=waters,
        goal=goals,
    )
    def each_has_a_row_of_every_kind(
        self, bodies: tuple[Row, ...], when: Row, weight: Row, water: Row, goal: Row
    ) -> None:
        for actor, body in enumerate(bodies):
            self.create_rows(actor, body, when, weight, water, goal)

    def create_rows(
        self, actor: int, body: Row, when: Row, weight: Row, water: Row, goal: Row
    ) -> None:
        """Create a row of every kind, with the ids that another device chose first."""
        ids: dict[str, str | None] = {kind: next(iter(self.known[kind]), None) for kind in KINDS}
        self.create_simple(actor, "weights", weight, ids["weights"])
        self.create_simple(actor, "waters", water, ids["waters"])
        self.create_simple(actor, "goals", goal, ids["goals"])
        self.create_product(actor, body, ids["products"])
        product = next(iter(self.known["products"]))
        eaten = when | {"product_id": product, "grams": Decimal(150)}
        self.create_entry(actor, eaten, ids["entries"])

    @rule(actor=any_device, body=products, chosen=st.none() | picks)
    def post_product(self, actor: int, body: Row, chosen: int | None) -> None:
        key = None if chosen is None else self.pick("products", chosen, actor)
        self.create_product(actor, body, key)

    @rule(
        actor=actors,
        pick=picks,
        body=st.fixed_dictionaries({}, optional=product_fields),
        goes=rarely,
    )
    def change_product(self, actor: int | None, pick: int, body: Row, goes: bool) -> None:
        key = self.pick("products", pick)
        actor = self.owner("products", key, pick) if actor is None else actor
        path, world = f"/v1/products/{key}", self.worlds[actor]
        if goes:
            self.delete(actor, path, lambda: world.delete_product(key))
        else:
            self.update(actor, path, body, lambda: world.change_product(key, body))

    # Recipes

    @rule(
        actor=actors,
        pick=picks,
        servings=of_two_decimals(1, 9),
        # More than all ingredients weigh: so no recipe breaks a rule of a product.
        cooked=st.none() | st.just(Decimal(2000)),
        items=st.lists(recipe_items, min_size=1, max_size=3, unique_by=lambda item: item["id"]),
        goes=rarely,
    )
    def put_recipe(
        self,
        actor: int | None,
        pick: int,
        servings: Decimal,
        cooked: Decimal | None,
        items: list[Row],
        goes: bool,
    ) -> None:
        key = self.pick("products", pick)
        actor = self.owner("products", key, pick) if actor is None else actor
        path, world = f"/v1/products/{key}/recipe", self.worlds[actor]
        if goes:
            self.delete(actor, path, lambda: world.delete_recipe(key))
            return
        body = [
            {
                "id": item["id"],
                "ingredient_id": self.pick("products", item["ingredient"], actor),
                "grams": item["grams"],
            }
            for item in items
        ]
        whole = {"servings": servings, "cooked_grams": cooked, "items": body}
        self.written = actor, path
        status, found = self.ask(actor, "PUT", path, whole)
        found.pop("errors", None)
        self.agree((status, found), lambda: world.put_recipe(key, servings, cooked, body))
        if status == 200:
            self.remember("portions", serving_of(key), actor)

    # Portions

    @rule(
        actor=actors,
        pick=picks,
        body=portions,
        known=st.none() | picks,
    )
    def post_portion(self, actor: int | None, pick: int, body: Row, known: int | None) -> None:
        product = self.pick("products", pick)
        actor = self.owner("products", product, pick) if actor is None else actor
        world = self.worlds[actor]

        def add(key: str) -> tuple[int, Row]:
            return world.add_portion(key, product, body)

        key = None if known is None else self.pick("portions", known)
        self.create(actor, "portions", f"/v1/products/{product}/portions", body, key, add)

    @rule(
        actor=actors,
        pick=picks,
        body=st.fixed_dictionaries({}, optional=portion_fields),
        goes=rarely,
    )
    def change_portion(self, actor: int | None, pick: int, body: Row, goes: bool) -> None:
        key = self.pick("portions", pick)
        actor = self.owner("portions", key, pick) if actor is None else actor
        path, world = f"/v1/portions/{key}", self.worlds[actor]
        if goes:
            self.delete(actor, path, lambda: world.delete_portion(key))
        else:
            self.update(actor, path, body, lambda: world.change_portion(key, body))

    # Entries

    def entry_of(self, actor: int, eaten: Row) -> Row:
        """Return the fields that say what was eaten: grams, portions, or without a product."""
        product = self.pick("products", eaten["product"], actor)
        portion = self.pick("portions", eaten["portion"], actor)
        owners = self.known["portions"][portion]
        owner = actor if actor in owners else owners[0]
        own = self.worlds[owner].portions[portion]["product_id"]
        match eaten["by"]:
            case "grams":
                return {"product_id": product, "grams": eaten["grams"]}
            case "portions":
                amount = {"portion_id": portion, "quantity": eaten["quantity"]}
                return amount | {"product_id": own if eaten["fits"] else product}
            case _:
                return {"product_id": None, **eaten["food"]}

    def create_entry(self, actor: int, body: Row, key: str | None) -> None:
        def add(key: str) -> tuple[int, Row]:
            return self.worlds[actor].add_entry(key, body)

        self.create(actor, "entries", "/v1/food-entries", body, key, add)

    @rule(actor=any_device, when=whens, eaten=eatens)
    def post_entry(self, actor: int, when: Row, eaten: Row) -> None:
        self.create_entry(actor, when | self.entry_of(actor, eaten), None)

    @rule(actor=any_device, when=whens, eaten=eatens, pick=picks)
    def post_entry_again(self, actor: int, when: Row, eaten: Row, pick: int) -> None:
        key = self.pick("entries", pick, actor)
        self.create_entry(actor, when | self.entry_of(actor, eaten), key)

    @rule(actor=actors, pick=picks, eaten=eatens, part=st.none() | parts, goes=rarely)
    def change_entry(
        self, actor: int | None, pick: int, eaten: Row, part: Row | None, goes: bool
    ) -> None:
        key = self.pick("entries", pick)
        actor = self.owner("entries", key, pick) if actor is None else actor
        path, world = f"/v1/food-entries/{key}", self.worlds[actor]
        body = self.entry_of(actor, eaten) if part is None else part
        if goes:
            self.delete(actor, path, lambda: world.delete_entry(key))
        else:
            self.update(actor, path, body, lambda: world.change_entry(key, body))

    @rule(
        actor=any_device,
        body=copies,
        named=st.none() | st.lists(picks, max_size=3),
    )
    def copy_entries(self, actor: int, body: Row, named: list[int] | None) -> None:
        world = self.worlds[actor]
        if len(world.list_entries()) > COPIES_UP_TO:
            return
        if named is not None:
            body = body | {"entry_ids": [self.pick("entries", pick, actor) for pick in named]}
        path = "/v1/food-entries/copy"
        self.written = actor, path
        found = self.ask(actor, "POST", path, body)
        ids = [row["id"] for row in found[1]] if isinstance(found[1], list) else []
        self.agree(found, lambda: world.copy_entries(body, ids))
        for key in ids:
            self.remember("entries", key, actor)

    @rule(actor=actors, pick=picks, first=days, last=days)
    def restate_entries(self, actor: int | None, pick: int, first: str, last: str) -> None:
        key = self.pick("products", pick)
        actor = self.owner("products", key, pick) if actor is None else actor
        first, last = sorted((first, last))
        path = "/v1/food-entries/restate"
        self.written = actor, path
        found = self.ask(actor, "POST", path, {"product_id": key, "from": first, "to": last})
        self.agree(found, lambda: self.worlds[actor].restate(key, first, last))

    # Weights, water and goals

    def create_simple(self, actor: int, kind: str, body: Row, key: str | None) -> None:
        world = self.worlds[actor]

        def add(key: str) -> tuple[int, Row]:
            match kind:
                case "weights":
                    return world.add_weight(key, body)
                case "waters":
                    return world.add(world.waters, key, body)
                case _:
                    return world.add_goal(key, body)

        path = "goals/manual" if kind == "goals" else KINDS[kind][0]
        self.create(actor, kind, f"/v1/{path}", body, key, add)

    @rule(
        actor=any_device,
        row=st.one_of(
            st.tuples(st.just("weights"), weights),
            st.tuples(st.just("waters"), waters),
            st.tuples(st.just("goals"), goals),
        ),
        chosen=st.none() | picks,
    )
    def post_simple(self, actor: int, row: tuple[str, Row], chosen: int | None) -> None:
        kind, body = row
        key = None if chosen is None else self.pick(kind, chosen, actor)
        self.create_simple(actor, kind, body, key)

    @rule(
        actor=actors,
        pick=picks,
        row=st.one_of(
            st.tuples(st.just("weights"), weights, st.just("change_weight")),
            st.tuples(st.just("waters"), waters, st.just("change_water")),
            st.tuples(st.just("goals"), targets, st.just("change_goal")),
        ),
        goes=rarely,
    )
    def change_simple(
        self, actor: int | None, pick: int, row: tuple[str, Row, str], goes: bool
    ) -> None:
        kind, body, change = row
        key = self.pick(kind, pick)
        actor = self.owner(kind, key, pick) if actor is None else actor
        path, world = f"/v1/{KINDS[kind][0]}/{key}", self.worlds[actor]
        if goes:
            self.delete(actor, path, lambda: world.remove(kind, key))
        else:
            self.update(actor, path, body, lambda: getattr(world, change)(key, body))

    # Sync

    @rule(
        actor=any_device,
        row=st.one_of(
            st.tuples(st.just("weights"), weights),
            st.tuples(st.just("waters"), waters),
            st.tuples(st.just("goals"), goals),
        ),
        key=picks | st.uuids(version=4).map(str),
        goes=rarely,
    )
    def sync(self, actor: int, row: tuple[str, Row], key: int | str, goes: bool) -> None:
        kind, values = row
        table = KINDS[kind][1]
        key = key if isinstance(key, str) else self.pick(kind, key, actor)
        kind_of_goal = {"goal_type": "manual"} if kind == "goals" else {}
        _, pulled = self.ask(actor, "GET", "/v1/sync")
        changes = {
            "updated": [] if goes else [{"id": key, **kind_of_goal, **values}],
            "deleted": [key][: int(goes)],
        }
        pushed = {table: {"created": [], **changes}}
        path = f"/v1/sync?last_pulled_at={pulled['timestamp']}"
        self.written = actor, f"/v1/{KINDS[kind][0]}"
        status, answer = self.ask(actor, "POST", path, pushed)
        rejected = self.worlds[actor].push(kind, key, None if goes else values)
        expected = {table: [key]} if rejected else {}
        assert (status, answer["experimentalRejectedIds"]) == (200, expected)
        if key in getattr(self.worlds[actor], kind):
            self.remember(kind, key, actor)

    # Export and import

    @rule(source=any_device, actor=any_device, starts_over=rarely, again=rarely)
    def move(self, source: int, actor: int, starts_over: bool, again: bool) -> None:
        """Bring what a device has into the same or another one, which may have started over."""
        world, exported = self.worlds[actor], self.worlds[source].exported()
        token = self.caller(source).token
        raw = Api(token=token).get("/v1/export").content
        found = plain(json.loads(raw, parse_float=Decimal))["rows"]
        for kind, (_, table, _) in KINDS.items():
            rows = {row["id"]: row for row in found[table]}
            assert rows == {key: World.seen(row) for key, row in exported[kind].items()}
        items = {row["id"]: row for row in found["recipe_items"]}
        assert items.keys() == exported["items"].keys()
        for key, item in exported["items"].items():
            assert World.seen(item).items() <= items[key].items()
        if starts_over:
            confirm = {"confirm": "delete everything"}
            assert self.ask(actor, "DELETE", "/v1/data", confirm) == (204, None)
            world.start_over()
        for _ in range(1 + again):
            status, answer = self.call(self.caller(actor).token, "POST", "/v1/import", raw)
            assert (status, answer) == (200, world.load(exported))
        for key, product in world.products.items():
            if product["live"] and not world.portions_of(key):
                _, (portion,) = self.ask(actor, "GET", f"/v1/products/{key}/portions")
                first = {"name": f"100{product['unit']}", "grams": 100, "is_default": True}
                world.add_portion(portion["id"], key, first)
        for kind in KINDS:
            for key in getattr(world, kind):
                self.remember(kind, key, actor)
        self.sees_its_own_world(actor)

    # Phones

    @rule(actor=any_device, seed=picks)
    def phones_act(self, actor: int, seed: int) -> None:
        """Have phones do something, a few times.

        The dice are Python's: Hypothesis likes to repeat itself, and then all phones only join.
        """
        rng = Random(f"{seed}, {self.turn}")  # noqa: S311  # dice, no secret
        actions = [self.add_phone, self.add_phone, self.pair_by_anything, self.replace_key]
        actions += [self.sign_phone_out, self.sign_phone_out, self.rename_phone]
        actions += [self.call_with_any_token] * 2
        for _ in range(rng.randint(3, 8)):
            rng.choice(actions)(actor, rng)
        self.sees_its_phones(actor)

    def add_phone(self, actor: int, rng: Random) -> None:
        """Have a phone join by a code, mostly a new one, and call at once or later."""
        home, asking = self.homes[actor], self.caller(actor)
        is_move = rng.random() < 0.3
        body = {"move": is_move} if is_move or rng.random() < 0.5 else None
        status, answer = self.call(asking.token, "POST", "/v1/auth/pairing-code", body)
        assert status == 201
        code = answer["code"]
        self.codes.append(code)
        home.ask_for_code(asking, code, is_move=is_move)
        if rng.random() < 0.2:
            return
        phone_id = self.phone_id(rng) if rng.random() < 0.1 else str(uuid.uuid4())
        for _ in range(rng.choice([1, 1, 2])):
            self.pair(code, phone_id, rng)
        joined = home.phones.get(phone_id)
        if joined is not None and joined.joined_by == code and rng.random() < 0.6:
            self.call_with(joined.token)

    def pair_by_anything(self, actor: int, rng: Random) -> None:
        """Try a code or a key of any device, as a phone of any, or as a new one."""
        is_key = rng.random() < 0.6
        known = (self.keys if is_key else self.codes)[-6:]
        if known:
            phone_id = self.phone_id(rng) if rng.random() < 0.5 else str(uuid.uuid4())
            revokes = is_key and rng.random() < 0.3
            self.pair(rng.choice(known), phone_id, rng, revoke_others=revokes)

    def phone_id(self, rng: Random) -> str:
        """Return the id of a phone of any device, or one that a phone tried to join with."""
        return rng.choice(self.phone_ids[-12:])

    def pair(self, secret: str, phone_id: str, rng: Random, *, revoke_others: bool = False) -> None:
        typed = rng.choice([secret, secret.lower(), secret.replace("-", " ")])
        name = rng.choice([None, "apple", "bread"])
        body: Row = {"code": typed, "phone_id": phone_id, "name": name}
        body |= {"revoke_others": True} if revoke_others else {}
        found = self.call("", "POST", "/v1/auth/pair", body)
        self.phone_ids.append(phone_id)

        def join() -> Row:
            homes = [home for home in self.homes if home.admits(secret, phone_id)]
            if not homes:
                raise unknown_code()
            (home,) = homes
            phone = home.join(secret, phone_id, name, revoke_others=revoke_others)
            # Only the answer knows its token.
            phone.token, phone.previous = found[1].get("token", ""), ""
            self.tokens.append(phone.token)
            return {"token": phone.token, "device_id": home.id}

        self.agree(found, join)

    def replace_key(self, actor: int, rng: Random) -> None:
        """Make a key or delete it, and show none, or any that was ever made for some device."""
        home, goes = self.homes[actor], rng.random() < 0.3
        known = (home.keys if rng.random() < 0.5 else self.keys)[-6:]
        key = rng.choice(known) if known and rng.random() < 0.4 else None
        method, path = ("DELETE" if goes else "POST"), "/v1/auth/recovery-key"
        found = self.ask(actor, method, path, {"recovery_key": key} if key else None)

        def replace() -> Row | None:
            home.withdraw_key(key)
            if goes:
                return None
            made: str = found[1]["recovery_key"]
            home.has_key(made)
            self.keys.append(made)
            return {"recovery_key": made}

        self.agree(found, replace, 204 if goes else 201)

    def any_phone(self, actor: int, rng: Random) -> str:
        """Return the id of a phone, mostly of the own device and mostly signed in."""
        home = self.homes[actor]
        live = [phone.id for phone in home.live()]
        return rng.choice([*live * 2, *list(home.phones)[-4:], self.phone_id(rng)])

    def rename_phone(self, actor: int, rng: Random) -> None:
        home, caller, phone_id = self.homes[actor], self.caller(actor), self.any_phone(actor, rng)
        name = rng.choice([None, "apple", "bread"])
        found = self.call(caller.token, "PATCH", f"/v1/auth/phones/{phone_id}", {"name": name})

        def rename() -> Row:
            phone = home.rename(phone_id, name)
            return {"id": phone_id, "name": name, "is_current": phone is caller}

        self.agree(found, rename)

    def sign_phone_out(self, actor: int, rng: Random) -> None:
        home, caller, phone_id = self.homes[actor], self.caller(actor), self.any_phone(actor, rng)
        found = self.call(caller.token, "DELETE", f"/v1/auth/phones/{phone_id}")
        self.agree(found, lambda: home.leave(phone_id), 204)

    def call_with_any_token(self, actor: int, rng: Random) -> None:
        """List the phones, or rotate, with any token that was ever handed out."""
        self.call_with(rng.choice(self.tokens[-12:]), rotates=rng.random() < 0.5)

    def call_with(self, token: str, *, rotates: bool = False) -> None:
        method, path = ("POST", "rotate") if rotates else ("GET", "phones")
        found = self.call(token, method, f"/v1/auth/{path}")

        def called() -> Any:
            for home in self.homes:
                phone = home.of_token(token, rotates=rotates)
                if phone:
                    home.called(phone, token)
                    if not rotates:
                        return home.listed(phone)
                    home.rotated(phone, token, found[1]["token"])
                    self.tokens.append(phone.token)
                    return {"token": phone.token}
            raise Refused(401, "Invalid or expired token")

        self.agree(found, called)

    @rule(
        actor=any_device,
        body=products,
        when=whens,
        weight=weights,
        water=waters,
        goal=goals,
        goes=very_rarely,
    )
    def erase(self, actor: int, goes: bool, **rows: Row) -> None:
        """Erase a device; its phone registers another and begins anew."""
        if not goes:
            return
        assert self.ask(actor, "DELETE", "/v1/auth/device") == (204, None)
        gone = self.homes[actor].id
        register = "/v1/auth/register"
        refused = self.call("", "POST", register, {"device_id": gone})
        assert refused == (409, {"detail": "Device already registered"})
        home = self.homes[actor] = Household(str(uuid.uuid4()))
        status, answer = self.call("", "POST", register, {"device_id": home.id, "name": "apple"})
        assert status == 200
        home.phones[home.id] = Phone(home.id, "apple", answer["token"])
        self.tokens.append(answer["token"])
        self.phone_ids.append(home.id)
        self.worlds[actor] = World()
        for known in self.known.values():
            for key, owners in list(known.items()):
                known[key] = [owner for owner in owners if owner != actor]
                if not known[key]:
                    del known[key]
        self.create_rows(actor, **rows)
        self.sees_its_phones(actor)

    def sees_its_phones(self, actor: int) -> None:
        home, caller = self.homes[actor], self.caller(actor)
        found = self.call(caller.token, "GET", "/v1/auth/phones")
        assert found == (200, home.listed(caller))
        assert self.call(caller.token, "GET", "/v1/auth/device") == (
            200,
            {
                "id": home.id,
                "phone_id": caller.id,
                "recovery_key_created_at": bool(home.present),
            },
        )

    # Reading

    @rule(actor=actors, pick=picks, kind=st.sampled_from(list(KINDS)))
    def read_one(self, actor: int | None, pick: int, kind: str) -> None:
        key = self.pick(kind, pick)
        actor = self.owner(kind, key, pick) if actor is None else actor
        rows = getattr(self.worlds[actor], kind)
        path, _, name = KINDS[kind]
        found = self.ask(actor, "GET", f"/v1/{path}/{key}")
        self.agree(found, lambda: World.live(rows, key, name))

    @rule(actor=actors, pick=picks, name=names, barcode=st.sampled_from(BARCODES), when=whens)
    def read_lists(self, actor: int | None, pick: int, name: str, barcode: str, when: Row) -> None:
        key, day, meal = self.pick("products", pick), when["date"], when["meal_type"]
        actor = self.owner("products", key, pick) if actor is None else actor
        world = self.worlds[actor]

        def portions() -> list[Row]:
            world.live(world.products, key, "Product")
            return world.list_portions(key)

        self.agree(self.ask(actor, "GET", f"/v1/products/{key}/portions"), portions)
        for path, expected in {
            f"products?search={name[:2]}": world.list_products(
                lambda row: name in (row["name"], row["brand"])
            ),
            f"products?barcode={barcode}": world.list_products(
                lambda row: row["barcode"] == barcode
            ),
            f"food-entries?limit=200&product_id={key}": world.list_entries(
                lambda row: row["product_id"] == key
            ),
            f"food-entries?limit=200&to={day}&meal_type={meal}": world.list_entries(
                lambda row: row["date"] <= day and row["meal_type"] == meal
            ),
            "food-entries/products?limit=200": world.logged_products(),
            f"food-entries/products?order=frequent&meal_type={meal}": world.logged_products(
                meal, often=True
            ),
            f"stats/day/{day}": world.day(day),
            f"stats/daily?from={DAYS[0]}&to={DAYS[-1]}": world.daily(),
            f"goals/progress?date={day}": world.progress(day),
        }.items():
            assert self.ask(actor, "GET", f"/v1/{path}") == (200, expected)

    @invariant()
    def the_writer_sees_its_rows_of_that_kind(self) -> None:
        if self.written is not None:
            actor, path = self.written
            kind = path.split("/")[2].replace("portions", "products")
            ((listed, expected),) = (
                (listed, expected)
                for listed, expected in self.worlds[actor].everything().items()
                if listed.startswith(kind)
            )
            assert self.ask(actor, "GET", f"/v1/{listed}") == (200, expected)
        self.written = None

    def sees_its_own_world(self, actor: int) -> None:
        world = self.worlds[actor]
        for path, expected in world.everything().items():
            assert self.ask(actor, "GET", f"/v1/{path}") == (200, expected)
        _, pulled = self.ask(actor, "GET", "/v1/sync")
        found = {
            table: {row["id"] for row in changes["updated"]}
            for table, changes in pulled["changes"].items()
        }
        assert found == world.live_ids()


def home_of(phone: Api) -> Household:
    """Return the model of a device that has one phone."""
    device_id = str(phone.device)
    return Household(device_id, {device_id: Phone(device_id, None, phone.token)})


def plain(value: Any) -> Any:
    """Return an answer without times, which the model can't know.

    Whether a row was updated, and whether there is a recovery key, is kept.
    """
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        times = ("created_at", "last_seen_at", "expires_at")
        known = {key: plain(inner) for key, inner in value.items() if key not in times}
        for when in ("updated_at", "recovery_key_created_at"):
            if when in known:
                known[when] = known[when] is not None
        return known
    return value


def test_each_device_sees_its_own_world_whatever_they_all_do(db: None, settings: Any) -> None:
    settings.PAIR_THROTTLE = settings.REGISTER_THROTTLE = ""
    machine = type("Machine", (Worlds,), {"phones": [new_phone() for _ in range(DEVICES)]})
    run_state_machine_as_test(
        machine,
        settings=hypothesis.settings(
            derandomize=True,
            database=None,
            deadline=None,
            max_examples=10,
            stateful_step_count=55,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
