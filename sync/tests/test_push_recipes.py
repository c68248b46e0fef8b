"""POST /v1/sync: recipes, which the server works out, whatever the phone wrote."""

from __future__ import annotations

import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sync.tests.replica import (
    created,
    deleted,
    entry,
    item,
    live,
    new_id,
    portion,
    product,
    pull,
    revision,
    rows_of,
    updated,
)
from sync.tests.replica import pushed as rejected
from tests.helpers.api import Api

pytestmark = pytest.mark.django_db(transaction=True)

Record = dict[str, Any]
NESTED = "A recipe can't be in a recipe"


@pytest.fixture(autouse=True)
def every_rule_holds(phone: Api) -> Any:
    """Whatever a push leaves out, what it leaves behind is whole."""
    yield
    out = StringIO()
    call_command("check_integrity", stdout=out)
    assert out.getvalue() == "Every rule holds.\n"


@pytest.fixture
def oil(phone: Api) -> Record:
    return phone.product(name="Oil", kcal_100g=800, fat_100g=90)


@pytest.fixture
def rice(phone: Api) -> Record:
    return phone.product(name="Rice", kcal_100g=130, fat_100g=0.3)


def pushed(phone: Api, changes: Any, after: int | None = None) -> None:
    """Push what is all taken."""
    assert rejected(phone, changes, after) == {}


def serving_id(of: Record) -> str:
    return str(uuid.uuid5(uuid.UUID(of["id"]), "serving"))


def dish(**values: Any) -> Record:
    """Return a record of a recipe; its nutrients are what the phone believes."""
    return product(**{"name": "Dish", "servings": 2, "kcal_100g": 1} | values)


def read(phone: Api, of: Record) -> Record:
    found: Record = phone.get(f"/v1/products/{of['id']}?include=portions,recipe").json()
    return found


def record_of(phone: Api, row: Record, **values: Any) -> Record:
    """Return what a phone sends of a product that it pulled."""
    return live(phone)["products"][row["id"]] | values


@pytest.fixture
def cooked(phone: Api, oil: Record, rice: Record) -> Record:
    """Fried rice, 300 g and 100 g, cooked to 400 g."""
    made = dish(cooked_grams=400)
    items = [item(made, rice, grams=300), item(made, oil, grams=100, position=1)]
    pushed(phone, created(products=[made], recipe_items=items))
    return made | {"items": items}


def test_it_works(phone: Api, oil: Record, rice: Record) -> None:
    made = dish(salt_100g=9, cooked_grams=350)
    items = [item(made, rice, grams=300), item(made, oil, grams=50, position=1)]
    after = revision(phone)
    eaten = entry(made, portion_id=serving_id(made), quantity=1, grams=1, kcal=1)
    pushed(phone, created(products=[made], recipe_items=items, food_entries=[eaten]), after)
    answer = pull(phone, after)
    worked_out = rows_of(answer, "products")[made["id"]]
    # (300 * 130 + 50 * 800) / 350 = 225.71; fat (300 * 0.3 + 50 * 90) / 350 = 13.11.
    assert (worked_out["kcal_100g"], worked_out["fat_100g"], worked_out["salt_100g"]) == (
        226,
        13.11,
        None,
    )
    portions = rows_of(answer, "portions")
    assert portions[serving_id(made)] == {
        "id": serving_id(made),
        "product_id": made["id"],
        "name": "serving",
        "grams": 175,
        "is_default": True,
    }
    assert sorted(row["name"] for row in portions.values()) == ["100g", "serving"]
    logged = rows_of(answer, "food_entries")[eaten["id"]]
    assert (logged["grams"], logged["kcal"]) == (175, 395.5)
    assert phone.get(f"/v1/products/{made['id']}/recipe").json()["servings"] == 2


def test_a_repeated_push_changes_nothing(phone: Api, oil: Record, rice: Record) -> None:
    made = dish()
    hundred = portion(made, name="100g", grams=100)
    items = [item(made, rice, grams=300), item(made, oil, grams=50)]
    sent = created(products=[made], portions=[hundred], recipe_items=items)
    after = revision(phone)
    pushed(phone, sent, after)
    before = pull(phone, 0)
    assert read(phone, made)["portions"][0]["id"] == serving_id(made)
    pushed(phone, sent, after)
    assert pull(phone, 0)["changes"] == before["changes"]


def test_edits_of_two_phones_meet_item_by_item(phone: Api, cooked: Record) -> None:
    first, second = cooked["items"]
    after = revision(phone)
    pushed(phone, updated(recipe_items=[first | {"grams": 200}]), after)
    # The other phone has not pulled that, and has worked its recipe out from what it has.
    theirs = record_of(phone, cooked, kcal_100g=298, cooked_grams=400)
    pushed(phone, updated(products=[theirs], recipe_items=[second | {"grams": 50}]), after)
    # (200 * 130 + 50 * 800) / 400 = 165.
    assert read(phone, cooked)["kcal_100g"] == 165
    assert [row["grams"] for row in read(phone, cooked)["recipe"]] == [200, 50]


