"""POST /v1/sync: what comes in, and what the server makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from countonme.scope.models import device_scoped_models
from products.nutrients import COLUMNS_100G, NAMES, OPTIONAL
from sync.tests.replica import (
    Replica,
    calculated_goal,
    created,
    deleted,
    entry,
    goal,
    live,
    new_id,
    portion,
    product,
    pull,
    push,
    pushed,
    revision,
    rows_of,
    updated,
    water,
    weight,
)
from tests.helpers.api import Api

pytestmark = pytest.mark.django_db(transaction=True)


def everything() -> dict[str, Any]:
    """Return changes that create a record of each table."""
    rice = product(protein_100g=2.7, barcode="96385074")
    cup = portion(rice)
    return created(
        products=[rice],
        portions=[cup],
        food_entries=[entry(rice, portion_id=cup["id"], quantity=2)],
        goals=[goal()],
        body_weights=[weight()],
        water_entries=[water()],
    )


def defaults(phone: Api, of: dict[str, Any]) -> list[str]:
    """Return the names of a product's default portions."""
    portions = phone.get(f"/v1/products/{of['id']}/portions").json()
    return [row["name"] for row in portions if row["is_default"]]


def test_it_works(phone: Api) -> None:
    sent = everything()
    response = push(phone, revision(phone), sent)
    assert response.status_code == 200
    assert response.json() == {"experimentalRejectedIds": {}, "rejected": {}}
    rows = live(phone)
    for table, changes in sent.items():
        (record,) = changes["created"]
        assert record["id"] in rows[table]
    (rice,) = sent["products"]["created"]
    assert phone.get(f"/v1/products/{rice['id']}").json()["protein_100g"] == 2.7


def test_the_next_pull_brings_what_the_server_worked_out(phone: Api) -> None:
    sent = everything()
    after = revision(phone)
    pushed(phone, sent, after)
    (eaten,) = rows_of(pull(phone, after), "food_entries").values()
    assert (eaten["name"], eaten["grams"]) == ("Rice", 300)
    assert (eaten["kcal"], eaten["protein"], eaten["fat"]) == (390, 8.1, None)


def test_names_are_stored_as_over_rest_and_found_by_search_and_barcode(phone: Api) -> None:
    pushed(phone, created(products=[product(name="  Cre\u0300me ", barcode="96385074")]))
    (found,) = phone.get("/v1/products?search=creme").json()
    assert found["name"] == "Crème"
    assert phone.get("/v1/products?barcode=00000096385074").json() == [found]
    pushed(phone, updated(products=[found | {"name": "Crumble", "barcode": "4006381333931"}]))
    assert len(phone.get("/v1/products?search=crumb").json()) == 1
    assert len(phone.get("/v1/products?barcode=04006381333931").json()) == 1
    assert phone.get("/v1/products?search=creme").json() == []


def test_an_update_changes_the_row_and_when_it_was_updated(phone: Api) -> None:
    kept = phone.product()
    pushed(phone, updated(products=[kept | {"kcal_100g": 1}]))
    row = phone.get(f"/v1/products/{kept['id']}").json()
    assert (row["kcal_100g"], row["created_at"]) == (1, kept["created_at"])
    assert row["updated_at"] is not None


def test_columns_left_out_of_an_update_stay(phone: Api) -> None:
    known = {"brand": "Farm", "unit": "ml", "barcode": "96385074", **dict.fromkeys(COLUMNS_100G, 1)}
    kept = phone.product(**known)
    pushed(phone, updated(products=[{"id": kept["id"], "name": "Other"}]))
    row = phone.get(f"/v1/products/{kept['id']}").json()
    assert row == kept | {"name": "Other", "updated_at": row["updated_at"]}


