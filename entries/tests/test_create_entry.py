"""POST /v1/food-entries."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from entries.models import FoodEntry
from products.nutrients import OPTIONAL
from tests.helpers.api import Api, offences, request_body
from tests.helpers.contract import ENTRY
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/food-entries"
WHEN = {"date": "2025-02-05", "meal_type": "lunch"}
SOUP = WHEN | {"name": "Soup", "kcal": 250}


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product whose fat is unknown."""
    return phone.product(protein_100g=31.02, carbs_100g=0)


@pytest.fixture
def portion(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    """A portion of the product."""
    return phone.portion(product, grams=150)


def stored(phone: Api) -> int:
    """Return how many entries there are, deleted ones included."""
    assert phone.device is not None
    return int(FoodEntry.all_objects.for_device(phone.device).count())


@time_machine.travel(datetime(2030, 2, 5, 12, 30, tzinfo=UTC), tick=False)
def test_grams_of_a_product(phone: Api, product: dict[str, Any]) -> None:
    entry = phone.entry(product_id=product["id"], grams=150.5)
    assert list(entry) == ENTRY
    assert entry == {
        **dict.fromkeys(OPTIONAL),
        "id": entry["id"],
        "product_id": product["id"],
        "portion_id": None,
        "date": "2025-02-05",
        "meal_type": "lunch",
        "name": "Chicken Breast",
        "unit": "g",
        "grams": 150.5,
        "quantity": None,
        "kcal": 248.33,
        "protein": 46.69,
        "carbs": 0,
        "fat": None,
        "eaten_at": None,
        "created_at": "2030-02-05T12:30:00Z",
        "updated_at": None,
    }
    assert phone.get(f"{PATH}/{entry['id']}").json() == entry


@time_machine.travel(datetime(2030, 2, 5, 12, 30, tzinfo=UTC), tick=False)
def test_portions_of_a_product(
    phone: Api, product: dict[str, Any], portion: dict[str, Any]
) -> None:
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=1.5)
    assert list(entry) == ENTRY
    assert entry == {
        **dict.fromkeys(OPTIONAL),
        "id": entry["id"],
        "product_id": product["id"],
        "portion_id": portion["id"],
        "date": "2025-02-05",
        "meal_type": "lunch",
        "name": "Chicken Breast",
        "unit": "g",
        "grams": 225,
        "quantity": 1.5,
        "kcal": 371.25,
        "protein": 69.8,
        "carbs": 0,
        "fat": None,
        "eaten_at": None,
        "created_at": "2030-02-05T12:30:00Z",
        "updated_at": None,
    }
    assert phone.get(f"{PATH}/{entry['id']}").json() == entry


@time_machine.travel(datetime(2030, 2, 5, 12, 30, tzinfo=UTC), tick=False)
def test_something_without_a_product(phone: Api) -> None:
    entry = phone.entry(name="Soup", kcal=250.25, protein=1.5, fat=0, grams=300)
    assert list(entry) == ENTRY
    assert entry == {
        **dict.fromkeys(OPTIONAL),
        "id": entry["id"],
        "product_id": None,
        "portion_id": None,
        "date": "2025-02-05",
        "meal_type": "lunch",
        "name": "Soup",
        "unit": "g",
        "grams": 300,
        "quantity": None,
        "kcal": 250.25,
        "protein": 1.5,
        "carbs": None,
        "fat": 0,
        "eaten_at": None,
        "created_at": "2030-02-05T12:30:00Z",
        "updated_at": None,
    }
    assert phone.get(f"{PATH}/{entry['id']}").json() == entry


def test_without_a_product_nutrients_and_grams_may_be_unknown(phone: Api) -> None:
    unknown = dict.fromkeys(["product_id", "grams", *OPTIONAL, "eaten_at"])
    for sent in ({}, unknown):
        entry = phone.post(PATH, SOUP | sent).json()
        assert {name: entry[name] for name in unknown} == unknown


@pytest.mark.parametrize("sent", [{}, {"quantity": None}])
def test_quantity_is_1_unless_sent(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], sent: dict[str, Any]
) -> None:
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"], **sent)
    assert (entry["quantity"], entry["grams"]) == (1, 150)


@pytest.mark.parametrize(
    ("per_100g", "grams", "kcal"),
    [
        (1, "0.5", 0.01),
        (1, "0.49", 0),
        (1, "2.5", 0.03),
        (1, "4.5", 0.05),
        (107, "2.5", 2.68),
        (1, "0.01", 0),
        (1000, "0.01", 0.1),
        (999, "33.33", 332.97),
        (1000, "10000", 100_000),
        (0, "10000", 0),
    ],
)
def test_kcal_is_rounded_half_up(phone: Api, per_100g: int, grams: str, kcal: float) -> None:
    product = phone.product(kcal_100g=per_100g)
    body = request_body(WHEN | {"product_id": product["id"]}, grams=grams)
    response = phone.post(PATH, body)
    assert response.status_code == 201
    assert response.json()["kcal"] == kcal
    assert phone.get(f"{PATH}/{response.json()['id']}").json()["kcal"] == kcal


