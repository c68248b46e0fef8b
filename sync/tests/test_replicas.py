"""The TypeScript package with WatermelonDB itself, against a live server."""

from __future__ import annotations

import subprocess
from random import Random
from typing import Any
from uuid import UUID, uuid5

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from attacks.client import Phone
from goals.serializers import METRICS
from products.nutrients import OPTIONAL
from sync.tests import dirty
from sync.tests.replicas import PAGE, TABLES, Replica, Replicas, Synced
from sync.tests.server import assert_all_equal, post, server_rows
from tests.helpers.processes import MANAGE, ROOT, Run, environment, query

pytestmark = pytest.mark.long

DAY = "2025-02-05"
RICE: dict[str, Any] = {"name": "Rice", "unit": "g", "kcal_100g": 130, "protein_100g": 2.7}
SOUP: dict[str, Any] = {
    "date": DAY,
    "meal_type": "lunch",
    "name": "Soup",
    "unit": "g",
    "kcal": 250,
}
LUNCH = {"date": DAY, "mealType": "lunch"}


def manage(server: Run, *arguments: str) -> None:
    subprocess.run(
        [*MANAGE, *arguments],
        cwd=ROOT,
        env=environment(server.data_dir),
        check=True,
        capture_output=True,
    )


def test_a_first_sync_brings_everything_live(rest: Phone, one: Replica) -> None:
    rice = post(rest, "/v1/products", **RICE)
    post(rest, f"/v1/products/{rice['id']}/portions", name="1 bowl", grams=180, is_default=True)
    post(rest, "/v1/food-entries", product_id=rice["id"], grams=150, date=DAY, meal_type="lunch")
    post(rest, "/v1/food-entries", **SOUP, eaten_at="2025-02-05T12:30:00Z")
    post(rest, "/v1/goals/calculated", **METRICS)
    post(rest, "/v1/body-weights", date=DAY, weight_kg=80.55)
    post(rest, "/v1/water-entries", date=DAY, ml=250)
    gone = post(rest, "/v1/food-entries", **SOUP)
    assert rest.delete(f"/v1/food-entries/{gone['id']}").status == 204

    assert one.sync().pushes == []
    rows = assert_all_equal(rest, one)
    assert [len(rows[table]) for table in TABLES] == [1, 2, 0, 2, 1, 1, 1]


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
    by_portion = one.call("portions", bowl, "log", 1.5, LUNCH | {"eatenAt": "2025-02-05T12:30:00Z"})
    offline = one.rows()["food_entries"]
    one.sync()
    rows = assert_all_equal(rest, one)
    assert rows["food_entries"] == offline
    assert rows["food_entries"][by_grams]["kcal"] == 195
    assert rows["food_entries"][by_portion]["grams"] == 270


def test_a_drink_is_logged_in_its_unit_which_stays(rest: Phone, one: Replica, two: Replica) -> None:
    juice = one.create("products", **RICE | {"unit": "ml", "brand": "Farm"})
    eaten = one.call("products", juice, "log", 150, LUNCH)
    assert one.rows()["food_entries"][eaten]["unit"] == "ml"
    one.sync()
    two.sync()
    two.update("products", juice, unit="g")
    two.sync()
    one.sync()
    rows = assert_all_equal(rest, one, two)
    assert [rows["products"][juice]["unit"], rows["food_entries"][eaten]["unit"]] == ["ml"] * 2
    assert [portion["name"] for portion in rows["portions"].values()] == ["100ml"]


def test_a_third_of_a_portion_and_a_hundred_thirds_of_a_gram_are_the_same_on_both_sides(
    rest: Phone, one: Replica
) -> None:
    rice = one.create("products", **RICE, fat_100g=1.05, carbs_100g=28.17)
    bowl = one.create("portions", product_id=rice, name="1 bowl", grams=180, is_default=True)
    by_portion = one.call("portions", bowl, "log", 1 / 3, LUNCH)
    by_grams = one.call("products", rice, "log", 100 / 3, LUNCH)
    offline = one.rows()["food_entries"]
    one.sync()
    entries = assert_all_equal(rest, one)["food_entries"]
    assert entries == offline
    assert (entries[by_portion]["quantity"], entries[by_portion]["grams"]) == (0.33, 59.4)
    assert (entries[by_portion]["kcal"], entries[by_portion]["protein"]) == (77.22, 1.6)
    assert (entries[by_grams]["grams"], entries[by_grams]["kcal"]) == (33.33, 43.33)
    assert (entries[by_grams]["fat"], entries[by_grams]["carbs"]) == (0.35, 9.39)


