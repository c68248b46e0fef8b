"""PUT and PATCH /v1/food-entries/{id}, which do the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from products.nutrients import NAMES, OPTIONAL
from tests.helpers.api import Api, offences
from tests.helpers.contract import ENTRY
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/food-entries"
WHEN = {"date": "2025-02-05", "meal_type": "lunch"}

CUSTOM = {
    **dict.fromkeys(NAMES, 0.5),
    "name": "Crème",
    "unit": "ml",
    "kcal": 250.25,
    "protein": 1.5,
    "carbs": 20,
    "fat": 3,
    "grams": 300,
    "eaten_at": "2025-02-05T12:30:00Z",
}


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product of 100 kcal."""
    return phone.product(name="Bread", kcal_100g=100, protein_100g=10)


@pytest.fixture
def another(phone: Api) -> dict[str, Any]:
    """A product of 200 kcal."""
    return phone.product(name="Butter", kcal_100g=200, fat_100g=80)


@pytest.fixture
def portion(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    """A portion of the product."""
    return phone.portion(product, name="1 slice", grams=50)


@pytest.fixture
def by_grams(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    """120 g of the product."""
    return phone.entry(product_id=product["id"], grams=120)


@pytest.fixture
def by_portion(phone: Api, product: dict[str, Any], portion: dict[str, Any]) -> dict[str, Any]:
    """Two portions of the product, 100 g."""
    return phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=2)


@pytest.fixture
def custom(phone: Api) -> dict[str, Any]:
    """An entry without a product, whose every field is known."""
    return phone.entry(**CUSTOM)


@pytest.fixture
def update(phone: Api) -> Callable[..., Any]:
    """Send an update of an entry."""

    def send(entry: dict[str, Any], body: Any) -> Any:
        return phone.put(f"{PATH}/{entry['id']}", body)

    return send


@pytest.fixture
def change(update: Any) -> Callable[..., dict[str, Any]]:
    """Send an update that is to succeed; return what it changed, `updated_at` aside."""

    def send(entry: dict[str, Any], body: Any) -> dict[str, Any]:
        response = update(entry, body)
        assert response.status_code == 200, response.content
        after = response.json()
        changed = {name: after[name] for name in ENTRY if after[name] != entry[name]}
        assert (changed.pop("updated_at", None) is not None) == bool(changed)
        return changed

    return send


def change_sources(phone: Api, entry: dict[str, Any]) -> None:
    """Change the product and the portion of an entry."""
    body = {"name": "Toast", "kcal_100g": 300, "protein_100g": None, "carbs_100g": 50}
    assert phone.patch(f"/v1/products/{entry['product_id']}", body).status_code == 200
    if entry["portion_id"]:
        path = f"/v1/portions/{entry['portion_id']}"
        assert phone.patch(path, {"grams": 60}).status_code == 200


@pytest.mark.parametrize("kind", ["by_grams", "by_portion", "custom"])
@pytest.mark.parametrize(
    "body",
    [
        {"grams": 10},
        {"quantity": 3},
        {"product_id": None, "portion_id": None, "kcal": 1},
        {"portion_id": None},
        {"grams": None},
    ],
)
@time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False)
def test_put_and_patch_do_the_same(
    phone: Api, request: pytest.FixtureRequest, kind: str, body: Any
) -> None:
    first = request.getfixturevalue(kind)
    sent = ("product_id", "portion_id", "quantity") if first["portion_id"] else ("product_id",)
    amount = {"grams": first["grams"]} if first["portion_id"] is None else {}
    second = phone.entry(
        **(CUSTOM if kind == "custom" else {name: first[name] for name in sent} | amount)
    )
    put = phone.put(f"{PATH}/{first['id']}", body)
    patch = phone.patch(f"{PATH}/{second['id']}", body)
    assert put.status_code == patch.status_code
    assert {**put.json(), "id": None} == {**patch.json(), "id": None}


@pytest.mark.parametrize(
    ("field", "value"),
    [("date", "2025-02-06"), ("meal_type", "snacks"), ("eaten_at", "2025-02-05T12:30:00Z")],
)
def test_with_a_product_a_field_left_out_keeps_its_value(
    phone: Api, by_portion: dict[str, Any], change: Any, field: str, value: Any
) -> None:
    change_sources(phone, by_portion)
    assert change(by_portion, {field: value}) == {field: value}


