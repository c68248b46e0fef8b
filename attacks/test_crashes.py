"""Failures of a live server: killed processes, no database, no free connection, held locks."""

from __future__ import annotations

import os
import random
import signal
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from attacks.client import LOST, Answer, Phone
from attacks.crashes import (
    CRASHES,
    answers,
    is_frozen,
    kill,
    start_database,
    workers,
)
from attacks.household import Household
from attacks.locks import waiting_for_locks
from attacks.servers import Report, Start, check_integrity, starting
from countonme.server import embedded
from tests.helpers.processes import Run, living_in, postmaster, query, wait_until

SEED = 20250205
# In seconds: how soon calls succeed again once the processes run and the database answers.
BACK_WITHIN = 5.0
RICE = {"name": "Rice", "kcal_100g": 130}
SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}


@pytest.fixture
def start(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """A function that starts servers for one test only: the test breaks them."""
    with starting(first, tmp_path_factory) as start:
        yield start


class Diary(threading.Thread):
    """A phone that writes all the time, and repeats each write until it is answered.

    It records what the server must have stored, and every unexpected answer.
    """

    def __init__(self, phone: Phone, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.phone = phone
        self.random = random.Random(seed)
        self.stop = stop
        self.writes = 0
        self.repeated = 0
        self.surprises: list[str] = []
        # By id, the expected values of live and deleted rows.
        self.products: dict[str, dict[str, Any]] = {}
        self.entries: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.portions = 0
        # The recipe that it cooks, and by ingredient how many grams are in it.
        self.dish = ""
        self.cooked: dict[str, int] = {}

    def run(self) -> None:
        actions = [self.add_product, self.add_portion, self.log, self.log, self.log, self.cook]
        actions += [self.change_product, self.change_entry, self.delete_one]
        try:
            self.add_product()
            self.cook()
            while not self.stop.is_set():
                self.random.choice(actions)()
        except Exception as error:
            self.surprises.append(repr(error))

    def write(self, method: str, path: str, body: Any, first: int, repeated: set[int]) -> Any:
        """Send a request until it is answered, and check the status.

        Args:
            first: the status for the first attempt.
            repeated: what later attempts may be answered besides `first`.
        """
        deadline = time.monotonic() + 60
        expected = {first}
        while time.monotonic() < deadline:
            answer = self.phone.request(method, path, body)
            if answer.status in expected:
                self.writes += 1
                return answer.json() if answer.body else None
            if answer != LOST and (answer.status != 503 or "Retry-After" not in answer.headers):
                raise AssertionError(f"{method} {path}: {answer}")
            expected = {first} | repeated
            self.repeated += 1
            self.stop.wait(0.02)
        raise AssertionError(f"{method} {path} was never answered")

    def create(self, path: str, body: dict[str, Any]) -> Any:
        body = {"id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)), **body}
        created = self.write("POST", path, body, 201, {200})
        assert body.items() <= created.items(), (body, created)
        return created

    def live_product(self) -> tuple[str, dict[str, Any]]:
        live = sorted(self.products.keys() - self.deleted)
        if not live:
            self.add_product()
            return self.live_product()
        key = self.random.choice(live)
        return key, self.products[key]

    def add_product(self) -> None:
        body = {"name": f"Food {self.writes}", "kcal_100g": self.random.randrange(1000)}
        created = self.create("/v1/products", body)
        self.products[created["id"]] = {**body, "portions": ["100g"]}
        self.portions += 1

    def add_portion(self) -> None:
        key, product = self.live_product()
        if len(product["portions"]) < 20:
            name = f"{len(product['portions'])} pieces"
            self.create(f"/v1/products/{key}/portions", {"name": name, "grams": 50})
            product["portions"].append(name)
            self.portions += 1

    def cook(self) -> None:
        """Make a product a recipe of others, or put others in."""
        foods = {self.live_product()[0] for _ in range(3)}
        self.cooked = {key: self.random.randrange(1, 1000) for key in sorted(foods)}
        if not self.dish:
            self.dish = self.create("/v1/products", {"name": "Dish", "kcal_100g": 1})["id"]
            # The first one, and the serving.
            self.portions += 2
        items = [{"ingredient_id": key, "grams": grams} for key, grams in self.cooked.items()]
        self.write(
            "PUT", f"/v1/products/{self.dish}/recipe", {"servings": 3, "items": items}, 200, set()
        )

    def log(self) -> None:
        key, product = self.live_product()
        grams = self.random.randrange(1, 1000)
        day = date(2025, 1, 1) + timedelta(days=self.random.randrange(365))
        body = {"product_id": key, "grams": grams, "date": str(day), "meal_type": "lunch"}
        created = self.create("/v1/food-entries", body)
        entry = {"product_id": key, "grams": grams, "kcal": kcal_of(product, grams)}
        assert created["kcal"] == entry["kcal"], (created, product)
        self.entries[created["id"]] = entry

    def change_product(self) -> None:
        key, product = self.live_product()
        kcal = {"kcal_100g": self.random.randrange(1000)}
        product |= kcal
        self.write("PATCH", f"/v1/products/{key}", kcal, 200, set())

    def change_entry(self) -> None:
        live = sorted(self.entries.keys() - self.deleted)
        if live:
            key = self.random.choice(live)
            entry = self.entries[key]
            grams = entry["grams"] % 999 + 1
            product = self.products[entry["product_id"]]
            entry |= {"grams": grams, "kcal": kcal_of(product, grams)}
            self.write("PATCH", f"/v1/food-entries/{key}", {"grams": grams}, 200, set())

    def delete_one(self) -> None:
        for path, rows in (("products", self.products), ("food-entries", self.entries)):
            live = sorted(rows.keys() - self.deleted)
            if len(live) > 10:
                key = self.random.choice(live)
                # A repeated one finds nothing if the first was done but its answer was lost.
                self.write("DELETE", f"/v1/{path}/{key}", None, 204, {404})
                self.deleted.add(key)

    def expected(self) -> dict[str, Any]:
        """What the server must answer, by id, and how many rows it must have."""
        kcal = sum(self.products[key]["kcal_100g"] * grams for key, grams in self.cooked.items())
        exact = Decimal(kcal) / sum(self.cooked.values())
        dish = {
            "name": "Dish",
            "kcal_100g": int(exact.quantize(Decimal(1), ROUND_HALF_UP)),
            "portions": ["100g", "serving"],
        }
        return {
            "products": {
                key: row | {"portions": sorted(row["portions"])}
                for key, row in self.products.items()
                if key not in self.deleted
            }
            | {self.dish: dish},
            "recipe": self.cooked,
            "entries": {key: row for key, row in self.entries.items() if key not in self.deleted},
            "rows": (len(self.products) + 1, self.portions, len(self.entries)),
        }

    def stored(self, data_dir: Path) -> dict[str, Any]:
        """What the server answers, in the same form; `rows` counts deleted rows too."""
        products, entries = (
            self.everything(path) for path in ("/v1/products?include=portions", "/v1/food-entries?")
        )
        counts = (
            f"(SELECT count(*) FROM {table} WHERE device_id = '{self.phone.device_id}')"
            for table in ("products", "portions", "food_entries")
        )
        return {
            "products": {
                row["id"]: {
                    "name": row["name"],
                    "kcal_100g": row["kcal_100g"],
                    "portions": sorted(portion["name"] for portion in row["portions"]),
                }
                for row in products
            },
            "recipe": {
                item["ingredient_id"]: item["grams"]
                for item in self.phone.get(f"/v1/products/{self.dish}/recipe").json()["items"]
            },
            "entries": {
                row["id"]: {name: row[name] for name in ("product_id", "grams", "kcal")}
                for row in entries
            },
            "rows": query(data_dir, f"SELECT {', '.join(counts)}")[0],
        }

    def everything(self, path: str) -> list[Any]:
        found: list[Any] = []
        while page := self.phone.get(f"{path}&limit=200&offset={len(found)}").json():
            found += page
        return found


def kcal_of(product: dict[str, Any], grams: int) -> float:
    """Return the kcal of some grams of a product: exact, because both are integers."""
    return float(Decimal(product["kcal_100g"] * grams) / 100)


def test_crashes_neither_lose_nor_double_answered_writes(server: Run, report: Report) -> None:
    stop = threading.Event()
    diaries = [Diary(Phone(server.port).register(), SEED + n, stop) for n in range(4)]
    households = [Household(Phone(server.port).register(), SEED + n, stop) for n in range(2)]
    probe = Phone(server.port).register()
    for thread in (*diaries, *households):
        thread.start()
    try:
        for crash in CRASHES:
            under_load = sum(diary.writes for diary in diaries) + 100
            wait_until(lambda: sum(diary.writes for diary in diaries) > under_load, 60)  # noqa: B023
            crash(server)
            wait_until(lambda: answers(server.data_dir), 30)
            # How long Python takes to start depends on the machine.
            wait_until(lambda: probe.get("/health").status == 200, 30)
            seconds = seconds_until_writable(probe)
            report(f"{crash.__name__}: writes again within {seconds:.2f} s")
            assert seconds < BACK_WITHIN
    finally:
        stop.set()
    for thread in (*diaries, *households):
        thread.join(60)
    report(f"{sum(d.writes for d in diaries)} writes, {sum(d.repeated for d in diaries)} repeated")
    of_phones, repeated = (sum(h.answered for h in households), sum(h.repeated for h in households))
    report(f"{of_phones} calls of phones that come and go, {repeated} repeated")
    assert [diary.surprises for diary in diaries] == [[] for _ in diaries]
    assert [household.surprises for household in households] == [[] for _ in households]
    for household in households:
        assert not household.is_alive()
        household.assert_as_expected()
        ever = f"SELECT count(*) FROM phones WHERE device_id = '{household.device_id}'"
        assert query(server.data_dir, ever) == [(household.joined,)]
    for diary in diaries:
        assert not diary.is_alive()
        assert diary.stored(server.data_dir) == diary.expected()
    check_integrity(server)


def seconds_until_writable(probe: Phone) -> float:
    """Wait until a write is answered 201, and return the seconds."""
    began = time.monotonic()
    wait_until(lambda: probe.post("/v1/products", RICE).status == 201, 30)
    return time.monotonic() - began


class Caller(threading.Thread):
    """Repeats CALLS without a pause, and records the answer, start and seconds of each."""

    def __init__(self, phone: Phone, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.phone = phone
        self.stop = stop
        self.seen: list[tuple[str, Answer, float, float]] = []

    def run(self) -> None:
        while not self.stop.is_set():
            for name, call in CALLS.items():
                began = time.monotonic()
                answer = call(self.phone)
                self.seen.append((name, answer, began, time.monotonic() - began))


CALLS: dict[str, Callable[[Phone], Answer]] = {
    "read": lambda phone: phone.get("/v1/products"),
    "write": lambda phone: phone.post("/v1/food-entries", SOUP),
    "summary": lambda phone: phone.get("/v1/stats/day/2025-02-05"),
    "wrong token": lambda phone: Phone.get(phone, "/v1/products", Authorization="Bearer x"),
    "register": lambda phone: phone.post("/v1/auth/register", {"device_id": str(uuid.uuid4())}),
    "operator": lambda phone: phone.get("/admin/", Cookie="sessionid=" + "x" * 32),
    "live": lambda phone: phone.get("/health"),
    "ready": lambda phone: phone.get("/health/ready"),
}
# Calls that don't need the database, with their status.
UNAFFECTED = {"wrong token": 401, "live": 200}


@contextmanager
def calling(phones: list[Phone]) -> Iterator[list[Caller]]:
    stop = threading.Event()
    callers = [Caller(phone, stop) for phone in phones]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        stop.set()
        for caller in callers:
            caller.join(30)


def test_calls_without_a_database_are_answered_503_at_once(start: Start, report: Report) -> None:
    # Registrations are counted in the database, before anything else.
    server = start(REGISTER_THROTTLE="100000/min", MAX_ENTRIES_PER_DAY="1000000")
    phones = [Phone(server.port).register() for _ in range(8)]
    with calling(phones) as callers:
        wait_until(lambda: all(len(caller.seen) > 50 for caller in callers), 30)
        # As `pg_ctl stop -m fast` does.
        os.kill(postmaster(server.data_dir), signal.SIGINT)
        wait_until(lambda: not living_in(server.data_dir / "postgres"))
        away = time.monotonic()
        wait_until(lambda: time.monotonic() > away + 15, 30)
        until = time.monotonic()
        start_database(server)
        again = time.monotonic()
        wait_until(lambda: time.monotonic() > again + BACK_WITHIN, 10)
        normal = time.monotonic()
        wait_until(lambda: all(caller.seen[-1][2] > normal + 1 for caller in callers), 30)
    seen = [call for caller in callers for call in caller.seen]
    # Those that began and ended without a database.
    meanwhile = [call for call in seen if away < call[2] and call[2] + call[3] < until]
    for name, answer, _, _ in meanwhile:
        assert answer.status == UNAFFECTED.get(name, 503), (name, answer)
        assert answer.status != 503 or int(answer.headers["Retry-After"]) > 0
    seconds = [call[3] for call in meanwhile]
    p95, longest = statistics.quantiles(seconds, n=20)[-1], max(seconds)
    report(f"{len(seconds)} calls without a database: p95 {p95:.3f} s, the longest {longest:.3f} s")
    assert {call[0] for call in meanwhile} == CALLS.keys()
    assert p95 < 1
    assert longest < 5
    for name, answer, began, _ in seen:
        assert answer.status in (200, 201, 302, 401, 503), (name, answer)
        assert answer.status != 503 or began < normal, (name, answer)
    healed = [call[2] for call in seen if call[0] == "write" and call[1].status == 201]
    seconds_to_heal = min(began for began in healed if began > until) - until
    report(f"writes again {seconds_to_heal:.2f} s after its start was asked for")


def test_calls_are_answered_503_while_the_database_has_no_free_connection(
    server: Run, report: Report
) -> None:
    phones = [Phone(server.port).register() for _ in range(8)]
    address = embedded.database_url(server.data_dir)
    with ExitStack() as held:
        own = held.enter_context(psycopg.connect(address, autocommit=True))
        others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND application_name <> 'attack'"
        )
        own.execute("SET application_name = 'attack'")
        # Slots that become free are taken at once, until the server has none left.
        for _ in range(3):
            own.execute(others)
            with suppress(psycopg.OperationalError):
                while True:
                    held.enter_context(psycopg.connect(address, application_name="attack"))
        with calling(phones) as callers:
            wait_until(lambda: all(len(caller.seen) > 100 for caller in callers), 30)
        seen = [call for caller in callers for call in caller.seen]
        for name, answer, _, _ in seen:
            assert answer.status == UNAFFECTED.get(name, 503), (name, answer)
            assert answer.status != 503 or int(answer.headers["Retry-After"]) > 0
        longest = max(call[3] for call in seen)
        report(f"{len(seen)} calls at a full database: the longest {longest:.3f} s")
        assert longest < 5
    seconds = seconds_until_writable(phones[0])
    report(f"back {seconds:.2f} s after there was room")
    assert seconds < BACK_WITHIN
    for phone in phones:
        assert phone.post("/v1/products", RICE).status == 201


def test_a_locked_device_delays_only_its_own_writes(
    server: Run, session: psycopg.Connection[Any], report: Report
) -> None:
    locked, free = (Phone(server.port).register() for _ in range(2))
    assert locked.get("/v1/products").status == 200
    session.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [locked.device_id])
    result: list[tuple[Answer, float]] = []
    waiting = threading.Thread(
        target=lambda: result.append(timed(locked.on_new_connection())), daemon=True
    )
    waiting.start()
    wait_until(lambda: waiting_for_locks(server), 5)
    meanwhile = 0
    while waiting.is_alive():
        assert free.post("/v1/products", RICE).status == 201
        assert free.get("/v1/products").status == 200
        assert locked.get("/v1/products").status == 200
        meanwhile += 1
    [(answer, seconds)] = result
    report(f"a write of a locked device: {seconds:.2f} s; meanwhile {meanwhile} of another")
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert seconds < 10
    assert meanwhile > 10
    session.rollback()
    assert locked.post("/v1/products", RICE).status == 201


def timed(phone: Phone) -> tuple[Answer, float]:
    began = time.monotonic()
    answer = phone.post("/v1/products", RICE)
    return answer, time.monotonic() - began


def in_the_middle_of_a_write(server: Run, phone: Phone, session: psycopg.Connection[Any]) -> Any:
    """Have a request of the phone lock its device's row and wait for its product's row.

    Returns:
        A function that waits for the answer and returns it.
    """
    product = phone.post("/v1/products", RICE).json()["id"]
    session.execute("SELECT FROM products WHERE id = %s FOR UPDATE", [product])
    answers: list[Answer] = []
    other = phone.on_new_connection()
    path = f"/v1/products/{product}"
    thread = threading.Thread(
        target=lambda: answers.append(other.patch(path, {"name": "Brown rice"})), daemon=True
    )
    thread.start()
    wait_until(lambda: waiting_for_locks(server), 5)

    def answer() -> Answer:
        thread.join(30)
        return answers[0]

    return answer


def test_a_worker_killed_in_the_middle_of_a_write_leaves_no_lock(
    server: Run, session: psycopg.Connection[Any], report: Report
) -> None:
    phone = Phone(server.port).register()
    answer = in_the_middle_of_a_write(server, phone, session)
    kill(workers(server))
    # PostgreSQL learns of the kill only when the statement is over: after its wait for the lock.
    seconds = seconds_until_writable(phone)
    report(f"the device writes again {seconds:.2f} s after its worker was killed")
    assert seconds < 10
    assert answer() == LOST
    session.rollback()
    assert [row["name"] for row in phone.get("/v1/products").json()] == ["Rice", "Rice"]


def test_a_worker_killed_between_items_and_recipe_leaves_the_recipe_as_it_was(
    server: Run, session: psycopg.Connection[Any]
) -> None:
    phone = Phone(server.port).register()
    rice, dish = (phone.post("/v1/products", RICE).json()["id"] for _ in range(2))
    path = f"/v1/products/{dish}/recipe"
    item = {"ingredient_id": rice, "grams": 100}
    before = phone.put(path, {"servings": 1, "items": [item]}).json()
    serving = uuid.uuid5(uuid.UUID(dish), "serving")
    # The serving is written last, and waits for this: product and items are written by then.
    session.execute("SELECT FROM portions WHERE id = %s FOR UPDATE", [serving])
    other, answers = phone.on_new_connection(), []
    body = {"servings": 2, "items": [item, {"ingredient_id": rice, "grams": 300}]}
    thread = threading.Thread(target=lambda: answers.append(other.put(path, body)), daemon=True)
    thread.start()
    wait_until(lambda: waiting_for_locks(server), 5)
    kill(workers(server))
    seconds_until_writable(phone)
    session.rollback()
    thread.join(30)
    assert answers == [LOST]
    assert phone.get(path).json() == before
    check_integrity(server)
    again = phone.put(path, body)
    assert (again.status, len(again.json()["items"])) == (200, 2)
    check_integrity(server)


def test_a_worker_frozen_in_the_middle_of_a_write_loses_its_lock(
    server: Run, session: psycopg.Connection[Any], report: Report
) -> None:
    # The server's own timeout is too long for a test.
    idle = "idle_in_transaction_session_timeout"
    session.execute(f"ALTER ROLE postgres IN DATABASE countonme SET {idle} = '1s'")
    session.commit()
    kill(workers(server))
    phone = Phone(server.port)
    wait_until(lambda: phone.get("/health/ready").status == 200)
    phone.register()
    answer = in_the_middle_of_a_write(server, phone, session)
    frozen = workers(server)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(map(is_frozen, frozen)))
    session.rollback()
    held = f"SELECT FROM devices WHERE id = '{phone.device_id}' FOR UPDATE"
    began = time.monotonic()
    session.execute(held.encode())
    session.rollback()
    seconds = time.monotonic() - began
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    report(f"the device's row was free {seconds:.2f} s after its worker was frozen")
    assert seconds < BACK_WITHIN
    assert answer().status == 503
    assert phone.post("/v1/products", RICE).status == 201
