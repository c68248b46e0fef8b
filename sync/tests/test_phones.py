"""WatermelonDB on several phones of one device, with the TypeScript package."""

from __future__ import annotations

from typing import Any

import pytest

from attacks.client import Phone
from goals.serializers import BY_HAND, METRICS
from sync.tests.histories import History
from sync.tests.phones import join, sign_out
from sync.tests.replicas import TABLES, Replica, Replicas, Rows
from sync.tests.server import assert_all_equal, server_rows

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
TARGETS = {
    "dailyCaloriesKcal": 2000,
    "proteinPercent": 30,
    "carbsPercent": 40,
    "fatPercent": 30,
    "waterMl": 2000,
}


def settle(*replicas: Replica) -> None:
    """Have every phone sync twice: the second time it gets what the others pushed."""
    for _ in range(2):
        for replica in replicas:
            replica.sync()


def fill(replica: Replica) -> dict[str, str]:
    """Write a row of each table, sync, and return the ids by table."""
    rice = replica.create("products", **RICE)
    bowl = replica.create("portions", product_id=rice, name="1 bowl", grams=180, is_default=True)
    dish = replica.create("products", name="Dish", unit="g", kcal_100g=1, servings=2)
    in_dish: dict[str, Any] = {
        "product_id": dish,
        "ingredient_id": rice,
        "grams": 100,
        "position": 0,
    }
    ids = {
        "products": rice,
        "portions": bowl,
        "recipe_items": replica.create("recipe_items", **in_dish),
        "food_entries": replica.call("portions", bowl, "log", 2, LUNCH),
        "goals": replica.set_goal(TARGETS, goal_type="manual"),
        "body_weights": replica.create("body_weights", date=DAY, weight_kg=80.5),
        "water_entries": replica.create("water_entries", date=DAY, ml=250),
    }
    replica.sync()
    return ids


# Another value of a column of each table, by two phones.
EDITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "products": ({"name": "Brown rice"}, {"kcal_100g": 120}),
    "portions": ({"name": "1 cup"}, {"grams": 150}),
    "recipe_items": ({"grams": 50}, {"position": 3}),
    "food_entries": ({"quantity": 3}, {"meal_type": "dinner"}),
    "goals": ({"daily_calories_kcal": 2500}, {"water_ml": 3000}),
    "body_weights": ({"weight_kg": 79.5}, {"date": "2025-02-06"}),
    "water_entries": ({"ml": 500}, {"date": "2025-02-06"}),
}


# What two phones do offline.


def test_every_phone_has_all_rows(rest: Phone, one: Replica, two: Replica, three: Replica) -> None:
    fill(one)
    two.create("food_entries", **SOUP)
    three.create("water_entries", date=DAY, ml=500)
    settle(two, three, one)
    rows = assert_all_equal(rest, one, two, three)
    assert [len(rows[table]) for table in TABLES] == [2, 3, 1, 2, 1, 1, 2]


@pytest.mark.parametrize("first", ["one", "two"])
def test_edits_of_different_columns_meet_whoever_syncs_first(
    rest: Phone, one: Replica, two: Replica, first: str
) -> None:
    ids = fill(one)
    two.sync()
    for table, (by_one, by_two) in EDITS.items():
        one.update(table, ids[table], **by_one)
        two.update(table, ids[table], **by_two)
    settle(*((one, two) if first == "one" else (two, one)))
    rows = assert_all_equal(rest, one, two)
    for table, (by_one, by_two) in EDITS.items():
        assert rows[table][ids[table]].items() >= (by_one | by_two).items()


@pytest.mark.parametrize("first", ["one", "two"])
def test_of_one_column_the_later_push_wins(
    rest: Phone, one: Replica, two: Replica, first: str
) -> None:
    rice = one.create("products", **RICE)
    settle(one, two)
    one.update("products", rice, name="of one")
    two.update("products", rice, name="of two")
    settle(*((one, two) if first == "one" else (two, one)))
    name = assert_all_equal(rest, one, two)["products"][rice]["name"]
    assert name == ("of two" if first == "one" else "of one")


