"""POST /v1/import, of an export."""

from __future__ import annotations

import json
import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from goals.serializers import METRICS
from tests.helpers.api import Api, defaults, new_phone, offences
from tests.helpers.phones import device_of
from tests.helpers.sql import next_transaction
from tests.helpers.transfer import FORMAT, export, load, load_rows, rows, start_over
from transfer import serializers

WEIGHT, WATER = ({"date": "2025-02-05"} | value for value in ({"weight_kg": 80}, {"ml": 250}))
SOUP = {"date": "2025-02-05", "meal_type": "lunch", "name": "Soup", "kcal": 250}


def new_id() -> str:
    return str(uuid.uuid4())


def fill(phone: Api) -> dict[str, Any]:
    """Write rows of each table, of which some are no longer as the others would make them."""
    product = phone.product(name="Crème", protein_100g=31.5, barcode="4006381333931")
    portion = phone.portion(product, is_default=True)
    phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=1.5)
    phone.entry(eaten_at="2025-02-05T12:00:00.123456+02:00")
    phone.patch(f"/v1/products/{product['id']}", {"kcal_100g": 170})
    phone.patch(f"/v1/portions/{portion['id']}", {"grams": 140})
    assert phone.post("/v1/goals/calculated", METRICS).status_code == 201
    phone.weight(weight_kg=79.95)
    phone.water()
    return product


def counts(answer: dict[str, Any], name: str = "imported") -> list[int]:
    """Return the numbers of an answer that are not zero."""
    return [count for count in answer[name].values() if count]


@pytest.fixture
def exported(other: Api) -> dict[str, Any]:
    """The export of another device."""
    fill(other)
    return export(other)


def test_it_works(phone: Api, exported: dict[str, Any]) -> None:
    answer = load(phone, exported)
    assert answer["imported"] == {table: len(listed) for table, listed in exported["rows"].items()}
    assert (counts(answer, "skipped"), answer["rejected"]) == ([], {})
    assert rows(phone) == exported["rows"]
    call_command("check_integrity", stdout=StringIO())


def test_again_it_adds_nothing_and_changes_nothing(phone: Api, exported: dict[str, Any]) -> None:
    load(phone, exported)
    next_transaction()
    revision = device_of(phone).revision
    answer = load(phone, exported)
    assert (counts(answer), answer["rejected"]) == ([], {})
    assert answer["skipped"] == {table: len(listed) for table, listed in exported["rows"].items()}
    assert device_of(phone).revision == revision


def test_what_was_deleted_here_comes_back_as_it_was(phone: Api) -> None:
    product = fill(phone)
    exported = export(phone)
    for path in (
        f"products/{product['id']}",
        f"water-entries/{rows(phone)['water_entries'][0]['id']}",
    ):
        assert phone.delete(f"/v1/{path}").status_code == 204
    assert counts(load(phone, exported)) == [1, 2, 1]
    assert rows(phone) == exported["rows"]
    start_over(phone)
    load(phone, exported)
    assert rows(phone) == exported["rows"]


def test_a_row_that_is_live_here_stays_as_it_is(phone: Api, exported: dict[str, Any]) -> None:
    load(phone, exported)
    product = rows(phone)["products"][0]
    changed = phone.patch(f"/v1/products/{product['id']}", {"name": "Cream"}).json()
    phone.delete(f"/v1/water-entries/{rows(phone)['water_entries'][0]['id']}")
    load(phone, exported)
    assert rows(phone)["products"] == [changed]


def test_phones_pull_what_came_in(phone: Api, exported: dict[str, Any]) -> None:
    next_transaction()
    before = phone.get("/v1/sync").json()["timestamp"]
    load(phone, exported)
    changes = phone.get(f"/v1/sync?last_pulled_at={before}").json()["changes"]
    for table, listed in exported["rows"].items():
        pulled = {row["id"] for row in changes[table]["updated"]}
        assert pulled == {row["id"] for row in listed}


def test_a_preview_answers_the_same_and_writes_nothing(
    phone: Api, exported: dict[str, Any]
) -> None:
    exported["rows"]["water_entries"][0]["ml"] = -1
    next_transaction()
    revision = device_of(phone).revision
    answer = load(phone, exported, "?preview=true")
    assert not any(rows(phone).values())
    assert device_of(phone).revision == revision
    assert load(phone, exported, "?preview=false") == answer