def test_an_ingredients_change_reaches_recipes(phone: Api, cooked: Record, oil: Record) -> None:
    after = revision(phone)
    pushed(phone, updated(products=[record_of(phone, oil, kcal_100g=900)]), after)
    assert rows_of(pull(phone, after), "products")[cooked["id"]]["kcal_100g"] == 323
    assert read(phone, cooked)["updated_at"] is not None


def test_an_ingredient_that_would_break_a_recipe_is_left_out(
    phone: Api, cooked: Record, oil: Record
) -> None:
    pushed(phone, updated(products=[record_of(phone, cooked, cooked_grams=120)]))
    before = read(phone, cooked)
    sent = updated(products=[record_of(phone, oil, kcal_100g=820, name="Butter")])
    corn = product(name="Corn")
    sent["products"]["created"] = [corn]
    sentence = 'The recipe "Dish" would have more than 1000 kcal in 100 g'
    assert rejected(phone, sent) == {"products": {oil["id"]: sentence}}
    assert (read(phone, oil)["name"], read(phone, cooked)) == ("Oil", before)
    assert read(phone, corn)["name"] == "Corn"


def test_a_recipe_that_breaks_a_rule_is_left_out_as_a_whole(phone: Api, oil: Record) -> None:
    made = dish(cooked_grams=70)
    items = [item(made, oil, grams=100)]
    why = rejected(phone, created(products=[made], recipe_items=items))
    sentence = 'The recipe "Dish" would have more than 1000 kcal in 100 g'
    assert why == {"recipe_items": {items[0]["id"]: sentence}}
    assert (read(phone, made)["recipe"], read(phone, made)["kcal_100g"]) == (None, 1)
    # Once the weight is put right, the phone sends the item again.
    fixed = record_of(phone, made, cooked_grams=100)
    sent = updated(products=[fixed]) | created(recipe_items=items)
    pushed(phone, sent)
    assert read(phone, made)["kcal_100g"] == 800


def test_no_half_of_a_change_is_applied(phone: Api, cooked: Record) -> None:
    first, second = cooked["items"]
    before = read(phone, cooked)
    sent = deleted(recipe_items=[first["id"]])
    sent["recipe_items"]["updated"] = [second | {"grams": 99}]
    sent |= updated(products=[record_of(phone, cooked, cooked_grams=50, name="Rice, fried")])
    why = rejected(phone, sent)
    assert why["recipe_items"].keys() == {first["id"], second["id"]}
    assert why["products"].keys() == {cooked["id"]}
    assert read(phone, cooked) == before


def test_a_change_of_both_is_judged_as_a_whole(phone: Api, cooked: Record, oil: Record) -> None:
    pushed(phone, updated(products=[record_of(phone, cooked, cooked_grams=130)]))
    records = [
        record_of(phone, oil, kcal_100g=1000),
        record_of(phone, cooked, cooked_grams=150),
    ]
    pushed(phone, updated(products=records))
    # (300 * 130 + 100 * 1000) / 150 = 926.67.
    assert read(phone, cooked)["kcal_100g"] == 927


def test_recipes_do_not_nest(phone: Api, cooked: Record, rice: Record) -> None:
    menu = dish(name="Menu")
    itself, of_dish = item(menu, menu), item(menu, cooked)
    of_rice = item(rice, menu)
    sent = created(products=[menu], recipe_items=[itself, of_dish, of_rice])
    assert rejected(phone, sent)["recipe_items"] == {
        itself["id"]: NESTED,
        of_dish["id"]: NESTED,
        of_rice["id"]: "This product is in a recipe",
    }
    # Two that are new: the first one counts.
    one, two = dish(name="One"), dish(name="Two")
    items = [item(one, two), item(two, rice)]
    sent = created(products=[one, two], recipe_items=items)
    why = rejected(phone, sent)
    assert why == {"recipe_items": {items[1]["id"]: "This product is in a recipe"}}
    assert rejected(phone, sent) == why


def test_an_item_of_what_is_not_there_is_left_out(phone: Api, rice: Record, cooked: Record) -> None:
    made, gone = dish(), phone.product(name="Gone")
    phone.delete(f"/v1/products/{gone['id']}")
    unknown = {"id": new_id()}
    items = [
        item(made, unknown),
        item(unknown, rice),
        item(gone, rice),
        item(made, rice, portion_id=new_id(), quantity=2, grams=None),
        item(made, rice, portion_id=new_id(), quantity=2, grams=40),
        # As entries do, it may name what was deleted meanwhile.
        item(made, gone, grams=60),
    ]
    why = rejected(phone, created(products=[made], recipe_items=items))["recipe_items"]
    assert why == {
        items[0]["id"]: "Product not found",
        items[1]["id"]: "Product not found",
        items[2]["id"]: "Product not found",
        items[3]["id"]: "Portion not found",
    }
    # (40 * 130 + 60 * 165) / 100 = 151.
    assert read(phone, made)["kcal_100g"] == 151
    assert [row["portion_id"] for row in read(phone, made)["recipe"]] == [None, None]
    moved = rejected(phone, updated(recipe_items=[items[4] | {"product_id": cooked["id"]}]))
    assert moved == {"recipe_items": {items[4]["id"]: "An item stays with its recipe"}}