def test_columns_left_out_of_an_entry_without_a_product_stay(phone: Api) -> None:
    kept = phone.entry(unit="ml", grams=100, **dict.fromkeys(NAMES, 1))
    pushed(phone, updated(food_entries=[{"id": kept["id"], "name": "Other", "kcal": 2}]))
    row = phone.get(f"/v1/food-entries/{kept['id']}").json()
    assert row == kept | {"name": "Other", "kcal": 2, "updated_at": row["updated_at"]}


def test_an_older_app_creates_rows_without_the_columns_that_it_does_not_know(phone: Api) -> None:
    older: dict[str, Any] = {"id": new_id(), "name": "Rice", "kcal_100g": 130}
    when = {"date": "2025-02-05", "meal_type": "lunch"}
    eaten: dict[str, Any] = {"id": new_id(), "name": "Soup", "kcal": 1, **when}
    assert pushed(phone, created(products=[older], food_entries=[eaten])) == {}
    rows = live(phone)
    unknown = {"brand": None, "unit": "g", **dict.fromkeys(f"{name}_100g" for name in OPTIONAL)}
    assert rows["products"][older["id"]].items() >= unknown.items()
    unknown = {"unit": "g", **dict.fromkeys(OPTIONAL)}
    assert rows["food_entries"][eaten["id"]].items() >= unknown.items()


def test_a_drink_without_a_portion_gets_100_ml(phone: Api) -> None:
    pushed(phone, created(products=[product(unit="ml")]))
    [first] = live(phone)["portions"].values()
    assert (first["name"], first["grams"], first["is_default"]) == ("100ml", 100, True)


def test_an_update_of_what_never_existed_creates_it(phone: Api) -> None:
    rice = product()
    assert pushed(phone, updated(products=[rice])) == {}
    assert rice["id"] in live(phone)["products"]


def test_a_created_record_whose_id_is_live_updates_it(phone: Api) -> None:
    kept = phone.product()
    assert pushed(phone, created(products=[product(id=kept["id"])])) == {}
    assert phone.get(f"/v1/products/{kept['id']}").json()["name"] == "Rice"


def test_a_deletion_is_soft_and_of_a_product_its_portions_go_with_it(phone: Api) -> None:
    gone = phone.product()
    eaten = phone.entry(product_id=gone["id"], grams=10)
    after = revision(phone)
    pushed(phone, deleted(products=[gone]))
    changes = pull(phone, after)["changes"]
    assert changes["products"]["deleted"] == [gone["id"]]
    assert len(changes["portions"]["deleted"]) == 1
    assert changes["food_entries"]["updated"] == []
    assert phone.get(f"/v1/food-entries/{eaten['id']}").status_code == 200


def test_deleting_what_is_not_there_is_no_error_and_changes_nothing(phone: Api, other: Api) -> None:
    theirs, gone = other.entry(), phone.entry()
    phone.delete(f"/v1/food-entries/{gone['id']}")
    after = revision(phone)
    ids = [theirs["id"], gone["id"], new_id()]
    assert pushed(phone, deleted(food_entries=ids)) == {}
    assert revision(phone) == after
    assert other.get(f"/v1/food-entries/{theirs['id']}").status_code == 200


def test_what_is_deleted_stays_deleted(phone: Api) -> None:
    replica, rice = Replica(phone), product()
    replica.pull()
    pushed(phone, created(products=[rice]), replica.after)
    replica.pull()
    pushed(phone, deleted(products=[rice]), replica.after)
    replica.pull()
    assert replica.rows == live(phone)
    assert live(phone)["products"] == {}


def test_a_record_twice_counts_as_it_came_last(phone: Api) -> None:
    rice = product()
    pushed(phone, created(products=[rice, rice | {"name": "Later"}]))
    assert live(phone)["products"][rice["id"]]["name"] == "Later"


def test_a_record_that_is_deleted_too_is_deleted(phone: Api) -> None:
    rice = product()
    changes = {"products": {"created": [rice], "updated": [], "deleted": [rice["id"]]}}
    assert pushed(phone, changes) == {}
    assert live(phone)["products"] == {}