@pytest.mark.parametrize("kind", ["by_grams", "by_portion", "custom"])
def test_a_whole_record_sent_back_changes_nothing(
    phone: Api, request: pytest.FixtureRequest, change: Any, kind: str
) -> None:
    entry = request.getfixturevalue(kind)
    assert change(entry, entry) == {}
    if entry["product_id"]:
        change_sources(phone, entry)
        assert change(entry, entry) == {}
        phone.delete(f"/v1/products/{entry['product_id']}")
        assert change(entry, entry) == {}


@pytest.mark.parametrize("kind", ["by_grams", "by_portion"])
def test_a_whole_record_with_another_day_changes_only_the_day(
    phone: Api, request: pytest.FixtureRequest, change: Any, kind: str
) -> None:
    entry = request.getfixturevalue(kind)
    change_sources(phone, entry)
    assert change(entry, entry | {"date": "2025-02-06"}) == {"date": "2025-02-06"}


@pytest.mark.parametrize(
    "names",
    [["product_id"], ["portion_id"], ["quantity"], ["grams", "quantity"], ["grams", "portion_id"]],
)
def test_the_same_values_are_not_calculated_again(
    phone: Api, by_portion: dict[str, Any], change: Any, names: list[str]
) -> None:
    change_sources(phone, by_portion)
    assert change(by_portion, {name: by_portion[name] for name in names}) == {}


def test_the_same_grams_are_not_calculated_again(
    phone: Api, by_grams: dict[str, Any], change: Any
) -> None:
    change_sources(phone, by_grams)
    assert change(by_grams, {"grams": 120}) == {}


@pytest.mark.parametrize("kind", ["by_grams", "by_portion"])
@pytest.mark.parametrize(
    "ignored",
    [
        {"name": "Soup", "unit": "ml", **dict.fromkeys(NAMES, 3)},
        {"name": None, "unit": "pint", **dict.fromkeys(NAMES, "x")},
    ],
)
def test_what_a_product_decides_sent_with_a_product_are_ignored(
    request: pytest.FixtureRequest, change: Any, kind: str, ignored: dict[str, Any]
) -> None:
    entry = request.getfixturevalue(kind)
    assert change(entry, {"product_id": entry["product_id"]} | ignored) == {}


def test_what_the_product_of_an_entry_decides_is_ignored(
    by_grams: dict[str, Any], change: Any
) -> None:
    body = {"name": "Soup", "unit": "ml", **dict.fromkeys(NAMES, 1)}
    assert change(by_grams, body) == {}


def test_another_product_brings_its_unit(phone: Api, by_grams: dict[str, Any], change: Any) -> None:
    drink = phone.product(name="Juice", unit="ml")
    assert change(by_grams, {"product_id": drink["id"]})["unit"] == "ml"


def test_more_kcal_than_may_be_sent_come_back_with_the_whole_record(
    phone: Api, change: Any
) -> None:
    product = phone.product(kcal_100g=1000, fat_100g=100)
    entry = phone.entry(product_id=product["id"], grams=10_000)
    assert (entry["kcal"], entry["fat"]) == (100_000, 10_000)
    assert change(entry, entry | {"meal_type": "dinner"}) == {"meal_type": "dinner"}


@pytest.mark.parametrize("also", [{}, {"portion_id": None}, {"portion_id": None, "quantity": 2}])
def test_new_grams_are_worked_out_from_the_product_as_it_is_now(
    phone: Api, by_grams: dict[str, Any], change: Any, also: dict[str, Any]
) -> None:
    change_sources(phone, by_grams)
    assert change(by_grams, {"grams": 100} | also) == {
        "name": "Toast",
        "grams": 100,
        "kcal": 300,
        "protein": None,
        "carbs": 50,
    }


def test_a_new_quantity_is_worked_out_from_product_and_portion_as_they_are_now(
    phone: Api, by_portion: dict[str, Any], change: Any
) -> None:
    change_sources(phone, by_portion)
    assert change(by_portion, {"quantity": 3}) == {
        "name": "Toast",
        "grams": 180,
        "quantity": 3,
        "kcal": 540,
        "protein": None,
        "carbs": 90,
    }


@pytest.mark.parametrize("also", [{}, {"grams": 1}, {"grams": 0}, {"quantity": 2}])
def test_a_new_portion_wins_over_grams(
    phone: Api,
    product: dict[str, Any],
    by_portion: dict[str, Any],
    change: Any,
    also: dict[str, Any],
) -> None:
    loaf = phone.portion(product, name="1 loaf", grams=500)
    assert change(by_portion, {"portion_id": loaf["id"]} | also) == {
        "portion_id": loaf["id"],
        "grams": 1000,
        "kcal": 1000,
        "protein": 100,
    }


