"""WatermelonDB itself, with the code that docs/sync.md prints, against a live server."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from typing import Any

import pytest

from attacks.client import Phone
from sync.tests.replicas import NODE_PROJECT, TABLES, Replica, Replicas, Rows, printed
from tests.processes import MANAGE, ROOT, Run, copy_of, environment, first_start, query

pytestmark = pytest.mark.xdist_group("replicas")

DAY = "2025-02-05"
RICE = {"name": "Rice", "kcal_100g": 130, "protein_100g": 2.7}
SOUP = {"date": DAY, "meal_type": "lunch", "name": "Soup", "kcal": 250}
LUNCH = {"date": DAY, "mealType": "lunch"}
SETTINGS = {
    "REGISTER_THROTTLE": "",
    "DEVICE_THROTTLE": "",
    "BCRYPT_ROUNDS": "4",
    "LOG_LEVEL": "WARNING",
}


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with WatermelonDB installed; CI is not without."""
    program = shutil.which("node")
    if program and (NODE_PROJECT / "node_modules" / "@nozbe" / "watermelondb").exists():
        return program
    reason = (
        f"WatermelonDB is not installed: run npm ci in {NODE_PROJECT.relative_to(ROOT)}"
        if program
        else "Node is not installed"
    )
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def server(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A live server on a PostgreSQL of its own."""
    with ExitStack() as ends:
        folder = tmp_path_factory.mktemp("synced")
        data_dir = ends.enter_context(copy_of(first_start(tmp_path_factory), folder))
        run = Run(data_dir, **SETTINGS)
        ends.callback(run.kill)
        yield run.wait_until_ready()


@pytest.fixture(scope="module")
def node_process(node: str, server: Run) -> Iterator[Replicas]:
    replicas = Replicas(node, f"http://127.0.0.1:{server.port}")
    yield replicas
    replicas.stop()


@pytest.fixture
def replicas(node_process: Replicas) -> Iterator[Replicas]:
    """The library, which must not complain about anything that a test did not take out."""
    node_process.complaints.clear()
    yield node_process
    assert node_process.complaints == []


@pytest.fixture
def rest(server: Run) -> Phone:
    """A device as REST sees it, registered now."""
    return Phone(server.port).register()


Install = Callable[[], Replica]


@pytest.fixture
def install(replicas: Replicas, rest: Phone) -> Install:
    """Installs the app once more, with the token of that device."""
    return lambda: replicas.install(rest.token)


@pytest.fixture
def one(install: Install) -> Replica:
    return install()


@pytest.fixture
def two(install: Install) -> Replica:
    return install()


# What lists of REST answer beside what is synced.
NOT_SYNCED = {"created_at", "updated_at", "portions"}


def server_rows(rest: Phone) -> Rows:
    """Return all that REST lists, in the columns that are synced, by table and id."""

    def collect(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return {
            row["id"]: {k: v for k, v in row.items() if k not in NOT_SYNCED | {"id"}}
            for row in rows
        }

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


def post(rest: Phone, path: str, **body: Any) -> dict[str, Any]:
    answer = rest.post(path, body)
    assert answer.status == 201, answer
    created: dict[str, Any] = answer.json()
    return created


def assert_all_equal(rest: Phone, *replicas: Replica) -> Rows:
    """Every replica shows what REST lists, and has nothing left to push."""
    expected = server_rows(rest)
    for replica in replicas:
        assert replica.rows() == expected
        assert replica.unsynced() == {}
    return expected


def manage(server: Run, *arguments: str) -> None:
    subprocess.run(
        [*MANAGE, *arguments],
        cwd=ROOT,
        env=environment(server.data_dir),
        check=True,
        capture_output=True,
    )


def of_device(rest: Phone) -> str:
    return f"WHERE device_id = '{rest.device_id}'"


def test_a_first_sync_brings_everything_live(rest: Phone, one: Replica) -> None:
    rice = post(rest, "/v1/products", **RICE)
    post(rest, f"/v1/products/{rice['id']}/portions", name="1 bowl", grams=180, is_default=True)
    post(rest, "/v1/food-entries", product_id=rice["id"], grams=150, date=DAY, meal_type="lunch")
    post(rest, "/v1/food-entries", **SOUP, eaten_at="2025-02-05T12:30:00Z")
    post(rest, "/v1/body-weights", date=DAY, weight_kg=80.55)
    post(rest, "/v1/water-entries", date=DAY, ml=250)
    gone = post(rest, "/v1/food-entries", **SOUP)
    assert rest.delete(f"/v1/food-entries/{gone['id']}").status == 204

    assert one.sync().pushes == []
    rows = assert_all_equal(rest, one)
    assert [len(rows[table]) for table in TABLES] == [1, 2, 2, 1, 1]


def test_what_is_written_offline_reaches_the_server_and_the_other_replica(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    one.create("food_entries", **SOUP)
    one.create("body_weights", date=DAY, weight_kg=80.5)
    one.create("water_entries", date=DAY, ml=250)
    assert one.sync().pushes == [200]
    two.sync()
    rows = assert_all_equal(rest, one, two)
    assert [portion["name"] for portion in rows["portions"].values()] == ["100g"]
    assert rows["products"][rice]["kcal_100g"] == 130


def test_the_models_log_what_the_server_works_out(rest: Phone, one: Replica) -> None:
    rice = one.create("products", **RICE, fat_100g=0.35)
    bowl = one.create("portions", product_id=rice, name="1 bowl", grams=180, is_default=True)
    by_grams = one.call("products", rice, "log", 150, LUNCH)
    by_portion = one.call(
        "portions", bowl, "log", 1.5, LUNCH | {"eatenAt": "2025-02-05T12:30:00Z"}
    )
    offline = one.rows()["food_entries"]
    one.sync()
    rows = assert_all_equal(rest, one)
    assert rows["food_entries"] == offline
    assert rows["food_entries"][by_grams]["kcal"] == 195
    assert rows["food_entries"][by_portion]["grams"] == 270


def test_the_model_removes_a_product_with_its_portions(rest: Phone, one: Replica) -> None:
    rice = one.create("products", **RICE)
    one.call("products", rice, "log", 150, LUNCH)
    one.sync()
    one.call("products", rice, "remove")
    assert one.rows()["portions"] == {}
    one.sync()
    rows = assert_all_equal(rest, one)
    assert (rows["products"], rows["portions"], len(rows["food_entries"])) == ({}, {}, 1)


def test_offline_edits_of_two_replicas_meet_column_by_column(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    soup = one.create("food_entries", **SOUP)
    one.sync()
    two.sync()
    one.update("products", rice, name="Brown rice")
    one.update("food_entries", soup, kcal=300)
    two.update("products", rice, kcal_100g=120)
    two.update("food_entries", soup, meal_type="dinner")
    two.create("water_entries", date=DAY, ml=500)
    one.sync()
    two.sync()
    one.sync()
    rows = assert_all_equal(rest, one, two)
    assert rows["products"][rice]["name"] == "Brown rice"
    assert rows["products"][rice]["kcal_100g"] == 120
    assert rows["food_entries"][soup] | {"kcal": 300, "meal_type": "dinner"} == (
        rows["food_entries"][soup]
    )


def test_a_record_changed_between_pull_and_push_is_a_conflict_and_is_tried_again(
    rest: Phone, one: Replica
) -> None:
    rice = one.create("products", **RICE)
    one.sync()
    one.update("products", rice, name="Brown rice")
    one.pull_and_wait()
    assert rest.patch(f"/v1/products/{rice}", {"kcal_100g": 120}).status == 200
    assert one.go_on().pushes == [409, 200]
    rows = assert_all_equal(rest, one)
    assert rows["products"][rice] | {"name": "Brown rice", "kcal_100g": 120} == (
        rows["products"][rice]
    )


def test_a_record_deleted_between_pull_and_push_stays_deleted(rest: Phone, one: Replica) -> None:
    soup = one.create("food_entries", **SOUP)
    one.sync()
    one.update("food_entries", soup, kcal=300)
    one.pull_and_wait()
    assert rest.delete(f"/v1/food-entries/{soup}").status == 204
    assert one.go_on().pushes == [409]
    assert assert_all_equal(rest, one)["food_entries"] == {}


def test_other_writes_between_pull_and_push_are_no_conflict(rest: Phone, one: Replica) -> None:
    soup = one.create("food_entries", **SOUP)
    one.sync()
    one.update("food_entries", soup, kcal=300)
    one.pull_and_wait()
    post(rest, "/v1/products", **RICE)
    assert one.go_on().pushes == [200]
    assert_all_equal(rest, one)


def test_what_is_edited_while_a_push_is_under_way_is_pushed_by_the_next(
    rest: Phone, one: Replica
) -> None:
    soup = one.create("food_entries", **SOUP)
    one.try_sync(push="lost")
    one.update("food_entries", soup, kcal=300)
    one.sync()
    assert assert_all_equal(rest, one)["food_entries"][soup]["kcal"] == 300


def test_a_push_whose_answer_is_lost_is_repeated_without_doubles_or_conflict(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    one.call("products", rice, "log", 150, LUNCH)
    soup = one.create("food_entries", **SOUP)
    tea = one.create("food_entries", **SOUP | {"name": "Tea"})
    one.create("body_weights", date=DAY, weight_kg=80.5)
    one.sync()
    one.update("food_entries", soup, kcal=300)
    one.delete("food_entries", tea)
    one.create("water_entries", date=DAY, ml=250)

    lost = one.try_sync(push="lost")
    assert (lost.pushes, lost.error and lost.error["status"]) == ([200], 0)
    before = server_rows(rest)
    assert one.unsynced() != {}
    assert one.sync().pushes == [200]
    two.sync()
    assert assert_all_equal(rest, one, two) == before


def test_a_push_that_never_left_leaves_with_the_next_sync(rest: Phone, one: Replica) -> None:
    one.create("products", **RICE)
    assert one.try_sync(push="leaves").error is not None
    assert server_rows(rest)["products"] == {}
    one.sync()
    assert len(assert_all_equal(rest, one)["products"]) == 1


def test_what_is_created_synced_deleted_and_synced_stays_deleted(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    soup = one.create("food_entries", **SOUP)
    one.try_sync()
    one.delete("food_entries", soup)
    one.delete("products", rice)
    one.try_sync()
    assert (one.rows()["products"], one.rows()["food_entries"]) == ({}, {})
    one.sync()
    two.sync()
    rows = assert_all_equal(rest, one, two)
    assert rows == {table: {} for table in TABLES}


def test_what_is_created_and_deleted_after_a_lost_answer_stays_deleted(
    rest: Phone, one: Replica
) -> None:
    soup = one.create("food_entries", **SOUP)
    one.try_sync(push="lost")
    one.delete("food_entries", soup)
    one.sync()
    one.sync()
    assert assert_all_equal(rest, one)["food_entries"] == {}


def test_a_product_created_logged_and_deleted_between_two_syncs_leaves_its_entry(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    entry = one.call("products", rice, "log", 150, LUNCH)
    one.call("products", rice, "remove")
    one.sync()
    two.sync()
    rows = assert_all_equal(rest, one, two)
    assert rows["products"] == {}
    assert rows["food_entries"][entry]["product_id"] is None
    assert rows["food_entries"][entry]["name"] == "Rice"
    assert rows["food_entries"][entry]["kcal"] == 195


def test_a_phone_that_was_away_during_a_purge_gets_everything_as_a_replacement(
    server: Run, rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    soup = one.create("food_entries", **SOUP)
    one.sync()
    two.sync()
    one.call("products", rice, "remove")
    one.delete("food_entries", soup)
    one.sync()
    two.create("water_entries", date=DAY, ml=250)
    two.update("food_entries", soup, kcal=300)
    manage(server, "purge_deleted", "--older-than", "0d")

    assert two.sync().strategies[0] == "replacement"
    assert two.sync().strategies == [None]
    one.sync()
    rows = assert_all_equal(rest, one, two)
    assert [len(rows[table]) for table in TABLES] == [0, 0, 0, 0, 1]


def test_a_restored_backup_replaces_what_was_synced_since(
    server: Run, rest: Phone, replicas: Replicas, one: Replica
) -> None:
    one.create("products", **RICE)
    one.sync()
    backup = query(server.data_dir, f"SELECT revision FROM devices WHERE id = '{rest.device_id}'")
    one.create("food_entries", **SOUP)
    one.sync()
    one.create("water_entries", date=DAY, ml=250)
    # As if a backup from before the soup had been restored.
    owned = of_device(rest)
    query(server.data_dir, f"UPDATE food_entries SET deleted_at = now() {owned}")
    query(server.data_dir, f"DELETE FROM food_entries {owned}")
    query(
        server.data_dir,
        f"UPDATE devices SET revision = {backup[0][0]} WHERE id = '{rest.device_id}'",
    )

    assert one.sync().strategies[0] == "replacement"
    rows = assert_all_equal(rest, one)
    assert [len(rows[table]) for table in TABLES] == [1, 1, 0, 0, 1]
    # The library notices, too.
    assert all("previous pulled-at time was greater" in told for told in replicas.complaints)
    replicas.complaints.clear()


def test_a_reinstalled_app_gets_everything_again(
    rest: Phone, one: Replica, install: Install
) -> None:
    rice = one.create("products", **RICE)
    one.call("products", rice, "log", 150, LUNCH)
    one.sync()
    again = install()
    assert again.sync().pushes == []
    assert_all_equal(rest, again)


def test_a_rejected_record_blocks_nothing_and_stays_to_be_put_right(
    rest: Phone, one: Replica
) -> None:
    rice = one.create("products", **RICE)
    bad = one.create("products", **RICE | {"kcal_100g": 5000})
    one.create("portions", product_id=bad, name="1 bowl", grams=180, is_default=True)
    synced = one.try_sync()
    assert synced.error is None
    assert bad in synced.rejected["products"]
    assert list(server_rows(rest)["products"]) == [rice]
    assert bad in one.unsynced()["products"]

    one.update("products", bad, kcal_100g=500)
    one.sync()
    assert len(assert_all_equal(rest, one)["portions"]) == 2


def test_a_rejected_record_can_be_discarded(rest: Phone, one: Replica) -> None:
    rice = one.create("products", **RICE)
    one.sync()
    one.update("products", rice, kcal_100g=5000, name="Lava")
    bad = one.create("food_entries", **SOUP | {"meal_type": "brunch"})
    good = one.create("water_entries", date=DAY, ml=250)
    rejected = one.try_sync().rejected
    assert (list(rejected["products"]), list(rejected["food_entries"])) == ([rice], [bad])
    one.discard(rejected)
    one.sync()
    rows = assert_all_equal(rest, one)
    assert rows["products"][rice]["name"] == "Rice"
    assert list(rows["water_entries"]) == [good]


def test_two_weights_of_one_day_become_the_later_push(
    rest: Phone, one: Replica, two: Replica
) -> None:
    one.create("body_weights", date=DAY, weight_kg=80)
    two.create("body_weights", date=DAY, weight_kg=81)
    one.sync()
    two.sync()
    one.sync()
    rows = assert_all_equal(rest, one, two)
    assert [row["weight_kg"] for row in rows["body_weights"].values()] == [81]


def test_a_new_default_portion_takes_the_default_from_the_other(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    one.sync()
    two.sync()
    one.create("portions", product_id=rice, name="1 bowl", grams=180, is_default=True)
    two.create("portions", product_id=rice, name="1 cup", grams=150, is_default=True)
    one.sync()
    two.sync()
    one.sync()
    portions = assert_all_equal(rest, one, two)["portions"].values()
    assert [portion["name"] for portion in portions if portion["is_default"]] == ["1 cup"]


def test_a_wrong_token_is_401_and_loses_nothing(rest: Phone, one: Replica) -> None:
    one.create("products", **RICE)
    one.tell("set_token", token="wrong")
    synced = one.try_sync()
    assert synced.error
    assert synced.error["status"] == 401
    one.tell("set_token", token=rest.token)
    one.sync()
    assert len(assert_all_equal(rest, one)["products"]) == 1


def test_a_new_table_comes_with_all_its_rows_after_a_migration(
    rest: Phone, replicas: Replicas
) -> None:
    schema = printed("db/schema.ts")
    before, water, _ = re.split(r"(    tableSchema\(\{\n      name: 'water_entries'.*\n  \],\n\}\))", schema, flags=re.S)
    index = printed("db/index.ts").replace(", WaterEntry]", "]")
    replica = replicas.install(rest.token, schema=f"{before}  ],\n}})", index=index)
    replica.create("food_entries", **SOUP)
    post(rest, "/v1/water-entries", date=DAY, ml=250)
    replica.sync()
    replica.sync()
    assert "water_entries" not in replica.rows()

    replica.upgrade(
        schema=schema.replace("version: 1", "version: 2"),
        migrations=printed("db/migrations.ts, when version 2 added water"),
    )
    replica.create("food_entries", **SOUP)
    replica.sync()
    rows = assert_all_equal(rest, replica)
    assert (len(rows["water_entries"]), len(rows["food_entries"])) == (1, 2)
    # The library says that it skips what an old app does not know.
    assert all("does not exist" in told for told in replicas.complaints)
    replicas.complaints.clear()


class History:
    """Random doings of replicas and of REST on one device, from a seed."""

    def __init__(self, seed: int, rest: Phone, replicas: list[Replica]) -> None:
        self.random = random.Random(seed)
        self.rest = rest
        self.replicas = replicas
        self.log: list[str] = []

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
                    "kcal_100g": number(0, 900),
                    "fat_100g": self.random.choice([None, number(0, 4000) / 100]),
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
        entry = {"product_id": None, "portion_id": None, "quantity": None, "grams": None}
        entry |= what | {"name": f"Meal {number(1, 99)}", "kcal": number(0, 90_000) / 100}
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
        id = self.live(rows, table)
        chance = self.random.random()
        if id is None or chance < 0.45:
            values = self.values(table, rows)
            if table == "portions" and values["product_id"] is None:
                return
            self.log.append(f"{replica.name} creates in {table}: {values}")
            replica.create(table, self.new_id(), **values)
        elif chance < 0.8:
            values = self.values(table, rows)
            if table == "portions":
                del values["product_id"]
            elif table != "food_entries":
                name = self.random.choice(sorted(values))
                values = {name: values[name]}
            self.log.append(f"{replica.name} updates {table} {id}: {values}")
            replica.update(table, id, **values)
        elif table == "products" and chance < 0.9:
            self.log.append(f"{replica.name} removes product {id}")
            replica.call("products", id, "remove")
        else:
            self.log.append(f"{replica.name} deletes {table} {id}")
            replica.delete(table, id)

    def write_by_rest(self) -> None:
        """Create, change or delete a row over REST; what REST refuses is no matter."""
        rows = server_rows(self.rest)
        table = self.random.choice(TABLES)
        path = f"/v1/{table.replace('_', '-')}"
        id = self.live(rows, table)
        chance = self.random.random()
        values = {k: v for k, v in self.values(table, rows).items() if v is not None}
        if table == "portions":
            product = values.pop("product_id", None)
            if product is None:
                return
        if id is None or chance < 0.45:
            owner = f"/v1/products/{product}" if table == "portions" else "/v1"
            answer = self.rest.post(f"{owner}/{table.replace('_', '-')}", values)
        elif chance < 0.8:
            answer = self.rest.patch(f"{path}/{id}", values)
        else:
            answer = self.rest.delete(f"{path}/{id}")
        self.log.append(f"REST {answer.status} {table} {id}: {values}")
        assert answer.status in (200, 201, 204, 404, 409, 422), answer

    def sync(self, replica: Replica) -> None:
        """Sync, now and then with an accident, or with a write of REST before the push."""
        accident = self.random.choice(["", "", "lost", "leaves", "REST"])
        self.log.append(f"{replica.name} syncs {accident}")
        if accident == "REST":
            if replica.tell("sync", push="waits") == "waiting":
                self.write_by_rest()
                synced = replica.go_on()
                self.settle(replica, synced)
            return
        synced = replica.try_sync(push=accident)
        if not accident:
            self.settle(replica, synced)

    def settle(self, replica: Replica, synced: Any) -> None:
        """Give up what was rejected, as an app does whose user can't put it right."""
        assert synced.error is None, synced
        if synced.rejected:
            self.log.append(f"{replica.name} gives up {synced.rejected}")
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


@pytest.mark.parametrize("seed", range(8))
def test_any_history_ends_with_all_replicas_equal_to_each_other_and_to_rest(
    seed: int, rest: Phone, install: Install
) -> None:
    history = History(seed, rest, [install() for _ in range(2 + seed % 2)])
    history.unfold(120)
    history.end()
    print("\n".join(history.log))
    assert_all_equal(rest, *history.replicas)