@pytest.mark.parametrize(
    ("per_100g", "grams", "share"),
    [(0.5, 1, 0.01), (12.5, 0.2, 0.03), (0.25, 10, 0.03), (0.01, 49.99, 0), (100, 10_000, 10_000)],
)
def test_nutrients_are_rounded_half_up(
    phone: Api, per_100g: float, grams: float, share: float
) -> None:
    for field in OPTIONAL:
        product = phone.product(**{f"{field}_100g": per_100g})
        entry = phone.entry(product_id=product["id"], grams=grams)
        known = dict.fromkeys(OPTIONAL) | {field: share}
        assert {name: entry[name] for name in known} == known


@pytest.mark.parametrize(
    ("portion", "quantity", "grams"),
    [
        ("0.05", "0.1", 0.01),
        ("0.25", "0.1", 0.03),
        ("0.45", "0.1", 0.05),
        ("1.15", "0.5", 0.58),
        ("0.33", "0.33", 0.11),
        ("10000", "1", 10_000),
        ("100", "100", 10_000),
        ("1", "10000", 10_000),
        ("0.01", "0.5", 0.01),
        ("100.01", "99.99", 10_000),
        ("10000", "0.01", 100),
    ],
)
def test_grams_are_portion_grams_times_quantity_rounded_half_up(
    phone: Api, product: dict[str, Any], portion: str, quantity: str, grams: float
) -> None:
    path = f"/v1/products/{product['id']}/portions"
    chosen = phone.post(path, request_body({"name": "x"}, grams=portion)).json()
    body = WHEN | {"product_id": product["id"], "portion_id": chosen["id"]}
    entry = phone.post(PATH, request_body(body, quantity=quantity)).json()
    assert (entry["grams"], entry["quantity"]) == (grams, float(quantity))


def test_kcal_follows_from_the_rounded_grams(phone: Api) -> None:
    product = phone.product(kcal_100g=1000)
    portion = phone.portion(product, grams=0.33)
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=0.5)
    assert (entry["grams"], entry["kcal"]) == (0.17, 1.7)


@pytest.mark.parametrize(
    ("grams", "quantity"),
    [(10_000, 1.01), (5000.01, 2), (10_000, 100), (0.01, 0.01), (0.04, 0.1), (0.49, 0.01)],
)
def test_grams_over_10000_or_rounded_to_0_are_refused(
    phone: Api, product: dict[str, Any], grams: float, quantity: float
) -> None:
    portion = phone.portion(product, grams=grams)
    body = {"product_id": product["id"], "portion_id": portion["id"], "quantity": quantity}
    assert offences(phone.post(PATH, WHEN | body))
    assert stored(phone) == 0


@pytest.mark.parametrize(
    "ignored",
    [
        {"name": "Soup", "kcal": 1, "protein": 1, "carbs": 1, "fat": 1},
        {"name": None, "kcal": None},
        {"name": "", "kcal": -1},
        {"name": 5, "kcal": "1", "protein": [], "carbs": {}, "fat": True},
        {"name": "\x00", "kcal": 10_001},
    ],
)
def test_name_and_kcal_sent_with_a_product_are_ignored(
    phone: Api, product: dict[str, Any], ignored: dict[str, Any]
) -> None:
    entry = phone.entry(product_id=product["id"], grams=100, **ignored)
    assert [entry[name] for name in ("name", "kcal", "protein", "carbs", "fat")] == [
        "Chicken Breast",
        165,
        31.02,
        0,
        None,
    ]


@pytest.mark.parametrize("quantity", [{}, {"quantity": 2}])
def test_grams_with_a_portion_are_refused(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], quantity: dict[str, int]
) -> None:
    body = {"product_id": product["id"], "portion_id": portion["id"], "grams": 150} | quantity
    assert [loc for loc, _ in offences(phone.post(PATH, WHEN | body))] == [["body"]]
    assert stored(phone) == 0


@pytest.mark.parametrize(
    "amount", [{}, {"grams": None}, {"portion_id": None}, {"quantity": 2}, {"name": "x", "kcal": 1}]
)
def test_neither_grams_nor_a_portion_is_refused(
    phone: Api, product: dict[str, Any], amount: dict[str, Any]
) -> None:
    response = phone.post(PATH, WHEN | {"product_id": product["id"]} | amount)
    assert [loc for loc, _ in offences(response)] == [["body"]]
    assert stored(phone) == 0


def test_a_null_beside_the_amount_is_as_if_it_were_not_there(
    phone: Api, product: dict[str, Any], portion: dict[str, Any]
) -> None:
    phone.entry(product_id=product["id"], grams=1, portion_id=None, quantity=None)
    phone.entry(product_id=product["id"], portion_id=portion["id"], grams=None)