@pytest.mark.parametrize("first", ["deletion", "edit"])
@pytest.mark.parametrize("table", TABLES)
def test_what_one_deletes_stays_deleted_whatever_another_edits(
    rest: Phone, one: Replica, two: Replica, table: str, first: str
) -> None:
    ids = fill(one)
    # A product keeps a portion.
    one.create("portions", product_id=ids["products"], name="1 cup", grams=150, is_default=False)
    settle(one, two)
    one.delete(table, ids[table])
    two.update(table, ids[table], **EDITS[table][0])
    settle(*((one, two) if first == "deletion" else (two, one)))
    assert ids[table] not in assert_all_equal(rest, one, two)[table]


def test_a_product_that_another_phone_logs_meanwhile_is_logged_although_deleted(
    rest: Phone, one: Replica, two: Replica
) -> None:
    rice = one.create("products", **RICE)
    settle(one, two)
    one.call("products", rice, "remove")
    eaten = two.call("products", rice, "log", 150, LUNCH)
    settle(one, two)
    rows = assert_all_equal(rest, one, two)
    assert rows["products"] == {}
    assert (rows["food_entries"][eaten]["product_id"], rows["food_entries"][eaten]["kcal"]) == (
        rice,
        195,
    )


# What one phone does while another syncs.


def test_what_another_phone_pushes_before_the_push_is_a_conflict_and_is_tried_again(
    rest: Phone, one: Replica, two: Replica
) -> None:
    ids = fill(one)
    two.sync()
    for table, (by_one, by_two) in EDITS.items():
        one.update(table, ids[table], **by_one)
        two.update(table, ids[table], **by_two)
    one.pull_and_wait()
    assert two.sync().pushes == [200]
    assert one.go_on().pushes == [409, 200]
    two.sync()
    rows = assert_all_equal(rest, one, two)
    for table, (by_one, by_two) in EDITS.items():
        assert rows[table][ids[table]].items() >= (by_one | by_two).items()


def test_what_another_phone_deletes_before_the_push_stays_deleted(
    rest: Phone, one: Replica, two: Replica
) -> None:
    soup = one.create("food_entries", **SOUP)
    settle(one, two)
    one.update("food_entries", soup, kcal=300)
    two.delete("food_entries", soup)
    one.pull_and_wait()
    two.sync()
    assert one.go_on().pushes == [409]
    assert assert_all_equal(rest, one, two)["food_entries"] == {}


def test_a_deletion_of_what_another_phone_edits_before_the_push_is_tried_again(
    rest: Phone, one: Replica, two: Replica
) -> None:
    soup = one.create("food_entries", **SOUP)
    settle(one, two)
    one.delete("food_entries", soup)
    two.update("food_entries", soup, kcal=300)
    one.pull_and_wait()
    two.sync()
    assert one.go_on().pushes == [409, 200]
    two.sync()
    assert assert_all_equal(rest, one, two)["food_entries"] == {}


def test_a_push_whose_answer_is_lost_does_not_undo_what_another_phone_did_since(
    rest: Phone, one: Replica, two: Replica
) -> None:
    soup = one.create("food_entries", **SOUP)
    settle(one, two)
    one.update("food_entries", soup, kcal=300)
    assert one.try_sync(push="lost").pushes == [200]
    two.sync()
    two.update("food_entries", soup, name="Stew", meal_type="dinner")
    two.sync()
    settle(one, two)
    row = assert_all_equal(rest, one, two)["food_entries"][soup]
    assert (row["name"], row["meal_type"], row["kcal"]) == ("Stew", "dinner", 300)