def test_columns_that_are_none_are_ignored(phone: Api) -> None:
    rice = product(__proto__={"a": 1}, device_id=new_id(), revision=99, deleted_at="x")
    assert pushed(phone, created(products=[rice])) == {}
    assert rice["id"] in live(phone)["products"]


# Portions.


def test_a_product_without_a_portion_gets_the_first_one(phone: Api) -> None:
    rice = product()
    pushed(phone, created(products=[rice]))
    (first,) = phone.get(f"/v1/products/{rice['id']}/portions").json()
    assert (first["name"], first["grams"], first["is_default"]) == ("100g", 100, True)


def test_a_product_that_loses_its_last_portion_gets_the_first_one(phone: Api) -> None:
    kept = phone.product()
    (only,) = live(phone)["portions"].values()
    pushed(phone, deleted(portions=[only]))
    (first,) = phone.get(f"/v1/products/{kept['id']}/portions").json()
    assert first["id"] != only["id"]
    assert first["is_default"]


def test_a_pushed_default_takes_it_from_the_other(phone: Api) -> None:
    kept = phone.product()
    pushed(phone, created(portions=[portion(kept)]))
    assert defaults(phone, kept) == ["1 cup"]


def test_of_two_defaults_of_one_push_the_last_is_kept(phone: Api) -> None:
    rice = product()
    cups = [portion(rice, name="1 cup"), portion(rice, name="2 cups")]
    pushed(phone, created(products=[rice], portions=cups))
    assert defaults(phone, rice) == ["2 cups"]


def test_without_a_default_the_oldest_portion_is_it(phone: Api) -> None:
    kept = phone.product()
    oldest = phone.portion(kept, name="oldest")
    phone.portion(kept, name="younger")
    first = next(row for row in live(phone)["portions"].values() if row["name"] == "100g")
    pushed(phone, deleted(portions=[first]))
    assert defaults(phone, kept) == ["oldest"]
    assert oldest["id"] in live(phone)["portions"]


def test_a_default_that_can_not_end_is_told_to_the_phone(phone: Api) -> None:
    kept, replica = phone.product(), Replica(phone)
    replica.pull()
    (only,) = replica.rows["portions"].values()
    only["is_default"] = False
    pushed(phone, updated(portions=[only]), replica.after)
    replica.pull()
    assert replica.rows == live(phone)
    assert defaults(phone, kept) == ["100g"]


def test_defaults_change_hands_within_one_push(phone: Api) -> None:
    kept = phone.product()
    phone.portion(kept)
    for _ in range(2):
        rows = [
            row | {"is_default": not row["is_default"]} for row in live(phone)["portions"].values()
        ]
        before = defaults(phone, kept)
        pushed(phone, updated(portions=rows))
        assert len(defaults(phone, kept)) == 1
        assert defaults(phone, kept) != before


def test_a_portion_of_a_product_that_goes_goes_too(phone: Api) -> None:
    kept, replica = phone.product(), Replica(phone)
    replica.pull()
    (only,) = replica.rows["portions"].values()
    new = portion(kept)
    changes = {
        "products": {"deleted": [kept["id"]]},
        "portions": {"updated": [only | {"name": "x"}], "created": [new]},
    }
    assert pushed(phone, changes, replica.after) == {}
    assert new["id"] in pull(phone, replica.after)["changes"]["portions"]["deleted"]
    assert live(phone)["portions"] == {}
    assert pushed(phone, changes, replica.after) == {}


# Food entries.


def test_an_entry_may_name_a_product_and_portion_that_are_deleted(phone: Api) -> None:
    gone = phone.product()
    (only,) = live(phone)["portions"].values()
    phone.delete(f"/v1/products/{gone['id']}")
    eaten = entry(gone, portion_id=only["id"], quantity=2)
    assert pushed(phone, created(food_entries=[eaten])) == {}
    row = live(phone)["food_entries"][eaten["id"]]
    assert (row["name"], row["grams"], row["kcal"]) == (gone["name"], 200, 330)


