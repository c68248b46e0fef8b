"""Random histories of a device: what its phones and REST do to it, from a seed."""

from __future__ import annotations

import logging
import random
import uuid
from datetime import date, timedelta
from typing import Any

from attacks.client import Phone
from goals.formulas import ACTIVITY_LEVELS, GENDERS, PACES, PERCENTS, WEIGHT_GOAL_TYPES
from sync.tests.phones import join, sign_out
from sync.tests.replicas import TABLES, Replica, Rows, Synced
from sync.tests.server import server_rows

log = logging.getLogger(__name__)


class History:
    """Random doings of the phones of one device and of REST, from a seed."""

    def __init__(self, seed: int, rest: Phone, replicas: list[Replica]) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a history has to come again
        self.rest = rest
        self.replicas = replicas

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def day(self) -> str:
        return str(date(2025, 2, 1) + timedelta(days=self.random.randrange(4)))

    def live(self, rows: Rows, table: str) -> str | None:
        """Return the id of some row, if there is one."""
        ids = sorted(rows[table])
        return self.random.choice(ids) if ids else None

    def values(self, table: str, rows: Rows) -> dict[str, Any]:
        """Return the columns of a new row, or of one that is changed."""
        number = self.random.randint
        product = self.live(rows, "products")
        match table:
            case "products":
                return {
                    "name": f"Food {number(1, 99)}",
                    "brand": self.random.choice([None, "", f"Brand {number(1, 9)}"]),
                    "unit": self.random.choice(["g", "ml"]),
                    "kcal_100g": number(0, 900),
                    "fat_100g": self.random.choice([None, number(0, 4000) / 100]),
                    "salt_100g": self.random.choice([None, number(0, 4000) / 100]),
                    "servings": self.random.choice([None, None, number(1, 900) / 100]),
                    "cooked_grams": self.random.choice([None, None, number(1000, 50_000) / 100]),
                }
            case "portions":
                return {
                    "product_id": product,
                    "name": f"Portion {number(1, 99)}",
                    "grams": number(1, 50_000) / 100,
                    "is_default": self.random.random() < 0.4,
                }
            case "recipe_items":
                return self.item(rows, product)
            case "goals":
                return self.goal()
            case "body_weights":
                return {"date": self.day(), "weight_kg": number(5000, 9000) / 100}
            case "water_entries":
                return {"date": self.day(), "ml": number(1, 1000)}
        what = {"date": self.day(), "meal_type": self.random.choice(["lunch", "snacks"])}
        entry: dict[str, Any] = {
            "product_id": None,
            "portion_id": None,
            "quantity": None,
            "grams": None,
        }
        entry |= what
        entry |= {"name": f"Meal {number(1, 99)}", "kcal": number(0, 90_000) / 100}
        entry["unit"] = self.random.choice(["g", "ml"])
        if product is None or self.random.random() < 0.3:
            return entry
        portions = [k for k, row in rows["portions"].items() if row["product_id"] == product]
        if portions and self.random.random() < 0.5:
            portion = self.random.choice(sorted(portions))
            quantity = number(1, 300) / 100
            return entry | {"product_id": product, "portion_id": portion, "quantity": quantity}
        return entry | {"product_id": product, "grams": number(1, 50_000) / 100}

    def item(self, rows: Rows, product: str | None) -> dict[str, Any]:
        """Return the columns of an item, of a recipe that has items already or of any product."""
        owners = sorted({row["product_id"] for row in rows["recipe_items"].values()})
        if owners and self.random.random() < 0.5:
            product = self.random.choice(owners)
        ingredient = self.live(rows, "products")
        amount: dict[str, Any] = {"portion_id": None, "quantity": None}
        portions = [k for k, row in rows["portions"].items() if row["product_id"] == ingredient]
        if portions and self.random.random() < 0.4:
            quantity = self.random.randint(1, 300) / 100
            amount = {"portion_id": self.random.choice(sorted(portions)), "quantity": quantity}
        return {
            "product_id": product,
            "ingredient_id": ingredient,
            "grams": self.random.randint(1, 50_000) / 100,
            "position": self.random.randint(0, 9),
            **amount,
        }

    def goal(self) -> dict[str, Any]:
        """Return the columns of a new goal, now and then with a target on the wrong side."""
        number, choice = self.random.randint, self.random.choice
        if self.random.random() < 0.5:
            return {"goal_type": "manual", **self.targets()}
        return {
            "goal_type": "calculated",
            "gender": choice([*GENDERS]),
            "birth_date": f"{number(1950, 2005)}-02-05",
            "height_cm": number(15_000, 19_000) / 100,
            "current_weight_kg": number(7000, 9000) / 100,
            "activity_level": choice([*ACTIVITY_LEVELS]),
            "weight_goal_type": choice([*WEIGHT_GOAL_TYPES]),
            "target_weight_kg": choice([60, 65, 70, 95]),
            "weight_change_pace": choice([*PACES]),
            **choice([{}, self.targets()]),
        }

    def targets(self) -> dict[str, int]:
        percents = self.random.choice([(30, 35, 35), (25, 45, 30), (0, 0, 100)])
        return {
            "daily_calories_kcal": self.random.randint(1, 10_000),
            "water_ml": self.random.randint(0, 10_000),
            **dict(zip(PERCENTS, percents, strict=True)),
        }

    def new_values(self, table: str, rows: Rows) -> dict[str, Any]:
        """Return the columns of an update: some that go together, or one."""
        values = self.values(table, rows)
        match table:
            case "portions":
                del values["product_id"]
                return values
            case "recipe_items":
                del values["product_id"]
                return values
            case "food_entries":
                return values
            case "goals":
                targets = self.targets()
                names = [["daily_calories_kcal"], ["water_ml"], [*PERCENTS]]
                return {name: targets[name] for name in self.random.choice(names)}
        name = self.random.choice(sorted(values))
        return {name: values[name]}

    def edit(self, replica: Replica) -> None:
        """Create, change or delete a row offline."""
        rows = replica.rows()
        table = self.random.choice(TABLES)
        row_id = self.live(rows, table)
        chance = self.random.random()
        if row_id is None or chance < 0.45:
            values = self.values(table, rows)
            if "product_id" in values and table != "food_entries" and not values["product_id"]:
                return
            log.info(f"{replica.name} creates in {table}: {values}")
            replica.create(table, self.new_id(), **values)
        elif chance < 0.8:
            values = self.new_values(table, rows)
            log.info(f"{replica.name} updates {table} {row_id}: {values}")
            replica.update(table, row_id, **values)
        elif table == "products" and chance < 0.9:
            log.info(f"{replica.name} removes product {row_id}")
            replica.call("products", row_id, "remove")
        else:
            log.info(f"{replica.name} deletes {table} {row_id}")
            replica.delete(table, row_id)

    def write_by_rest(self) -> None:
        """Create, change or delete a row over REST; what REST refuses is no matter."""
        rows = server_rows(self.rest)
        table = self.random.choice(TABLES)
        path = f"/v1/{table.replace('_', '-')}"
        row_id = self.live(rows, table)
        chance = self.random.random()
        is_new = row_id is None or chance < 0.45
        values = self.values(table, rows) if is_new else self.new_values(table, rows)
        values = {name: value for name, value in values.items() if value is not None}
        if table == "recipe_items":
            self.cook_by_rest(rows)
            return
        if is_new:
            if table == "portions":
                product = values.pop("product_id", None)
                if product is None:
                    return
                path = f"/v1/products/{product}/portions"
            if table == "goals":
                path = f"{path}/{values.pop('goal_type')}"
            answer = self.rest.post(path, values)
        elif chance < 0.8:
            answer = self.rest.patch(f"{path}/{row_id}", values)
        else:
            answer = self.rest.delete(f"{path}/{row_id}")
        log.info(f"REST {answer.status} {table} {row_id}: {values}")
        assert answer.status in (200, 201, 204, 404, 409, 422), answer

    def cook_by_rest(self, rows: Rows) -> None:
        """Make, change or end a recipe over REST."""
        product = self.live(rows, "products")
        if product is None:
            return
        path = f"/v1/products/{product}/recipe"
        if self.random.random() < 0.2:
            answer = self.rest.delete(path)
        else:
            items = [self.item(rows, product) for _ in range(self.random.randint(1, 3))]
            servings = self.random.randint(1, 900) / 100
            answer = self.rest.put(path, {"servings": servings, "items": items})
        log.info(f"REST {answer.status} {path}")
        assert answer.status in (200, 204, 404, 409, 422), answer

    def sync(self, replica: Replica) -> None:
        """Sync, now and then with an accident, or with a write of others before the push."""
        others = [each for each in self.replicas if each != replica]
        accidents = ["", "", "lost", "leaves", "REST", *(["phone"] if others else [])]
        accident = self.random.choice(accidents)
        log.info(f"{replica.name} syncs {accident}")
        if accident in ("REST", "phone"):
            if replica.tell("sync", push="waits") == "waiting":
                if accident == "REST":
                    self.write_by_rest()
                else:
                    other = self.random.choice(others)
                    log.info(f"{other.name} syncs before the push")
                    self.settle(other, other.try_sync())
                self.settle(replica, replica.go_on())
            return
        synced = replica.try_sync(push=accident)
        if not accident:
            self.settle(replica, synced)

    def settle(self, replica: Replica, synced: Synced) -> None:
        """Give up what was rejected, as an app does whose user can't put it right."""
        assert synced.error is None, synced
        if synced.rejected:
            log.info(f"{replica.name} gives up {synced.rejected}")
            replica.discard(synced.rejected)

    def come_back(self, replica: Replica) -> None:
        """Sign a phone out, find it refused, and have it join again with its database."""
        log.info(f"{replica.name} is signed out and joins again")
        sign_out(replica.phone, by=self.rest)
        error = replica.try_sync().error
        assert error is not None
        assert error["kind"] == "signed-out"
        replica.go_on_as(join(self.rest))

    def unfold(self, steps: int) -> None:
        doings = [self.edit, self.edit, self.edit, self.edit, self.sync]
        for _ in range(steps):
            chance = self.random.random()
            if chance < 0.15:
                self.write_by_rest()
            elif chance < 0.17 and self.replicas[1:]:
                # REST goes on with the token of the first phone.
                self.come_back(self.random.choice(self.replicas[1:]))
            else:
                self.random.choice(doings)(self.random.choice(self.replicas))

    def end(self) -> None:
        """Have everyone sync until there is nothing new to anyone."""
        for _ in range(3):
            for replica in self.replicas:
                self.settle(replica, replica.try_sync())