class TestBadRows:
    """A bad row is left out by name, with those that can't stand without it; the rest comes in."""

    @pytest.mark.parametrize(
        ("table", "row", "why"),
        [
            ("food_entries", SOUP | {"date": "1900-01-01"}, "date: Ensure"),
            ("food_entries", SOUP | {"kcal": -1}, "kcal: Ensure"),
            ("food_entries", SOUP | {"kcal": "250"}, "kcal: A valid number"),
            ("food_entries", SOUP | {"name": "Soup\0"}, "name: Control characters"),
            ("food_entries", SOUP | {"name": ["Soup"]}, "name: "),
            ("food_entries", SOUP | {"created_at": "yesterday"}, "created_at: "),
            ("food_entries", SOUP | {"quantity": 2}, "food_entries_amount_is_whole"),
            ("portions", {"product_id": new_id(), "name": "cup", "grams": 1}, "Product not found"),
            (
                "products",
                {"name": "Fat", "kcal_100g": 900, "fat_100g": 90, "carbs_100g": 90},
                "105",
            ),
            ("products", {"name": "Rice"}, "kcal_100g: This field is required."),
            ("water_entries", WATER | {"id": "7"}, "id: Not a UUID of 36 characters."),
            ("water_entries", WATER | {"ml": True}, "ml: "),
            ("recipes", {"name": "Soup"}, "No table of this name is synced"),
        ],
    )
    def test_it_is_named(self, phone: Api, table: str, row: dict[str, Any], why: str) -> None:
        bad = {"id": new_id()} | row
        good = SOUP | {"id": new_id(), "eaten_at": None}
        listed = {"food_entries": [good]}
        listed[table] = [*listed.get(table, []), bad]
        answer = load_rows(phone, **listed)
        ((name, sentence),) = answer["rejected"][table].items()
        assert name == bad["id"]
        assert why in sentence
        assert [row["id"] for row in rows(phone)["food_entries"]] == [good["id"]]

    def test_a_goal_must_be_as_it_was_worked_out(
        self, phone: Api, exported: dict[str, Any]
    ) -> None:
        (goal,) = exported["rows"]["goals"]
        for wrong in ({"fat_grams": 1}, {"bmr_kcal": None}, {"target_weight_kg": 100}):
            answer = load_rows(phone, goals=[goal | wrong])
            assert list(answer["rejected"]["goals"]) == [goal["id"]]
        assert counts(load_rows(phone, goals=[goal])) == [1]

    def test_an_entry_stays_without_a_product_that_is_not_here(self, phone: Api) -> None:
        """A deleted product is in no export. What was eaten of it is."""
        whole = {"product_id": new_id(), "portion_id": new_id(), "quantity": 2, "grams": 300}
        answer = load_rows(phone, food_entries=[SOUP | whole | {"id": new_id()}])
        assert answer["rejected"] == {}
        (entry,) = phone.get("/v1/food-entries").json()
        assert [entry[name] for name in ("product_id", "portion_id", "quantity")] == [None] * 3
        assert (entry["name"], entry["kcal"], entry["grams"]) == ("Soup", 250, 300)

    def test_an_entry_stays_by_its_grams_without_a_portion_of_its_product(self, phone: Api) -> None:
        product, another = phone.product(), phone.product()
        of_another = phone.get(f"/v1/products/{another['id']}/portions").json()[0]["id"]
        for portion in (new_id(), of_another):
            named = {"product_id": product["id"], "portion_id": portion, "quantity": 2}
            row = SOUP | named | {"grams": 300, "id": new_id()}
            assert load_rows(phone, food_entries=[row])["rejected"] == {}
            entry = phone.get(f"/v1/food-entries/{row['id']}").json()
            assert (entry["product_id"], entry["portion_id"]) == (product["id"], None)
            assert (entry["quantity"], entry["grams"]) == (None, 300)

    def test_an_entry_is_counted_in_the_unit_of_its_product(self, phone: Api) -> None:
        drink = phone.product(unit="ml")
        row = SOUP | {"id": new_id(), "product_id": drink["id"], "grams": 100}
        answer = load_rows(phone, food_entries=[row])
        assert answer["rejected"] == {
            "food_entries": {row["id"]: "unit: Not the unit of its product."}
        }

    def test_what_a_deleted_row_keeps_for_ever_it_keeps(self, phone: Api) -> None:
        product, another = phone.product(), phone.product()
        portion = phone.portion(product)
        phone.entry(product_id=product["id"], portion_id=portion["id"])
        phone.delete(f"/v1/portions/{portion['id']}")
        moved = portion | {"product_id": another["id"]}
        answer = load_rows(phone, portions=[moved])
        why = "A portion stays with its product"
        assert answer["rejected"] == {"portions": {portion["id"]: why}}
        phone.delete(f"/v1/products/{product['id']}")
        answer = load_rows(phone, products=[product | {"unit": "ml"}])
        why = "The unit of a product can't be changed"
        assert answer["rejected"] == {"products": {product["id"]: why}}

    def test_at_a_quota_the_rest_is_left_out_with_what_belongs_to_it(
        self, phone: Api, settings: Any
    ) -> None:
        settings.MAX_PRODUCTS_PER_DEVICE, settings.MAX_ENTRIES_PER_DAY = 2, 1
        phone.product()
        ids = [new_id() for _ in range(6)]
        products = [{"id": key, "name": key[:8], "kcal_100g": 1} for key in ids[:2]]
        portions = [
            {"id": key, "product_id": product, "name": "cup", "grams": 9, "is_default": True}
            for key, product in zip(ids[2:4], ids[:2], strict=True)
        ]
        entries = [
            SOUP | {"id": key, "product_id": product, "grams": 100}
            for key, product in zip(ids[4:], ids[:2], strict=True)
        ]
        answer = load_rows(phone, products=products, portions=portions, food_entries=entries)
        assert counts(answer) == [1, 1, 1]
        assert answer["rejected"] == {
            "products": {ids[1]: "A device has at most 2 products"},
            "portions": {ids[3]: "Product not found"},
            "food_entries": {ids[5]: "A day has at most 1 food entries"},
        }

    def test_the_weight_of_a_day_and_the_goal_that_are_here_stay(
        self, phone: Api, exported: dict[str, Any]
    ) -> None:
        weight, goal = phone.weight(weight_kg=70), phone.goal()
        answer = load(phone, exported)
        assert {table: list(whys.values()) for table, whys in answer["rejected"].items()} == {
            "goals": ["A device has one goal."],
            "body_weights": ["A day has one body weight."],
        }
        assert rows(phone)["body_weights"] == [weight]
        assert rows(phone)["goals"] == [goal]

    def test_of_two_weights_of_a_day_the_first_comes_in(self, phone: Api) -> None:
        weights = [WEIGHT | {"id": new_id(), "weight_kg": kg} for kg in (80, 81)]
        answer = load_rows(phone, body_weights=weights)
        assert list(answer["rejected"]["body_weights"]) == [weights[1]["id"]]
        assert [row["weight_kg"] for row in rows(phone)["body_weights"]] == [80]