def test_the_models_round_as_the_server_does(rest: Phone, one: Replica) -> None:
    chance = Random(13)  # noqa: S311 - the same amounts in every run
    # Halves of a cent too: 0.05 x 10.3 / 100, of which doubles fall short.
    amounts = [chance.randrange(1, 1_000_000) / 100 for _ in range(150)]
    amounts += [chance.randrange(1, 100_000) / 10 for _ in range(150)]
    for _ in range(3):
        nutrients: Any = {f"{name}_100g": chance.randrange(0, 3500) / 100 for name in OPTIONAL}
        food = one.create("products", **RICE | nutrients | {"kcal_100g": chance.randrange(1000)})
        portion = one.create(
            "portions",
            product_id=food,
            name="1",
            grams=chance.randrange(1, 500_000) / 100,
            is_default=True,
        )
        for amount in amounts[::3]:
            one.call("products", food, "log", amount, LUNCH)
        for quantity in (0.05, 0.33, 1.005, 1.5, 1 / 3, 0.995):
            one.call("portions", portion, "log", quantity, LUNCH)
    offline = one.rows()["food_entries"]
    one.sync()
    assert assert_all_equal(rest, one)["food_entries"] == offline


def test_what_is_in_a_table_that_the_server_does_not_know_blocks_nothing(
    rest: Phone, replicas: Replicas
) -> None:
    replica = replicas.install(rest, more={"moods": [{"name": "mood", "type": "string"}]})
    soup = replica.create("food_entries", **SOUP)
    replica.sync()
    mood = replica.create("moods", mood="content")
    replica.update("food_entries", soup, kcal=300)
    synced = replica.try_sync()
    assert synced.rejected == {"moods": {mood: "No table of this name is synced"}}
    assert server_rows(rest)["food_entries"][soup]["kcal"] == 300
    assert replica.unsynced() == {"moods": [mood]}


def test_a_deletion_by_an_id_in_upper_case_is_not_forgotten(rest: Phone, one: Replica) -> None:
    loud = "0B7A1F3E-5A57-4C5E-9F4B-0D7B8E1C2A3F"
    post(rest, "/v1/food-entries", **SOUP, id=loud)
    one.create("food_entries", loud, **SOUP)
    assert list(one.try_sync().rejected["food_entries"]) == [loud]
    one.update("food_entries", loud, kcal=300)
    one.tell("mark_as_synced", table="food_entries", id=loud)
    one.delete("food_entries", loud)
    assert list(one.try_sync().rejected["food_entries"]) == [loud]
    assert one.unsynced() == {"food_entries": [loud]}