def test_a_phone_that_is_signed_out_in_the_middle_of_a_sync_gets_401_and_nothing_is_applied(
    rest: Phone, one: Replica, two: Replica
) -> None:
    fill(one)
    two.sync()
    before = server_rows(rest)
    soup = two.create("food_entries", **SOUP)
    two.pull_and_wait()
    sign_out(two.phone, by=rest)
    stopped = two.go_on()
    assert stopped.error
    assert (stopped.error["kind"], stopped.pushes) == ("signed-out", [401])
    assert server_rows(rest) == before
    assert two.unsynced() == {"food_entries": [soup]}


def test_a_phone_that_was_signed_out_joins_again_and_loses_nothing(
    rest: Phone, one: Replica, two: Replica
) -> None:
    ids = fill(one)
    two.sync()
    two.update("products", ids["products"], name="Brown rice")
    two.delete("water_entries", ids["water_entries"])
    soup = two.create("food_entries", **SOUP)
    sign_out(two.phone, by=rest)
    assert two.try_sync().pushes == []
    one.update("products", ids["products"], kcal_100g=120)
    one.sync()
    two.go_on_as(join(rest))
    settle(two, one)
    rows = assert_all_equal(rest, one, two)
    row = rows["products"][ids["products"]]
    assert (row["name"], row["kcal_100g"]) == ("Brown rice", 120)
    assert rows["water_entries"] == {}
    assert soup in rows["food_entries"]


# Goals.


def test_the_page_sets_a_goal_by_hand_as_the_server_keeps_it(rest: Phone, one: Replica) -> None:
    aim = one.set_goal(TARGETS, goal_type="manual")
    offline = one.rows()["goals"]
    one.sync()
    rows = assert_all_equal(rest, one)["goals"]
    assert rows == offline
    assert rows[aim].items() >= BY_HAND.items()
    one.aim(aim, dailyCaloriesKcal=2222, proteinPercent=20, carbsPercent=50)
    offline = one.rows()["goals"]
    one.sync()
    assert assert_all_equal(rest, one)["goals"] == offline


def test_a_calculated_goal_comes_back_with_what_follows_from_it(rest: Phone, one: Replica) -> None:
    preview = rest.post("/v1/goals/calculate", METRICS).json()
    aim = one.set_goal(goal_type="calculated", **METRICS)
    assert one.rows()["goals"][aim]["daily_calories_kcal"] is None
    one.sync()
    row = assert_all_equal(rest, one)["goals"][aim]
    assert row == preview | METRICS | {"goal_type": "calculated"}


@pytest.mark.parametrize("push", ["", "lost"])
def test_a_calculated_goal_keeps_what_was_calculated_and_takes_new_targets(
    rest: Phone, one: Replica, push: str
) -> None:
    aim = one.set_goal(goal_type="calculated", **METRICS)
    one.try_sync(push=push)
    kept = server_rows(rest)["goals"][aim]
    one.aim(aim, waterMl=3000)
    one.sync()
    assert assert_all_equal(rest, one)["goals"][aim] == kept | {"water_ml": 3000}


def test_a_new_goal_removes_the_one_before_on_the_phone_at_once(one: Replica) -> None:
    one.set_goal(TARGETS, goal_type="manual")
    aim = one.set_goal(goal_type="calculated", **METRICS)
    assert list(one.rows()["goals"]) == [aim]
    one.sync()
    again = one.set_goal(TARGETS, goal_type="manual")
    assert list(one.rows()["goals"]) == [again]


@pytest.mark.parametrize("kinds", [("manual", "calculated"), ("calculated", "manual")])
def test_of_two_goals_that_were_set_offline_that_of_the_later_push_stays(
    rest: Phone, one: Replica, two: Replica, kinds: tuple[str, str]
) -> None:
    columns: dict[str, dict[str, Any]] = {"manual": BY_HAND, "calculated": METRICS}
    first, second = (
        replica.set_goal(goal_type=kind, **columns[kind])
        for replica, kind in zip((one, two), kinds, strict=True)
    )
    one.sync()
    two.sync()
    assert list(one.rows()["goals"]) == [first]
    one.sync()
    assert list(assert_all_equal(rest, one, two)["goals"]) == [second]


