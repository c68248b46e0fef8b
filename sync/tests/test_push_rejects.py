"""POST /v1/sync: what is left out by name, and what is refused as a whole."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as configured

from countonme.api.views import ApiView
from devices.models import Phone
from sync.tests.replica import (
    calculated_goal,
    created,
    deleted,
    entry,
    goal,
    live,
    new_id,
    portion,
    product,
    push,
    pushed,
    revision,
    updated,
    water,
    weight,
)
from sync.views import SyncView
from tests.helpers.api import Api, offences

pytestmark = pytest.mark.django_db(transaction=True)
NO_IDS = ["", "abc", "0B7A1F3E-5A57-4C5E-9F4B-0D7B8E1C2A3F", "\0", "é" * 99]
SENTENCES = {
    "required": "This field is required.",
    "null": "This field may not be null.",
    "blank": "This field may not be blank.",
}


def whys(phone: Api, **tables: Any) -> list[str]:
    """Push new records beside one that is right, and return why those were left out."""
    drunk = water()
    changes = created(**tables)
    changes.setdefault("water_entries", created(water=[])["water"])["created"].append(drunk)
    rejected = pushed(phone, changes)
    rows = live(phone)
    assert drunk["id"] in rows["water_entries"]
    assert not any(key in rows[table] for table, listed in rejected.items() for key in listed)
    return [why for listed in rejected.values() for why in listed.values()]


@pytest.mark.parametrize(
    ("table", "record", "why"),
    [
        ("products", product(name=""), "name: This field may not be blank."),
        ("products", product(name=None), "name: This field may not be null."),
        ("products", product(name="a\0b"), "name: Control characters are not allowed."),
        ("products", product(name="\ud800"), "name: Control characters are not allowed."),
        ("products", product(kcal_100g="130"), "kcal_100g: A valid integer is required."),
        ("products", product(kcal_100g=True), "kcal_100g: A valid integer is required."),
        ("products", product(fat_100g=60, carbs_100g=46), "protein_100g, carbs_100g and fat_100g"),
        ("products", product(barcode="96385075"), "barcode: A barcode is a GTIN"),
        ("products", {"id": new_id(), "kcal_100g": 1}, "name: This field is required."),
        ("portions", {"id": new_id()}, "product_id: This field is required. name: This field"),
        ("portions", portion(product(), grams=0), "grams: Ensure"),
        ("portions", portion(product(), product_id=7), "product_id: Not a UUID in lower case."),
        ("portions", portion(product()), "Product not found"),
        ("portions", portion(product(), is_default=1), "is_default: Must be a valid boolean."),
        ("food_entries", entry(date="2025-02-30"), "date: Date has wrong format."),
        ("food_entries", entry(meal_type="brunch"), "meal_type: Not a valid choice."),
        ("food_entries", entry(name=None), "name: This field may not be null."),
        ("food_entries", entry(product(), name=None), "Product not found"),
        ("food_entries", entry(product(), kcal=None), "Product not found"),
        ("food_entries", entry(product(), kcal=-0.01), "kcal: Ensure"),
        ("food_entries", entry(product_id=new_id().upper()), "product_id: Not a UUID in lower"),
        ("food_entries", entry(portion_id=new_id().upper()), "portion_id: Not a UUID in lower"),
        ("portions", portion(product(), product_id=new_id().upper()), "product_id: Not a UUID"),
        ("food_entries", entry(product_id="x"), "product_id: Not a UUID in lower case."),
        ("food_entries", entry(product_id=[]), "product_id: Not a UUID in lower case."),
        ("food_entries", entry(portion_id=new_id()), "product_id: This field is required."),
        ("food_entries", {"id": new_id()}, "date: This field is required. meal_type: This field"),
        ("goals", {"id": new_id()}, "goal_type: This field is required."),
        ("goals", goal(goal_type=None), "goal_type: This field may not be null."),
        ("goals", goal(goal_type="other"), "goal_type: Not a valid choice."),
        ("goals", goal(goal_type=[]), "goal_type: Not a valid choice."),
        ("goals", goal(water_ml=None), "water_ml: This field may not be null."),
        ("goals", goal(daily_calories_kcal=10_001), "daily_calories_kcal: Ensure"),
        ("goals", goal(fat_percent=31), "protein_percent, carbs_percent and fat_percent must be"),
        ("goals", calculated_goal(gender=None), "gender: This field may not be null."),
        ("goals", calculated_goal(height_cm=1.68), "height_cm: Ensure"),
        ("goals", calculated_goal(target_weight_kg=80), "To lose weight, target_weight_kg must"),
        ("goals", calculated_goal(fat_percent=100), "Send all three percents or none."),
        ("goals", calculated_goal(birth_date="2024-01-01"), "birth_date: Goals are calculated"),
        ("body_weights", weight(weight_kg=0), "weight_kg: Ensure"),
        ("water_entries", water(ml=0.5), "ml: A valid integer is required."),
        ("water_entries", water(ml=10**30), "ml: Ensure"),
    ],
)
def test_a_record_that_breaks_a_rule_is_named(
    phone: Api, table: str, record: dict[str, Any], why: str
) -> None:
    (sentence,) = whys(phone, **{table: [record]})
    assert sentence.startswith(why)


def test_an_update_that_breaks_a_rule_leaves_the_row(phone: Api) -> None:
    kept = phone.product(fat_100g=60)
    changes = updated(products=[{"id": kept["id"], "carbs_100g": 60}])
    assert list(pushed(phone, changes)["products"]) == [kept["id"]]
    assert phone.get(f"/v1/products/{kept['id']}").json() == kept


@pytest.mark.parametrize("key", NO_IDS)
def test_an_id_that_is_no_uuid_in_lower_case_is_named(phone: Api, key: str) -> None:
    assert whys(phone, products=[product(id=key)]) == ["Not a UUID in lower case"]


@pytest.mark.parametrize("key", NO_IDS)
def test_a_deletion_whose_id_is_no_uuid_in_lower_case_is_named(phone: Api, key: str) -> None:
    changes = deleted(food_entries=[key, new_id()])
    assert pushed(phone, changes) == {"food_entries": {key: "Not a UUID in lower case"}}


def test_a_deletion_by_the_id_in_upper_case_deletes_nothing(phone: Api) -> None:
    eaten = phone.entry()
    pushed(phone, deleted(food_entries=[eaten["id"].upper()]))
    assert list(live(phone)["food_entries"]) == [eaten["id"]]


@pytest.mark.parametrize("table", ["recipes", "__proto__", "", "a b", "x" * 1000])
def test_a_table_that_is_not_synced_is_ignored_where_it_is_empty(phone: Api, table: str) -> None:
    drunk = water()
    empties: list[dict[str, Any]] = [{}, {"created": []}, {"created": [], "deleted": []}]
    for empty in empties:
        assert pushed(phone, created(water_entries=[drunk]) | {table: empty}) == {}
    assert drunk["id"] in live(phone)["water_entries"]


def test_what_stands_in_a_table_that_is_not_synced_is_named_and_the_rest_goes_in(
    phone: Api,
) -> None:
    drunk = water()
    unknown: Any = {
        "created": [{"id": "new"}],
        "updated": [{"id": new_id()}],
        "deleted": [new_id()],
    }
    named = [unknown["created"][0]["id"], unknown["updated"][0]["id"], unknown["deleted"][0]]
    rejected = pushed(phone, created(water_entries=[drunk]) | {"recipes": unknown})
    assert rejected == {"recipes": dict.fromkeys(named, "No table of this name is synced")}
    assert drunk["id"] in live(phone)["water_entries"]


def test_anothers_id_is_free_and_the_row_stays(phone: Api, other: Api) -> None:
    theirs = other.product()
    before = live(other)
    assert pushed(phone, created(products=[product(id=theirs["id"])])) == {}
    assert theirs["id"] in live(phone)["products"]
    assert live(other) == before


def test_anothers_product_is_as_one_that_never_existed(phone: Api, other: Api) -> None:
    theirs = other.product()
    (of_theirs,) = live(other)["portions"].values()
    assert whys(phone, portions=[portion(theirs)]) == ["Product not found"]
    eaten = entry(theirs, portion_id=of_theirs["id"])
    assert whys(phone, food_entries=[eaten]) == []
    assert live(phone)["food_entries"][eaten["id"]]["product_id"] is None


def test_what_was_deleted_before_the_last_pull_is_named(phone: Api) -> None:
    gone = phone.entry()
    phone.delete(f"/v1/food-entries/{gone['id']}")
    for kind in (created, updated):
        answer = pushed(phone, kind(food_entries=[gone | {"name": "Mine"}]))
        assert answer == {"food_entries": {gone["id"]: "This record was deleted"}}


def test_a_portion_of_a_product_that_was_deleted_before_is_named(phone: Api) -> None:
    gone = phone.product()
    phone.delete(f"/v1/products/{gone['id']}")
    assert whys(phone, portions=[portion(gone)]) == ["Product not found"]


def test_a_portion_stays_with_its_product(phone: Api) -> None:
    one, two = phone.product(), phone.product()
    row = phone.portion(one)
    answer = pushed(phone, updated(portions=[row | {"product_id": two["id"]}]))
    assert answer == {"portions": {row["id"]: "A portion stays with its product"}}


def test_an_entry_whose_portion_is_anothers_is_named(phone: Api) -> None:
    one, two = phone.product(), phone.product()
    row = phone.portion(one)
    assert whys(phone, food_entries=[entry(two, portion_id=row["id"])]) == ["Portion not found"]


def test_an_entry_of_an_unknown_portion_without_grams_is_named(phone: Api) -> None:
    kept = phone.product()
    eaten = entry(kept, portion_id=new_id(), grams=None)
    assert whys(phone, food_entries=[eaten]) == ["Portion not found"]


def test_an_entry_that_comes_to_too_much_is_named(phone: Api) -> None:
    kept = phone.product()
    row = phone.portion(kept, grams=10_000)
    eaten = entry(kept, portion_id=row["id"], quantity=2)
    (why,) = whys(phone, food_entries=[eaten])
    assert why == "The portion's grams times the quantity must be 0.01 to 10000."


def test_with_a_product_goes_what_can_not_stand_without_it(phone: Api) -> None:
    wrong, right = product(name=""), product()
    stands, falls = entry(wrong), entry(wrong, name=None)
    answer = pushed(
        phone,
        created(
            products=[wrong, right],
            portions=[portion(wrong), portion(right)],
            food_entries=[stands, falls],
        ),
    )
    assert {table: len(listed) for table, listed in answer.items()} == {
        "products": 1,
        "portions": 1,
        "food_entries": 1,
    }
    rows = live(phone)
    assert list(rows["products"]) == [right["id"]]
    assert list(rows["food_entries"]) == [stands["id"]]


# Quotas.


def test_products_past_the_quota_are_named(phone: Api, settings: Any) -> None:
    settings.MAX_PRODUCTS_PER_DEVICE = 2
    kept = phone.product()
    foods = [product() for _ in range(3)]
    for _ in range(2):
        answer = pushed(phone, created(products=foods), 2)
        why = "A device has at most 2 products"
        assert answer == {"products": {food["id"]: why for food in foods[1:]}}
    changes = created(products=foods[1:2]) | {}
    changes["products"]["deleted"] = [kept["id"]]
    assert pushed(phone, changes) == {}


def test_portions_past_the_quota_are_named(phone: Api, settings: Any) -> None:
    settings.MAX_PORTIONS_PER_PRODUCT = 2
    kept = phone.product()
    cups = [portion(kept) for _ in range(2)]
    assert whys(phone, portions=cups) == ["A product has at most 2 portions"]


@pytest.mark.parametrize(
    ("table", "make", "limit", "why"),
    [
        ("food_entries", entry, "MAX_ENTRIES_PER_DAY", "A day has at most 2 food entries"),
        ("water_entries", water, "MAX_WATER_ENTRIES_PER_DAY", "A day has at most 2 water entries"),
    ],
)
def test_days_past_the_quota_are_named(
    phone: Api, settings: Any, table: str, make: Any, limit: str, why: str
) -> None:
    setattr(settings, limit, 2)
    rows = [make() for _ in range(3)]
    answer = pushed(phone, created(**{table: rows}))
    assert answer == {table: {rows[2]["id"]: why}}
    # A row that leaves makes room; one that comes needs some.
    there = make(date="2025-02-06")
    pushed(phone, created(**{table: [there]}))
    moved = there | {"date": "2025-02-05"}
    assert pushed(phone, updated(**{table: [moved]})) == {table: {there["id"]: why}}
    swap = updated(**{table: [rows[0] | {"date": "2025-02-06"}, moved]})
    assert pushed(phone, swap) == {}


# As a whole.


@pytest.fixture
def second(phone: Api) -> Api:
    """Another phone of the same device."""
    assert phone.device is not None
    row, token = Phone.with_new_token(phone.device, uuid.uuid4())
    row.save(force_insert=True)
    return Api(phone.device, token)


@pytest.fixture
def signed_out_meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Api, Api], None]:
    """Have a phone sign out another once that one's next push is authenticated."""

    def arrange(leaving: Api, by: Api) -> None:
        phone_id = leaving.get("/v1/auth/device").json()["phone_id"]

        def read_body(view: SyncView, **options: Any) -> dict[str, Any]:
            assert by.delete(f"/v1/auth/phones/{phone_id}").status_code == 204
            return ApiView.read_body(view, **options)

        monkeypatch.setattr(SyncView, "read_body", read_body)

    return arrange