@pytest.mark.parametrize("grams", [1, 0, -1, 10_001, "x"])
def test_the_same_portion_wins_over_grams(
    by_portion: dict[str, Any], change: Any, grams: Any
) -> None:
    assert change(by_portion, {"portion_id": by_portion["portion_id"], "grams": grams}) == {}
    assert change(by_portion, by_portion | {"grams": grams}) == {}


@pytest.mark.parametrize(
    ("also", "quantity"), [({}, 1), ({"quantity": None}, 1), ({"quantity": 3}, 3)]
)
def test_a_portion_turns_a_grams_entry_into_a_portion_entry(
    portion: dict[str, Any],
    by_grams: dict[str, Any],
    change: Any,
    also: dict[str, Any],
    quantity: int,
) -> None:
    assert change(by_grams, by_grams | {"portion_id": portion["id"]} | also) == {
        "portion_id": portion["id"],
        "quantity": quantity,
        "grams": 50 * quantity,
        "kcal": 50 * quantity,
        "protein": 5 * quantity,
    }


def test_grams_alone_turn_a_portion_entry_into_a_grams_entry(
    by_portion: dict[str, Any], change: Any
) -> None:
    assert change(by_portion, {"grams": 80}) == {
        "portion_id": None,
        "quantity": None,
        "grams": 80,
        "kcal": 80,
        "protein": 8,
    }


def test_the_same_grams_alone_turn_it_too_without_a_new_calculation(
    phone: Api, by_portion: dict[str, Any], change: Any
) -> None:
    change_sources(phone, by_portion)
    assert change(by_portion, {"grams": 100}) == {"portion_id": None, "quantity": None}


@pytest.mark.parametrize("null", [None, ""])
def test_a_whole_record_with_portion_null_turns_a_portion_entry_into_a_grams_entry(
    by_portion: dict[str, Any], change: Any, null: str | None
) -> None:
    assert change(by_portion, by_portion | {"portion_id": null, "grams": 80}) == {
        "portion_id": None,
        "quantity": None,
        "grams": 80,
        "kcal": 80,
        "protein": 8,
    }


@pytest.mark.parametrize("kind", ["by_grams", "by_portion"])
def test_without_an_amount_of_it_a_product_entry_is_refused(
    request: pytest.FixtureRequest, phone: Api, update: Any, kind: str
) -> None:
    entry = request.getfixturevalue(kind)
    assert [loc for loc, _ in offences(update(entry, {"grams": None}))] == [["body", "grams"]]
    body = {"grams": None, "portion_id": None}
    assert [loc for loc, _ in offences(update(entry, body))] == [["body", "grams"]]
    assert phone.get(f"{PATH}/{entry['id']}").json() == entry


@pytest.mark.parametrize("deleted", ["product", "portion"])
def test_what_was_deleted_is_worked_out_from_its_stored_row(
    phone: Api,
    product: dict[str, Any],
    portion: dict[str, Any],
    by_portion: dict[str, Any],
    change: Any,
    deleted: str,
) -> None:
    change_sources(phone, by_portion)
    row = {"product": product, "portion": portion}[deleted]
    assert phone.delete(f"/v1/{deleted}s/{row['id']}").status_code == 204
    assert change(by_portion, by_portion | {"quantity": 1}) == {
        "name": "Toast",
        "grams": 60,
        "quantity": 1,
        "kcal": 180,
        "protein": None,
        "carbs": 30,
    }


def test_grams_of_a_deleted_product_are_worked_out_from_its_stored_row(
    phone: Api, by_portion: dict[str, Any], change: Any
) -> None:
    phone.delete(f"/v1/products/{by_portion['product_id']}")
    assert change(by_portion, {"grams": 10}) == {
        "portion_id": None,
        "quantity": None,
        "grams": 10,
        "kcal": 10,
        "protein": 1,
    }


def test_a_deleted_product_that_the_entry_does_not_name_is_404(
    phone: Api, another: dict[str, Any], by_grams: dict[str, Any], update: Any
) -> None:
    phone.delete(f"/v1/products/{another['id']}")
    response = update(by_grams, {"product_id": another["id"]})
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}
    assert phone.get(f"{PATH}/{by_grams['id']}").json() == by_grams