def test_a_goal_that_another_phone_replaced_takes_no_targets_any_more(
    rest: Phone, one: Replica, two: Replica
) -> None:
    aim = one.set_goal(TARGETS, goal_type="manual")
    settle(one, two)
    one.aim(aim, waterMl=1000)
    newer = two.set_goal(TARGETS, goal_type="manual")
    one.pull_and_wait()
    two.sync()
    assert one.go_on().pushes == [409]
    assert list(assert_all_equal(rest, one, two)["goals"]) == [newer]


def test_a_goal_that_both_phones_delete_is_deleted(rest: Phone, one: Replica, two: Replica) -> None:
    aim = one.set_goal(TARGETS, goal_type="manual")
    settle(one, two)
    one.delete("goals", aim)
    two.delete("goals", aim)
    settle(one, two)
    assert assert_all_equal(rest, one, two)["goals"] == {}


# Joining.


def test_a_phone_that_joins_in_the_middle_of_a_history_gets_all_of_it(
    rest: Phone, replicas: Replicas, one: Replica, two: Replica
) -> None:
    ids = fill(one)
    two.sync()
    two.delete("water_entries", ids["water_entries"])
    two.update("products", ids["products"], name="Brown rice")
    two.sync()
    one.create("food_entries", **SOUP)
    joined = replicas.install(join(rest))
    assert joined.sync().pushes == []
    assert_all_equal(rest, joined)
    joined.update("products", ids["products"], kcal_100g=120)
    settle(joined, one, two)
    rows = assert_all_equal(rest, one, two, joined)
    row = rows["products"][ids["products"]]
    assert (row["name"], row["kcal_100g"]) == ("Brown rice", 120)


def test_a_new_phone_gets_all_that_the_old_one_had_which_is_signed_out_then(
    rest: Phone, replicas: Replicas, one: Replica
) -> None:
    fill(one)
    phone = join(rest, move=True)
    late = one.create("food_entries", **SOUP)
    one.sync()
    new = replicas.install(phone)
    assert new.sync().pushes == []
    rows = assert_all_equal(phone, new)
    assert rows == one.rows()
    assert late in rows["food_entries"]

    one.create("water_entries", date=DAY, ml=500)
    refused = one.try_sync().error
    assert refused
    assert refused["kind"] == "signed-out"
    assert server_rows(phone) == rows


@pytest.fixture
def own(rest: Phone) -> Phone:
    """A phone that is a device of its own."""
    return Phone(rest.connection.port).register()


def without_single_rows(rows: Rows) -> Rows:
    """Return the rows of which there may be others: neither goals nor weights."""
    return {table: rows[table] for table in TABLES if table not in ("goals", "body_weights")}


def test_a_phone_takes_its_rows_along_under_their_ids(
    rest: Phone, own: Phone, replicas: Replicas, one: Replica
) -> None:
    fill(one)
    before = server_rows(rest)
    joining = replicas.install(own)
    fill(joining)
    brought = joining.rows()
    joining.join(join(rest))
    settle(joining, one)
    rows = assert_all_equal(rest, one, joining)
    for table, listed in without_single_rows(brought).items():
        assert rows[table] == before[table] | listed
    # Of these there is one, and the later push brought it.
    assert (rows["goals"], rows["body_weights"]) == (brought["goals"], brought["body_weights"])
    assert server_rows(own) == brought


def test_what_was_not_yet_pushed_comes_along_too(
    rest: Phone, own: Phone, replicas: Replicas, one: Replica
) -> None:
    joining = replicas.install(own)
    ids = fill(joining)
    joining.update("products", ids["products"], name="Brown rice")
    soup = joining.create("food_entries", **SOUP)
    joining.delete("water_entries", ids["water_entries"])
    joining.join(join(rest))
    settle(joining, one)
    rows = assert_all_equal(rest, one, joining)
    assert rows["products"][ids["products"]]["name"] == "Brown rice"
    assert soup in rows["food_entries"]
    assert rows["water_entries"] == {}