class TestDefaults:
    """A product keeps exactly one default portion."""

    def test_a_product_without_portions_gets_its_first(self, phone: Api) -> None:
        product = {"id": new_id(), "name": "Milk", "kcal_100g": 60, "unit": "ml"}
        answer = load_rows(phone, products=[product])
        assert answer["imported"] == {"products": 1}
        assert [row["name"] for row in rows(phone)["portions"]] == ["100ml"]
        assert len(defaults(phone, product)) == 1

    @pytest.mark.parametrize("flags", [(False, False), (True, True)])
    def test_none_or_two_are_put_right(self, phone: Api, flags: tuple[bool, bool]) -> None:
        product = {"id": new_id(), "name": "Rice", "kcal_100g": 130}
        portions = [
            {"id": new_id(), "product_id": product["id"], "name": "cup", "grams": 158}
            | {"is_default": flag}
            for flag in flags
        ]
        load_rows(phone, products=[product], portions=portions)
        assert defaults(phone, product) == [portions[0]["id"]]

    def test_a_product_that_is_here_keeps_its_own(self, phone: Api) -> None:
        product = phone.product()
        before = defaults(phone, product)
        portion = {"id": new_id(), "product_id": product["id"], "name": "cup", "grams": 158}
        load_rows(phone, portions=[portion | {"is_default": True}])
        assert defaults(phone, product) == before
        assert len(rows(phone)["portions"]) == 2