def test_a_phone_that_is_signed_out_before_its_push_is_applied_gets_401_and_nothing_is_applied(
    phone: Api, second: Api, signed_out_meanwhile: Any
) -> None:
    after = revision(second)
    signed_out_meanwhile(second, by=phone)
    assert push(second, after, created(water_entries=[water()])).status_code == 401
    assert revision(phone) == after


def test_a_phone_that_stays_pushes_while_another_is_signed_out(
    phone: Api, second: Api, signed_out_meanwhile: Any
) -> None:
    after, drunk = revision(phone), water()
    signed_out_meanwhile(second, by=phone)
    assert push(phone, after, created(water_entries=[drunk])).status_code == 200
    assert list(live(phone)["water_entries"]) == [drunk["id"]]


def test_a_shape_that_is_none_is_refused(phone: Api) -> None:
    cases: list[tuple[Any, list[str]]] = [
        ({"\ud800": {}}, ["body", "?"]),
        ({"\ud800" + "x" * 1000: {}}, ["body", "?" + "x" * 99]),
        ({"recipes": []}, ["body", "recipes"]),
        ({"recipes": {"created": [{}]}}, ["body", "recipes", "created"]),
        ({"products": []}, ["body", "products"]),
        ({"products": None}, ["body", "products"]),
        ({"products": {"added": []}}, ["body", "products"]),
        ({"products": {"created": {}}}, ["body", "products", "created"]),
        ({"products": {"created": ["x"]}}, ["body", "products", "created"]),
        ({"products": {"created": [{}]}}, ["body", "products", "created"]),
        ({"products": {"updated": [{"id": 1}]}}, ["body", "products", "updated"]),
        ({"products": {"updated": [{"id": "\ud800"}]}}, ["body", "products", "updated"]),
        ({"products": {"deleted": ["\ud800"]}}, ["body", "products", "deleted"]),
        ({"products": {"deleted": [1]}}, ["body", "products", "deleted"]),
        ({"products": {"deleted": None}}, ["body", "products", "deleted"]),
    ]
    after = revision(phone)
    for changes, loc in cases:
        response = push(phone, after, created(water_entries=[water()]) | changes)
        assert offences(response) == [(loc, "invalid")], changes
    assert revision(phone) == after


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b"{", b"[" * 100_000])
def test_changes_that_are_no_object_are_400(phone: Api, body: bytes) -> None:
    assert phone.request("POST", "/v1/sync?last_pulled_at=1", body).status_code == 400