def test_of_rows_with_the_ids_of_the_device_those_of_the_device_stay(
    rest: Phone, own: Phone, replicas: Replicas, one: Replica
) -> None:
    ids = fill(one)
    joining = replicas.install(own)
    for table, rows in one.rows().items():
        for row_id, row in rows.items():
            joining.create(table, row_id, **row)
    joining.sync()
    for table, edit in EDITS.items():
        joining.update(table, ids[table], **edit[0])
    joining.sync()
    before = server_rows(own)
    one.sync()
    kept = server_rows(rest)
    # What was not pushed was meant for the old device.
    joining.update("products", ids["products"], name="White rice")
    joining.delete("water_entries", ids["water_entries"])
    joining.join(join(rest))
    settle(joining, one)
    assert assert_all_equal(rest, one, joining) == kept
    assert server_rows(own) == before


def test_what_the_device_has_deleted_under_the_id_of_a_row_is_rejected_and_can_be_discarded(
    rest: Phone, own: Phone, replicas: Replicas, one: Replica
) -> None:
    ids = fill(one)
    joining = replicas.install(own)
    for table, rows in one.rows().items():
        for row_id, row in rows.items():
            joining.create(table, row_id, **row)
    joining.sync()
    one.call("products", ids["products"], "remove")
    one.delete("food_entries", ids["food_entries"])
    one.sync()
    joining.join(join(rest))
    rejected = joining.try_sync().rejected
    assert {table: list(whys) for table, whys in rejected.items()} == {
        table: [ids[table]] for table in ("products", "portions", "food_entries")
    }
    joining.discard(rejected)
    joining.sync()
    assert_all_equal(rest, one, joining)


def test_joining_that_was_interrupted_can_be_repeated(
    rest: Phone, own: Phone, replicas: Replicas, one: Replica
) -> None:
    fill(one)
    joining = replicas.install(own)
    ids = fill(joining)
    phone = join(rest)
    # The app ends before it has stored the new token, and syncs once more with the old one.
    joining.join(own)
    joining.sync()
    assert_all_equal(own, joining)
    joining.join(phone)
    settle(joining, one)
    assert ids["products"] in assert_all_equal(rest, one, joining)["products"]


def test_an_entry_of_a_product_that_is_gone_comes_along_without_it(
    rest: Phone, own: Phone, replicas: Replicas, one: Replica
) -> None:
    joining = replicas.install(own)
    ids = fill(joining)
    joining.delete("recipe_items", ids["recipe_items"])
    joining.call("products", ids["products"], "remove")
    joining.sync()
    joining.join(join(rest))
    settle(joining, one)
    row = assert_all_equal(rest, one, joining)["food_entries"][ids["food_entries"]]
    assert (row["product_id"], row["name"], row["kcal"]) == (None, "Rice", 468)


def test_a_phone_whose_device_is_gone_takes_its_rows_to_a_new_one(
    rest: Phone, own: Phone, one: Replica
) -> None:
    fill(one)
    rows = one.rows()
    assert rest.delete("/v1/auth/device").status == 204
    refused = one.try_sync().error
    assert refused
    assert refused["kind"] == "signed-out"
    one.join(own)
    settle(one)
    assert assert_all_equal(own, one) == rows


# Whatever three phones do.


@pytest.mark.parametrize("seed", range(8))
def test_any_history_ends_with_all_phones_equal_to_each_other_and_to_rest(
    seed: int,
    rest: Phone,
    own: Phone,
    replicas: Replicas,
    one: Replica,
    two: Replica,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    history = History(seed, rest, [one, two])
    history.unfold(40)
    # The third was just installed, or was a device of its own.
    three = replicas.install(own)
    if seed % 2:
        alone = History(seed + 1000, own, [three])
        alone.unfold(30)
    three.join(join(rest))
    history.replicas.append(three)
    history.unfold(80)
    history.end()
    assert_all_equal(rest, one, two, three)