def test_a_deleted_portion_that_the_entry_does_not_name_is_404(
    phone: Api, portion: dict[str, Any], by_grams: dict[str, Any], update: Any
) -> None:
    phone.delete(f"/v1/portions/{portion['id']}")
    response = update(by_grams, {"portion_id": portion["id"]})
    assert response.status_code == 404
    assert response.json() == {"detail": "Portion not found"}
    assert phone.get(f"{PATH}/{by_grams['id']}").json() == by_grams


@pytest.mark.parametrize("field", ["product_id", "portion_id"])
def test_an_unknown_product_or_portion_is_404(
    phone: Api, by_portion: dict[str, Any], update: Any, field: str
) -> None:
    response = update(by_portion, by_portion | {field: str(uuid.uuid4())})
    assert response.status_code == 404
    noun = {"product_id": "Product", "portion_id": "Portion"}[field]
    assert response.json() == {"detail": f"{noun} not found"}
    assert phone.get(f"{PATH}/{by_portion['id']}").json() == by_portion


def test_another_product_keeps_the_grams(
    another: dict[str, Any], by_grams: dict[str, Any], change: Any
) -> None:
    assert change(by_grams, {"product_id": another["id"]}) == {
        "product_id": another["id"],
        "name": "Butter",
        "kcal": 240,
        "protein": None,
        "fat": 96,
    }


def test_another_product_by_its_portion(
    phone: Api, another: dict[str, Any], by_portion: dict[str, Any], change: Any
) -> None:
    pat = phone.portion(another, name="1 pat", grams=5)
    body = {"product_id": another["id"], "portion_id": pat["id"]}
    assert change(by_portion, body) == body | {
        "name": "Butter",
        "grams": 10,
        "kcal": 20,
        "protein": None,
        "fat": 8,
    }


def test_another_product_with_the_portion_of_the_old_one_is_404(
    phone: Api, another: dict[str, Any], by_portion: dict[str, Any], update: Any
) -> None:
    response = update(by_portion, by_portion | {"product_id": another["id"]})
    assert response.status_code == 404
    assert response.json() == {"detail": "Portion not found"}
    assert phone.get(f"{PATH}/{by_portion['id']}").json() == by_portion


def test_another_product_alone_leaves_a_portion_entry_without_a_portion_and_is_refused(
    phone: Api, another: dict[str, Any], by_portion: dict[str, Any], update: Any
) -> None:
    assert offences(update(by_portion, {"product_id": another["id"]}))
    assert phone.get(f"{PATH}/{by_portion['id']}").json() == by_portion


def test_another_product_and_grams_turn_a_portion_entry(
    another: dict[str, Any], by_portion: dict[str, Any], change: Any
) -> None:
    assert change(by_portion, {"product_id": another["id"], "grams": 10}) == {
        "product_id": another["id"],
        "portion_id": None,
        "quantity": None,
        "name": "Butter",
        "grams": 10,
        "kcal": 20,
        "protein": None,
        "fat": 8,
    }


@pytest.mark.parametrize(("grams", "quantity"), [(10_000, 1.01), (0.01, 0.01)])
def test_grams_over_10000_or_rounded_to_0_are_refused(
    phone: Api,
    product: dict[str, Any],
    by_portion: dict[str, Any],
    update: Any,
    grams: float,
    quantity: float,
) -> None:
    portion = phone.portion(product, grams=grams)
    body = {"portion_id": portion["id"], "quantity": quantity}
    assert offences(update(by_portion, body))
    assert phone.get(f"{PATH}/{by_portion['id']}").json() == by_portion


@pytest.mark.parametrize("null", [None, "", "  "])
def test_product_null_keeps_what_was_worked_out(
    phone: Api,
    by_grams: dict[str, Any],
    by_portion: dict[str, Any],
    change: Any,
    null: str | None,
) -> None:
    change_sources(phone, by_portion)
    assert change(by_grams, {"product_id": null}) == {"product_id": None}
    assert change(by_portion, {"product_id": null}) == {
        "product_id": None,
        "portion_id": None,
        "quantity": None,
    }


@pytest.mark.parametrize("null", [None, ""])
def test_product_null_takes_what_is_sent(
    by_grams: dict[str, Any], change: Any, null: str | None
) -> None:
    body = {"name": "Soup", "kcal": 1, "protein": None, "grams": None}
    assert change(by_grams, body | {"product_id": null}) == body | {"product_id": None}


