"""Random histories of a device: what its replicas and REST do to it, from a seed."""

from __future__ import annotations

import logging
import random
import uuid
from datetime import date, timedelta
from typing import Any

from attacks.client import Phone
from sync.tests.replicas import TABLES, Replica, Rows, Synced

log = logging.getLogger(__name__)

# What lists of REST answer beside what is synced.
NOT_SYNCED = {"id", "created_at", "updated_at", "portions"}


def server_rows(rest: Phone) -> Rows:
    """Return all that REST lists, in the columns that are synced, by table and id."""

    def collect(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {row["id"]: {k: v for k, v in row.items() if k not in NOT_SYNCED} for row in rows}

    products = every(rest, "/v1/products?include=portions")
    return {
        "products": collect(products),
        "portions": collect([portion for product in products for portion in product["portions"]]),
        "food_entries": collect(every(rest, "/v1/food-entries")),
        "body_weights": collect(every(rest, "/v1/body-weights")),
        "water_entries": collect(every(rest, "/v1/water-entries")),
    }


def every(rest: Phone, path: str) -> list[dict[str, Any]]:
    """Return all rows of a list, page by page."""
    rows: list[dict[str, Any]] = []
    joint = "&" if "?" in path else "?"
    while True:
        answer = rest.get(f"{path}{joint}limit=200&offset={len(rows)}")
        assert answer.status == 200, answer
        page = answer.json()
        rows += page
        if len(page) < 200:
            return rows


class History:
    """Random doings of replicas and of REST on one device, from a seed."""

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
                }
            case "portions":
                return {
                    "product_id": product,
                    "name": f"Portion {number(1, 99)}",
                    "grams": number(1, 50_000) / 100,
                    "is_default": self.random.random() < 0.4,
                }
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

    def edit(self, replica: Replica) -> None:
        """Create, change or delete a row offline."""
        rows = replica.rows()
        table = self.random.choice(TABLES)
        row_id = self.live(rows, table)
        chance = self.random.random()
        if row_id is None or chance < 0.45:
            values = self.values(table, rows)
            if table == "portions" and values["product_id"] is None:
                return
            log.info(f"{replica.name} creates in {table}: {values}")
            replica.create(table, self.new_id(), **values)
        elif chance < 0.8:
            values = self.values(table, rows)
            if table == "portions":
                del values["product_id"]
            elif table != "food_entries":
                name = self.random.choice(sorted(values))
                values = {name: values[name]}
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
        values = {k: v for k, v in self.values(table, rows).items() if v is not None}
        if table == "portions":
            product = values.pop("product_id", None)
            if product is None:
                return
        if row_id is None or chance < 0.45:
            owner = f"/v1/products/{product}" if table == "portions" else "/v1"
            answer = self.rest.post(f"{owner}/{table.replace('_', '-')}", values)
        elif chance < 0.8:
            answer = self.rest.patch(f"{path}/{row_id}", values)
        else:
            answer = self.rest.delete(f"{path}/{row_id}")
        log.info(f"REST {answer.status} {table} {row_id}: {values}")
        assert answer.status in (200, 201, 204, 404, 409, 422), answer

    def sync(self, replica: Replica) -> None:
        """Sync, now and then with an accident, or with a write of REST before the push."""
        accident = self.random.choice(["", "", "lost", "leaves", "REST"])
        log.info(f"{replica.name} syncs {accident}")
        if accident == "REST":
            if replica.tell("sync", push="waits") == "waiting":
                self.write_by_rest()
                synced = replica.go_on()
                self.settle(replica, synced)
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

    def unfold(self, steps: int) -> None:
        doings = [self.edit, self.edit, self.edit, self.edit, self.sync]
        for _ in range(steps):
            if self.random.random() < 0.15:
                self.write_by_rest()
            else:
                self.random.choice(doings)(self.random.choice(self.replicas))

    def end(self) -> None:
        """Have everyone sync until there is nothing new to anyone."""
        for _ in range(3):
            for replica in self.replicas:
                self.settle(replica, replica.try_sync())