def test_a_recipe_made_offline_is_worked_out_and_its_serving_logged(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    dish = one.create("products", name="Dish", unit="g", kcal_100g=1, servings=2)
    in_dish: dict[str, Any] = {"product_id": dish, "ingredient_id": rice, "position": 0}
    first = one.create("recipe_items", **in_dish, grams=100)
    second = one.create("recipe_items", **in_dish, grams=200)
    one.sync()
    two.sync()
    serving = str(uuid5(UUID(dish), "serving"))
    assert two.rows()["portions"][serving]["grams"] == 150
    two.call("portions", serving, "log", 1, LUNCH)
    two.sync()
    one.sync()
    # Both phones change it offline, each another item.
    one.update("recipe_items", first, grams=50)
    two.update("recipe_items", second, grams=350)
    two.update("products", dish, cooked_grams=200)
    for replica in (one, two, one, two):
        replica.sync()
    rows = assert_all_equal(rest, one, two)
    # 400 g of 130 kcal in 100 g, cooked down to 200 g.
    assert rows["products"][dish]["kcal_100g"] == 260
    assert rows["portions"][serving]["grams"] == 100
    [entry] = rows["food_entries"].values()
    assert (entry["grams"], entry["kcal"]) == (150, 195)
    one.call("products", dish, "remove")
    one.sync()
    two.sync()
    assert assert_all_equal(rest, one, two)["recipe_items"] == {}


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
    assert (
        rows["food_entries"][soup] | {"kcal": 300, "meal_type": "dinner"}
        == (rows["food_entries"][soup])
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
    assert (
        rows["products"][rice] | {"name": "Brown rice", "kcal_100g": 120}
        == (rows["products"][rice])
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
    assert (lost.pushes, lost.error and lost.error["kind"]) == ([200], "no-answer")
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


@pytest.mark.parametrize("push", ["", "lost"])
def test_what_the_server_works_out_comes_back_where_the_phone_wrote_something_else(
    rest: Phone, one: Replica, push: str
) -> None:
    rice = one.create("products", **RICE)
    bowl = one.create("portions", product_id=rice, name="1 bowl", grams=180, is_default=True)
    by_grams = one.call("products", rice, "log", 150, LUNCH)
    by_portion = one.call("portions", bowl, "log", 1, LUNCH)
    one.sync()
    one.update("food_entries", by_grams, grams=200, kcal=1, name="Something else", fat=99)
    one.update("food_entries", by_portion, quantity=2, grams=1, kcal=1)
    one.try_sync(push=push)
    one.sync()
    entries = assert_all_equal(rest, one)["food_entries"]
    assert [entries[entry]["kcal"] for entry in (by_grams, by_portion)] == [260, 468]


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
    assert [len(rows[table]) for table in TABLES] == [0, 0, 0, 0, 0, 0, 1]


def test_a_restored_backup_replaces_what_was_synced_since(
    server: Run, rest: Phone, replicas: Replicas, one: Replica
) -> None:
    one.create("products", **RICE)
    one.sync()
    [(revision, purged)] = query(
        server.data_dir,
        f"SELECT revision, purged_revision FROM devices WHERE id = '{rest.device_id}'",
    )
    one.create("food_entries", **SOUP)
    one.sync()
    one.create("water_entries", date=DAY, ml=250)
    # As if a backup from before the soup had been restored.
    query(
        server.data_dir,
        f"""
        UPDATE food_entries SET deleted_at = now() WHERE device_id = '{rest.device_id}';
        DELETE FROM food_entries WHERE device_id = '{rest.device_id}';
        UPDATE devices SET revision = {revision}, purged_revision = {purged}
        WHERE id = '{rest.device_id}'
        """,
    )

    assert one.sync().strategies[0] == "replacement"
    rows = assert_all_equal(rest, one)
    assert [len(rows[table]) for table in TABLES] == [1, 1, 0, 0, 0, 0, 1]
    # The library notices, too.
    assert all("previous pulled-at time was greater" in told for told in replicas.complaints)
    replicas.complaints.clear()


def test_a_reinstalled_app_gets_everything_again(
    rest: Phone, replicas: Replicas, one: Replica
) -> None:
    rice = one.create("products", **RICE)
    one.call("products", rice, "log", 150, LUNCH)
    one.sync()
    again = replicas.install(rest)
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
    assert synced.rejected["products"][bad] in PAGE.read_text()
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


def test_the_default_portion_deleted_or_the_last_is_put_right(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    bowl = one.create("portions", product_id=rice, name="1 bowl", grams=180, is_default=True)
    one.create("portions", product_id=rice, name="1 cup", grams=150, is_default=False)
    one.sync()
    two.sync()
    one.delete("portions", bowl)
    one.sync()
    [cup] = assert_all_equal(rest, one)["portions"]
    two.delete("portions", cup)
    two.sync()
    one.sync()
    portions = assert_all_equal(rest, one, two)["portions"].values()
    assert [portion["is_default"] for portion in portions] == [True]


def test_a_sync_that_is_asked_for_while_another_runs_is_that_one(rest: Phone, one: Replica) -> None:
    one.create("products", **RICE)
    synced = Synced(**one.tell("sync", times=3))
    assert [sent["method"] for sent in synced.requests] == ["GET", "POST", "GET"]
    assert_all_equal(rest, one)


def test_nothing_new_is_one_request(one: Replica) -> None:
    one.sync()
    assert [sent["method"] for sent in one.sync().requests] == ["GET"]


def test_a_wrong_token_is_401_and_loses_nothing(rest: Phone, one: Replica) -> None:
    one.create("products", **RICE)
    one.tell("set_token", token="wrong", device=rest.device_id)
    synced = one.try_sync()
    assert synced.error
    assert synced.error["kind"] == "signed-out"
    one.go_on_as(rest)
    one.sync()
    assert len(assert_all_equal(rest, one)["products"]) == 1


def test_a_new_table_comes_with_all_its_rows_after_a_migration(
    rest: Phone, replicas: Replicas
) -> None:
    replica = replicas.install(rest, without=["water_entries"])
    replica.create("food_entries", **SOUP)
    post(rest, "/v1/water-entries", date=DAY, ml=250)
    replica.sync()
    replica.sync()
    assert "water_entries" not in replica.rows()

    replica.upgrade(version=2, added=["water_entries"])
    replica.create("food_entries", **SOUP)
    replica.sync()
    rows = assert_all_equal(rest, replica)
    assert (len(rows["water_entries"]), len(rows["food_entries"])) == (1, 2)
    # The library says that it skips what an old app does not know.
    assert all("does not exist" in told for told in replicas.complaints)
    replicas.complaints.clear()


@settings(
    max_examples=25,
    deadline=None,
    database=None,
    # A history is short enough to read as it was drawn.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_after_two_syncs_both_sides_are_equal_to_the_letter(
    server: Run, node_process: Replicas, data: st.DataObject
) -> None:
    node_process.complaints.clear()
    rest = Phone(server.port).register()
    one = node_process.install(rest)
    rows = data.draw(dirty.worlds())
    for table, records in rows.items():
        for record in records:
            one.create(table, **record)
    one.sync()
    assert one.sync().pushes == []
    kept = assert_all_equal(rest, one)
    # Once more, over rows that are there: much of it equals what is stored.
    again = data.draw(dirty.edits(kept))
    for table, row_id, values in again:
        one.update(table, row_id, **values)
    one.sync()
    assert one.sync().pushes == []
    assert_all_equal(rest, one)
    assert node_process.complaints == []