def test_a_portion_without_a_product_is_refused(
    phone: Api, by_portion: dict[str, Any], custom: dict[str, Any], update: Any
) -> None:
    for entry in (by_portion, custom):
        body = {"product_id": None, "portion_id": by_portion["portion_id"]}
        assert offences(update(entry, body)) == [(["body", "product_id"], "required")]
        assert phone.get(f"{PATH}/{entry['id']}").json() == entry
    body = {"portion_id": by_portion["portion_id"]}
    assert offences(update(custom, body)) == [(["body", "product_id"], "required")]


def test_null_for_what_an_entry_does_not_have_changes_nothing(
    custom: dict[str, Any], change: Any
) -> None:
    assert change(custom, {"product_id": None, "portion_id": None, "quantity": None}) == {}


def test_a_quantity_without_a_portion_is_ignored(
    by_grams: dict[str, Any], custom: dict[str, Any], change: Any
) -> None:
    assert change(by_grams, {"quantity": 2}) == {}
    assert change(custom, {"quantity": 2}) == {}


def test_a_product_by_grams_takes_the_place_of_a_custom_entry(
    product: dict[str, Any], custom: dict[str, Any], change: Any
) -> None:
    body = {"product_id": product["id"], "grams": 200}
    assert change(custom, body) == body | dict.fromkeys(OPTIONAL) | {
        "name": "Bread",
        "unit": "g",
        "kcal": 200,
        "protein": 20,
    }


def test_a_product_by_portion_takes_the_place_of_a_custom_entry(
    product: dict[str, Any], portion: dict[str, Any], custom: dict[str, Any], change: Any
) -> None:
    body = {"product_id": product["id"], "portion_id": portion["id"]}
    assert change(custom, custom | body) == body | dict.fromkeys(OPTIONAL) | {
        "quantity": 1,
        "name": "Bread",
        "unit": "g",
        "grams": 50,
        "kcal": 50,
        "protein": 5,
    }


def test_a_product_takes_the_grams_of_a_custom_entry(
    product: dict[str, Any], custom: dict[str, Any], change: Any
) -> None:
    changed = change(custom, {"product_id": product["id"]})
    assert (changed["name"], changed["kcal"], "grams" in changed) == ("Bread", 300, False)


def test_a_product_without_an_amount_is_refused(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    custom = phone.entry()
    response = update(custom, {"product_id": product["id"]})
    assert [loc for loc, _ in offences(response)] == [["body", "grams"]]
    assert phone.get(f"{PATH}/{custom['id']}").json() == custom


def test_kcal_and_macros_stay_when_the_grams_of_a_custom_entry_change(
    custom: dict[str, Any], change: Any
) -> None:
    assert change(custom, {"grams": 1}) == {"grams": 1}


def test_a_record_moves_to_another_day_and_its_statistics_with_it(
    phone: Api, by_grams: dict[str, Any], change: Any
) -> None:
    change(by_grams, {"date": "2025-02-06"})
    assert phone.get(f"{PATH}?date=2025-02-05").json() == []
    assert len(phone.get(f"{PATH}?date=2025-02-06").json()) == 1
    assert phone.get("/v1/stats/day/2025-02-06").json()["totals"]["kcal"] == 120


def test_a_full_day_takes_no_other_days_entry(
    phone: Api, custom: dict[str, Any], update: Any, settings: Any
) -> None:
    settings.MAX_ENTRIES_PER_DAY = 1
    moved = phone.entry(date="2025-02-06")
    response = update(moved, {"date": "2025-02-05", "kcal": 1})
    assert response.status_code == 409
    assert response.json() == {"detail": "A day has at most 1 food entries"}
    assert phone.get(f"{PATH}/{moved['id']}").json() == moved


def test_a_full_day_lets_its_own_entries_change(
    custom: dict[str, Any], change: Any, settings: Any
) -> None:
    settings.MAX_ENTRIES_PER_DAY = 1
    assert change(custom, custom | {"kcal": 1}) == {"kcal": 1}
    assert change(custom | {"kcal": 1}, {"date": "2025-02-06"})["date"] == "2025-02-06"


@pytest.mark.django_db(transaction=True)
def test_the_quota_holds_when_two_move_to_a_day_at_once(phone: Api, settings: Any) -> None:
    settings.MAX_ENTRIES_PER_DAY = 1
    entries = [phone.entry(date=f"2025-03-0{n}") for n in range(1, 5)]
    answers = at_once(
        *(
            partial(as_thread(phone).patch, f"{PATH}/{entry['id']}", {"date": WHEN["date"]})
            for entry in entries
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