def test_a_portion_without_its_product_is_refused(phone: Api, portion: dict[str, Any]) -> None:
    for body in (SOUP, SOUP | {"product_id": None}):
        response = phone.post(PATH, body | {"portion_id": portion["id"]})
        assert offences(response) == [(["body", "product_id"], "required")]
    assert stored(phone) == 0


def test_without_a_product_the_unit_is_g_unless_sent(phone: Api) -> None:
    assert [phone.entry()["unit"], phone.entry(unit="ml")["unit"]] == ["g", "ml"]


def test_with_a_product_the_unit_is_that_of_the_product(phone: Api) -> None:
    for unit, sent in (("ml", "g"), ("ml", "pint"), ("g", "ml"), ("g", None)):
        product = phone.product(unit=unit)
        entry = phone.entry(product_id=product["id"], grams=1, unit=sent)
        assert entry["unit"] == unit


@pytest.mark.parametrize("deleted", [False, True])
def test_an_unknown_or_deleted_product_is_404(phone: Api, deleted: bool) -> None:
    product: dict[str, Any] = phone.product() if deleted else {"id": str(uuid.uuid4())}
    (portion,) = phone.get(f"/v1/products/{product['id']}/portions").json() if deleted else (None,)
    phone.delete(f"/v1/products/{product['id']}")
    amounts: list[dict[str, Any]] = [
        {"grams": 100},
        {"portion_id": portion["id"] if portion else str(uuid.uuid4())},
    ]
    for amount in amounts:
        response = phone.post(PATH, WHEN | {"product_id": product["id"]} | amount)
        assert response.status_code == 404
        assert response.json() == {"detail": "Product not found"}
    assert stored(phone) == 0


@pytest.mark.parametrize("which", ["unknown", "deleted", "another product's"])
def test_an_unknown_or_deleted_portion_is_404(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], which: str
) -> None:
    portion_id = {
        "unknown": str(uuid.uuid4()),
        "deleted": portion["id"],
        "another product's": phone.portion(phone.product())["id"],
    }[which]
    if which == "deleted":
        phone.delete(f"/v1/portions/{portion['id']}")
    body = WHEN | {"product_id": product["id"], "portion_id": portion_id}
    response = phone.post(PATH, body)
    assert response.status_code == 404
    assert response.json() == {"detail": "Portion not found"}
    assert stored(phone) == 0


def test_the_body_is_checked_before_what_it_names_is_looked_up(phone: Api) -> None:
    body = {"product_id": str(uuid.uuid4()), "grams": 0, "date": "2025-02-05"}
    assert sorted(offences(phone.post(PATH, body))) == [
        (["body", "grams"], "min_value"),
        (["body", "meal_type"], "required"),
    ]


def test_later_changes_of_the_product_leave_the_entry(
    phone: Api, product: dict[str, Any], portion: dict[str, Any]
) -> None:
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"])
    phone.patch(f"/v1/products/{product['id']}", {"name": "Duck", "kcal_100g": 337})
    phone.patch(f"/v1/portions/{portion['id']}", {"grams": 1})
    phone.delete(f"/v1/products/{product['id']}")
    assert phone.get(f"{PATH}/{entry['id']}").json() == entry


def test_a_repeated_request_may_be_of_another_sort(phone: Api, product: dict[str, Any]) -> None:
    entry = phone.entry()
    body = WHEN | {"id": entry["id"], "product_id": product["id"], "grams": 1}
    response = phone.post(PATH, body)
    assert (response.status_code, response.json()) == (200, entry)
    assert phone.get(PATH).json() == [entry]


def test_a_repeated_request_is_safe_after_its_product_was_deleted(
    phone: Api, product: dict[str, Any]
) -> None:
    entry = phone.entry(product_id=product["id"], grams=100)
    phone.delete(f"/v1/products/{product['id']}")
    body = WHEN | {"id": entry["id"], "product_id": product["id"], "grams": 100}
    response = phone.post(PATH, body)
    assert (response.status_code, response.json()) == (200, entry)


def test_all_meals_of_a_day_count_towards_its_quota_and_no_other_days(
    phone: Api, settings: Any
) -> None:
    settings.MAX_ENTRIES_PER_DAY = 2
    phone.entry(), phone.entry(meal_type="dinner")
    assert phone.post(PATH, SOUP).status_code == 409
    phone.entry(date="2025-02-06")


@pytest.mark.django_db(transaction=True)
def test_a_product_deleted_at_once_was_logged_before_or_not_at_all(phone: Api) -> None:
    for _ in range(3):
        product = phone.product()
        body = WHEN | {"product_id": product["id"], "grams": 100}
        logged, deleted = at_once(
            partial(as_thread(phone).post, PATH, body),
            partial(as_thread(phone).delete, f"/v1/products/{product['id']}"),
        )
        assert deleted.status_code == 204
        assert logged.status_code in (201, 404)
        found = phone.get(f"{PATH}?product_id={product['id']}").json()
        assert len(found) == (logged.status_code == 201)