def test_a_push_may_delete_a_product_that_its_items_name(phone: Api, rice: Record) -> None:
    made, fresh = dish(), product()
    items = [item(made, rice), item(made, fresh)]
    sent = created(products=[made], recipe_items=items)
    sent["products"]["deleted"] = [rice["id"], fresh["id"]]
    assert rejected(phone, sent) == {"recipe_items": {items[1]["id"]: "Product not found"}}
    assert read(phone, made)["kcal_100g"] == 130
    pushed(phone, deleted(products=[made["id"]]))
    assert live(phone)["recipe_items"] == {}


def test_what_the_phone_wrote_of_a_recipes_values_does_not_count(phone: Api, rice: Record) -> None:
    wild = {"kcal_100g": 9999, "fat_100g": "much", "salt_100g": -1}
    made = dish(**wild)
    pushed(phone, created(products=[made], recipe_items=[item(made, rice)]))
    assert read(phone, made)["kcal_100g"] == 130
    after = revision(phone)
    pushed(phone, updated(products=[record_of(phone, made, **wild)]), after)
    # It comes back with the next pull.
    assert rows_of(pull(phone, after), "products")[made["id"]]["kcal_100g"] == 130
    serving = {"id": serving_id(made), "product_id": made["id"], "name": "bowl", "grams": 3}
    pushed(phone, updated(portions=[serving | {"is_default": True}]))
    kept = live(phone)["portions"][serving_id(made)]
    assert (kept["name"], kept["grams"]) == ("bowl", 50)
    none = dish(**wild)
    items = [item(none, {"id": new_id()})]
    why = rejected(phone, created(products=[none], recipe_items=items))
    assert why["products"][none["id"]].startswith("kcal_100g:")
    assert why["recipe_items"] == {items[0]["id"]: "Product not found"}


def test_what_needs_a_product_that_is_left_out_is_left_out_too(phone: Api, rice: Record) -> None:
    none, other = dish(kcal_100g=9999), dish(name="Other")
    items = [item(none, {"id": new_id()}), item(other, none), item(other, rice)]
    cup = portion(none)
    sent = created(products=[none, other], portions=[cup], recipe_items=items)
    why = rejected(phone, sent)
    assert why["products"].keys() == {none["id"]}
    assert why["portions"] == {cup["id"]: "Product not found"}
    assert why["recipe_items"].keys() == {items[0]["id"], items[1]["id"]}
    assert read(phone, other)["kcal_100g"] == 130


def test_without_items_or_servings_a_product_keeps_its_values(phone: Api, cooked: Record) -> None:
    before = read(phone, cooked)["kcal_100g"]
    keys = [row["id"] for row in cooked["items"]]
    pushed(phone, deleted(recipe_items=keys))
    assert read(phone, cooked)["kcal_100g"] == before
    assert phone.get(f"/v1/products/{cooked['id']}/recipe").status_code == 404
    pushed(phone, updated(products=[record_of(phone, cooked, kcal_100g=77)]))
    assert read(phone, cooked)["kcal_100g"] == 77


def test_what_depends_on_each_other_too_much_is_left_out(
    phone: Api, cooked: Record, rice: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("products.sync.MAX_PASSES", 0)
    before, fresh = read(phone, cooked), dish(name="Fresh")
    first, second = cooked["items"]
    sent = deleted(recipe_items=[first["id"]])
    new = item(fresh, rice)
    sent["recipe_items"] |= {"created": [new], "updated": [second | {"grams": 99}]}
    sent["products"] = {
        "created": [fresh],
        "updated": [record_of(phone, rice, kcal_100g=1)],
        "deleted": [],
    }
    why = rejected(phone, sent)
    assert why["recipe_items"].keys() == {first["id"], second["id"], new["id"]}
    assert why["products"].keys() == {rice["id"]}
    assert read(phone, cooked) == before


def test_a_hundred_items_are_the_most(phone: Api, rice: Record) -> None:
    made = dish()
    items = [item(made, rice, grams=1, position=n) for n in range(101)]
    why = rejected(phone, created(products=[made], recipe_items=items))
    assert why == {"recipe_items": {items[100]["id"]: "A recipe has at most 100 items"}}
    assert len(read(phone, made)["recipe"]) == 100


def test_a_large_push_takes_as_many_queries_as_a_small_one(phone: Api, rice: Record) -> None:
    def size(recipes: int, items: int) -> int:
        dishes = [dish(name=f"Dish {n}") for n in range(recipes)]
        listed = [item(of, rice, grams=n + 1) for of in dishes for n in range(items)]
        sent = created(products=dishes, recipe_items=listed)
        sent |= {"products": sent["products"] | {"updated": [record_of(phone, rice, kcal_100g=99)]}}
        with CaptureQueriesContext(connection) as queries:
            pushed(phone, sent)
        return len(queries)

    assert size(50, 100) == size(1, 2)
    # For the plans of what looks at all rows afterwards.
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