@pytest.mark.parametrize(
    "query", ["", *(f"?last_pulled_at={sent}" for sent in ("", "null", "-1", "x", "1.0", "9" * 19))]
)
def test_the_revision_is_checked(phone: Api, query: str) -> None:
    response = phone.post(f"/v1/sync{query}", created(water_entries=[water()]))
    assert response.status_code == 422
    assert response.json()["errors"][0]["loc"] == ["query", "last_pulled_at"]


def test_5_mib_are_read_and_more_than_32_refused(phone: Api) -> None:
    foods = [product(name="x" * 100, _note="y" * 6000) for _ in range(900)]
    assert len(json.dumps(foods)) > 5 * 1024 * 1024
    assert pushed(phone, created(products=foods)) == {}
    huge = {"Content-Length": str(configured.MAX_SYNC_BODY_BYTES + 1)}
    assert phone.post("/v1/sync?last_pulled_at=1", {}, **huge).status_code == 413


def test_another_devices_revision_writes_nothing_of_theirs(phone: Api, other: Api) -> None:
    for _ in range(3):
        other.product()
    before = live(other)
    response = push(phone, revision(other), deleted(products=list(before["products"])))
    assert response.status_code == 409
    assert live(other) == before


def test_ids_by_the_thousand_that_name_nothing_are_ignored(phone: Api) -> None:
    ids = [str(uuid.uuid4()) for _ in range(70_000)]
    assert pushed(phone, deleted(food_entries=ids, products=ids)) == {}