def test_an_entry_that_is_not_as_its_product_is_here_counts_as_updated(phone: Api) -> None:
    """So that the integrity check knows that it was not worked out here."""
    product = phone.product(kcal_100g=165)
    alike, unlike = (
        SOUP
        | {"id": new_id(), "product_id": product["id"], "name": "Chicken Breast", "grams": 100}
        | {"kcal": kcal}
        for kcal in (165, 150)
    )
    assert load_rows(phone, food_entries=[alike, unlike])["rejected"] == {}
    found = {row["id"]: row for row in rows(phone)["food_entries"]}
    assert found[alike["id"]]["updated_at"] is None
    assert found[unlike["id"]]["updated_at"] is not None
    assert found[unlike["id"]]["kcal"] == 150
    call_command("check_integrity", stdout=StringIO())


def test_ids_may_be_in_upper_case(phone: Api) -> None:
    key = new_id()
    product = {"id": key.upper(), "name": "Rice", "kcal_100g": 130}
    entry = SOUP | {"id": new_id().upper(), "product_id": key.upper(), "grams": 100}
    assert load_rows(phone, products=[product], food_entries=[entry])["rejected"] == {}
    assert rows(phone)["food_entries"][0]["product_id"] == key


def test_what_another_device_has_under_the_same_ids_does_not_matter(
    phone: Api, other: Api, exported: dict[str, Any]
) -> None:
    load(phone, exported)
    product = rows(phone)["products"][0]["id"]
    phone.patch(f"/v1/products/{product}", {"name": "Mine"})
    assert rows(other) == exported["rows"]
    third = new_phone()
    load(third, exported)
    assert rows(third) == exported["rows"]


@pytest.mark.parametrize(
    ("body", "loc"),
    [
        ({}, ["body", "format"]),
        ({"format": "countonme-device-1", "rows": {}}, ["body", "format"]),
        ({"format": FORMAT}, ["body", "rows"]),
        ({"format": FORMAT, "rows": []}, ["body", "rows"]),
        ({"format": FORMAT, "rows": {"products": {}}}, ["body", "rows", "products"]),
        ({"format": FORMAT, "rows": {"products": [7]}}, ["body", "rows", "products"]),
        ({"format": FORMAT, "rows": {"products": [{}]}}, ["body", "rows", "products"]),
        ({"format": FORMAT, "rows": {"\ud800": [{}]}}, ["body", "rows"]),
    ],
)
def test_what_is_no_export_is_refused(phone: Api, body: Any, loc: list[str]) -> None:
    assert offences(phone.post("/v1/import", body)) == [(loc, "invalid")]


def test_a_file_of_rows_that_can_not_be_read_is_refused(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serializers, "MAX_UNREADABLE", 2)
    bad = [{"id": str(number)} for number in range(3)]
    for table in ("water_entries", "recipes"):
        assert len(load_rows(phone, **{table: bad[:2]})["rejected"][table]) == 2
        body = {"format": FORMAT, "rows": {table: bad}}
        loc = ["body", "rows", table]
        assert offences(phone.post("/v1/import", body)) == [(loc, "invalid")]


def test_a_body_over_32_mib_is_413(phone: Api) -> None:
    response = phone.post("/v1/import", {}, **{"Content-Length": str(32 * 2**20 + 1)})
    assert response.status_code == 413
    # What it takes is no 413, whatever it is.
    line = json.dumps({"format": "x" * 2**21}).encode()
    assert phone.request("POST", "/v1/import", line).status_code == 422


def test_its_queries_do_not_grow_with_its_rows(phone: Api, other: Api) -> None:
    found = []
    for number in (1, 40):
        for _ in range(number):
            product = other.product()
            other.entry(product_id=product["id"], grams=10)
        exported = export(other)
        with CaptureQueriesContext(connection) as queries:
            assert load(phone, exported)["rejected"] == {}
        found.append(len(queries))
    assert found[0] == found[1]
