"""The world: the rows that every contestant serves, and the calls that are measured."""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import product
from typing import Any

from devices import tokens

DEVICES = 64
PRODUCTS = 20
DAYS = 90
ENTRIES_A_DAY = 5
# Rows of each device, one a day, back from LAST_DAY.
WEIGHINGS = GLASSES = 20
LAST_DAY = date(2025, 6, 30)
# All rows of the world were created before this. Rows written under load are created now, after it.
END = datetime(2025, 7, 1, tzinfo=UTC)


def id_of(kind: str, *numbers: int) -> uuid.UUID:
    """Return the id of a row of the world, as `bench.fill` makes it in SQL."""
    name = " ".join(map(str, (kind, *numbers)))
    return uuid.UUID(hashlib.md5(name.encode(), usedforsecurity=False).hexdigest())


@lru_cache(maxsize=1024)
def token(device: int, secret_of: int | None = None) -> str:
    """Return the token of a device; with the secret of another device, a wrong token."""
    number = device if secret_of is None else secret_of
    secret = hashlib.sha256(f"secret {number}".encode()).digest()
    device_id = id_of("device", device).bytes
    return f"{tokens._encode(device_id)}.{tokens._encode(secret)}"


@dataclass(frozen=True)
class Call:
    """One request, by a device of the world."""

    device: int
    method: str
    path: str
    body: Any = None
    etag: str = ""
    secret_of: int | None = None  # of another device, for a wrong token

    @property
    def headers(self) -> dict[str, str]:
        """The headers, without those of the connection."""
        headers = {"Authorization": f"Bearer {token(self.device, self.secret_of)}"}
        if self.etag:
            headers["If-None-Match"] = self.etag
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        return headers

    @property
    def content(self) -> bytes:
        """The body as it goes out."""
        return b"" if self.body is None else json.dumps(self.body).encode()

    def raw(self, port: int) -> bytes:
        """The whole request."""
        headers = {"Host": f"127.0.0.1:{port}", **self.headers}
        if self.content:
            headers["Content-Length"] = str(len(self.content))
        lines = [f"{self.method} {self.path} HTTP/1.1", *map(": ".join, headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.content


def days(last: date, number: int) -> Iterator[str]:
    """Yield a number of days, from the last one back."""
    return ((last - timedelta(n)).isoformat() for n in range(number))


@dataclass(frozen=True)
class Endpoint:
    """A kind of call that is measured."""

    name: str
    calls: Callable[[int], Iterable[Call]]  # those of one device
    writes: bool = False

    def spread(self, devices: Sequence[int]) -> list[Call]:
        """Return the calls of all these devices, shuffled in the same order every time."""
        calls = [call for device in devices for call in self.calls(device)]
        random.Random(0).shuffle(calls)
        return calls


def list_products(device: int) -> Iterable[Call]:
    yield Call(device, "GET", "/v1/products")


def list_entries(device: int) -> Iterable[Call]:
    for day in days(LAST_DAY, DAYS):
        yield Call(device, "GET", f"/v1/food-entries?date={day}")


def total_day(device: int) -> Iterable[Call]:
    for day in days(LAST_DAY, DAYS):
        yield Call(device, "GET", f"/v1/stats/day/{day}")


def total_range(device: int) -> Iterable[Call]:
    first = LAST_DAY - timedelta(DAYS - 1)
    yield Call(device, "GET", f"/v1/stats/daily?from={first}&to={LAST_DAY}")


def progress(device: int) -> Iterable[Call]:
    for day in days(LAST_DAY, DAYS):
        yield Call(device, "GET", f"/v1/goals/progress?date={day}")


def recent_products(device: int) -> Iterable[Call]:
    yield Call(device, "GET", "/v1/food-entries/products?order=recent&meal_type=lunch")


def frequent_products(device: int) -> Iterable[Call]:
    yield Call(device, "GET", "/v1/food-entries/products?order=frequent")


def weight_trend(device: int) -> Iterable[Call]:
    first = LAST_DAY - timedelta(DAYS - 1)
    yield Call(device, "GET", f"/v1/stats/weight?from={first}&to={LAST_DAY}")


def list_water(device: int) -> Iterable[Call]:
    for day in days(LAST_DAY, DAYS):
        yield Call(device, "GET", f"/v1/water-entries?date={day}")


def pull(device: int) -> Iterable[Call]:
    # The revision that `bench.fill` gives all rows.
    yield Call(device, "GET", "/v1/sync?last_pulled_at=2")


def log_entry(device: int) -> Iterable[Call]:
    """Log on days that no other call reads: few entries on each, however long the load lasts."""
    before = LAST_DAY - timedelta(DAYS)
    for number, day in product(range(2), days(before, DAYS)):
        body = {
            "product_id": str(id_of("product", device, number)),
            "grams": 37.5 + number,
            "date": day,
            "meal_type": "lunch",
        }
        yield Call(device, "POST", "/v1/food-entries", body)


def create_product(device: int) -> Iterable[Call]:
    for number in range(20):
        body = {
            "name": f"Crème {number}",
            "kcal_100g": 165,
            "protein_100g": 31,
            "carbs_100g": 0.5,
            "fat_100g": 3.6,
            "saturated_fat_100g": 1,
            "brand": "Dairy",
        }
        yield Call(device, "POST", "/v1/products", body)


ENDPOINTS = [
    Endpoint("GET /v1/products", list_products),
    Endpoint("GET /v1/food-entries?date=", list_entries),
    Endpoint("GET /v1/stats/day/{date}", total_day),
    Endpoint("GET /v1/stats/daily", total_range),
    Endpoint("POST /v1/food-entries", log_entry, writes=True),
    Endpoint("POST /v1/products", create_product, writes=True),
]
# Endpoints that only ours has, for the verbs scale, memory and sustain.
OURS_ONLY = [
    Endpoint("GET /v1/goals/progress?date=", progress),
    Endpoint("GET /v1/food-entries/products?order=recent", recent_products),
    Endpoint("GET /v1/food-entries/products?order=frequent", frequent_products),
    Endpoint("GET /v1/stats/weight", weight_trend),
    Endpoint("GET /v1/water-entries?date=", list_water),
    Endpoint("GET /v1/sync?last_pulled_at=", pull),
]
NOT_MODIFIED = "GET /v1/products 304"