def test_a_product_that_is_logged_and_deleted_in_one_push(phone: Api) -> None:
    kept = phone.product()
    eaten = entry(kept)
    changes = created(food_entries=[eaten]) | deleted(products=[kept])
    assert pushed(phone, changes) == {}
    assert live(phone)["food_entries"][eaten["id"]]["product_id"] == kept["id"]


def test_an_entry_of_an_unknown_product_is_kept_without_it(phone: Api) -> None:
    eaten = entry(product(), portion_id=new_id(), quantity=2, protein=1.5, salt=0.5, unit="ml")
    assert pushed(phone, created(food_entries=[eaten])) == {}
    row = live(phone)["food_entries"][eaten["id"]]
    kept = {"name": "Soup", "unit": "ml", "kcal": 250, "protein": 1.5, "salt": 0.5, "grams": 150}
    assert row.items() >= kept.items()
    assert (row["product_id"], row["portion_id"], row["quantity"]) == (None, None, None)


def test_an_entry_of_an_unknown_portion_is_kept_by_its_grams(phone: Api) -> None:
    kept = phone.product()
    eaten = entry(kept, portion_id=new_id(), quantity=2)
    assert pushed(phone, created(food_entries=[eaten])) == {}
    row = live(phone)["food_entries"][eaten["id"]]
    assert (row["product_id"], row["portion_id"], row["grams"]) == (kept["id"], None, 150)


def test_an_entry_is_worked_out_from_what_the_push_makes_of_its_product(phone: Api) -> None:
    kept = phone.product()
    eaten = entry(kept, grams=100)
    changes = updated(products=[kept | {"kcal_100g": 7}]) | created(food_entries=[eaten])
    assert pushed(phone, changes) == {}
    assert live(phone)["food_entries"][eaten["id"]]["kcal"] == 7


def test_a_later_change_of_the_product_leaves_the_entry_as_it_was(phone: Api) -> None:
    kept = phone.product()
    eaten = phone.entry(product_id=kept["id"], grams=100)
    pushed(phone, updated(products=[kept | {"kcal_100g": 7}]))
    record = live(phone)["food_entries"][eaten["id"]]
    pushed(phone, updated(food_entries=[record | {"meal_type": "dinner"}]))
    row = live(phone)["food_entries"][eaten["id"]]
    assert (row["meal_type"], row["kcal"]) == ("dinner", 165)


# Body weights.


def test_a_pushed_weight_replaces_that_of_the_day(phone: Api) -> None:
    before, replica = phone.weight(), Replica(phone)
    replica.pull()
    later = weight(weight_kg=79)
    assert pushed(phone, created(body_weights=[later]), replica.after) == {}
    replica.pull()
    assert list(replica.rows["body_weights"]) == [later["id"]] != [before["id"]]


def test_of_two_weights_of_a_day_the_last_is_kept_and_the_phone_told(phone: Api) -> None:
    first, last, replica = weight(), weight(weight_kg=79), Replica(phone)
    replica.pull()
    for _ in range(2):
        assert pushed(phone, created(body_weights=[first, last]), replica.after) == {}
        answer = pull(phone, replica.after)
        assert answer["changes"]["body_weights"]["deleted"] == [first["id"]]
        assert list(rows_of(answer, "body_weights")) == [last["id"]]


def test_weights_swap_their_days(phone: Api) -> None:
    phone.weight(date="2025-02-05", weight_kg=80)
    phone.weight(date="2025-02-06", weight_kg=81)
    one, two = live(phone)["body_weights"].values()
    swapped = [one | {"date": two["date"]}, two | {"date": one["date"]}]
    assert pushed(phone, updated(body_weights=swapped)) == {}
    assert live(phone)["body_weights"] == {row["id"]: row for row in swapped}


def test_a_weight_is_deleted_and_another_of_the_day_created_in_one_push(phone: Api) -> None:
    before, later = phone.weight(), weight(weight_kg=79)
    changes = {"body_weights": {"created": [later], "deleted": [before["id"]]}}
    assert pushed(phone, changes) == {}
    assert list(live(phone)["body_weights"]) == [later["id"]]


# As a whole.


def test_a_push_that_is_repeated_changes_nothing(phone: Api) -> None:
    kept = phone.product()
    phone.weight()
    doomed = phone.entry()
    replica = Replica(phone)
    replica.pull()
    (only,) = replica.rows["portions"].values()
    changes = everything()
    changes["products"]["updated"] = [replica.rows["products"][kept["id"]] | {"name": " New "}]
    changes["portions"]["updated"] = [only | {"is_default": False, "name": "other"}]
    changes["portions"]["created"] += [portion(kept), portion(kept)]
    changes["food_entries"]["created"] += [entry(kept), entry(product()), entry(name="")]
    changes["food_entries"]["deleted"] = [doomed["id"]]
    changes["goals"]["created"] += [calculated_goal()]
    changes["body_weights"]["created"] += [weight(weight_kg=79)]
    first = pushed(phone, changes, replica.after)
    stored, after = live(phone), revision(phone)
    assert pushed(phone, changes, replica.after) == first
    assert (live(phone), revision(phone)) == (stored, after)
    assert list(first) == ["food_entries"]


def test_an_equal_record_changes_nothing(phone: Api) -> None:
    fed = phone.product(name="Crème", protein_100g=1.5)
    phone.entry(product_id=fed["id"], grams=10)
    phone.goal()
    phone.weight()
    rows, after = live(phone), revision(phone)
    changes = updated(**{table: list(listed.values()) for table, listed in rows.items()})
    assert pushed(phone, changes) == {}
    assert revision(phone) == after


def test_nothing_is_a_push_too(phone: Api) -> None:
    after = revision(phone)
    assert pushed(phone, {}) == {}
    assert revision(phone) == after


@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
def test_queries_do_not_grow_with_records(phone: Api, kind: str) -> None:
    def cost(count: int) -> int:
        foods = [product() for _ in range(count)]
        cups = [portion(food) for food in foods]
        eaten = [entry(food, portion_id=cup["id"]) for food, cup in zip(foods, cups, strict=True)]
        aims = [goal() for _ in range(count)]
        drunk = [water(date=f"2025-02-{1 + n % 28:02}") for n in range(count)]
        weights = [weight(date=f"20{10 + n // 28:02}-02-{1 + n % 28:02}") for n in range(count)]
        changes = created(
            products=foods,
            portions=cups,
            food_entries=eaten,
            goals=aims,
            water_entries=drunk,
            body_weights=weights,
        )
        if kind != "created":
            pushed(phone, changes)
        if kind == "updated":
            changes = updated(
                products=[row | {"name": "x"} for row in foods],
                portions=[row | {"name": "x"} for row in cups],
                food_entries=[row | {"quantity": 2} for row in eaten],
                # The others are deleted by now.
                goals=[aims[-1] | {"water_ml": 1}],
                water_entries=[row | {"ml": 1} for row in drunk],
                body_weights=[row | {"weight_kg": 1} for row in weights],
            )
        if kind == "deleted":
            changes = deleted(**{table: listed["created"] for table, listed in changes.items()})
        after = revision(phone)
        with CaptureQueriesContext(connection) as queries:
            assert push(phone, after, changes).json()["rejected"] == {}
        return len(queries)

    assert cost(10) == cost(300) < 40


def test_what_is_stored_breaks_no_rule(phone: Api) -> None:
    for _ in range(2):
        pushed(phone, everything())
    for model in device_scoped_models():
        for rule, offenders in model.violations():
            assert list(offenders) == [], rule
