"""PUT and PATCH /v1/products/{id}, which do the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine

from products.models import Product
from products.nutrients import COLUMNS_100G
from tests.helpers.api import Api, offences, request_body
from tests.helpers.contract import PRODUCT
from tests.helpers.values import MALFORMED, WELL_FORMED

FULL = {
    **dict.fromkeys(COLUMNS_100G, 1.5),
    "name": "Crème",
    "brand": "Farm",
    "unit": "ml",
    "kcal_100g": 300,
    "protein_100g": 20,
    "carbs_100g": 30.5,
    "fat_100g": 40,
    "barcode": "4006381333931",
}
REFUSED = [
    ("name", "", "blank"),
    ("name", "a" * 101, "max_length"),
    ("name", "a\x00", "invalid"),
    ("name", 5, "invalid"),
    ("brand", "a" * 101, "max_length"),
    ("brand", 5, "invalid"),
    ("unit", "kg", "invalid_choice"),
    ("unit", None, "null"),
    *((column, -0.01, "min_value") for column in COLUMNS_100G[1:]),
    *((column, 100.01, "max_value") for column in COLUMNS_100G[1:]),
    ("kcal_100g", -1, "min_value"),
    ("kcal_100g", 1001, "max_value"),
    ("kcal_100g", "165", "invalid"),
    ("kcal_100g", True, "invalid"),
    ("protein_100g", -0.01, "min_value"),
    ("carbs_100g", 100.01, "max_value"),
    ("fat_100g", 100.005, "max_value"),
    ("fat_100g", "1", "invalid"),
    ("barcode", "4006381333932", "invalid"),
    ("barcode", 4006381333931, "invalid"),
]


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product whose every field is known."""
    return phone.product(**FULL)


@pytest.fixture
def update(phone: Api) -> Callable[..., Any]:
    """Send an update of a product."""

    def send(product: dict[str, Any], body: Any) -> Any:
        return phone.put(f"/v1/products/{product['id']}", body)

    return send


def test_it_works(phone: Api, product: dict[str, Any], update: Any) -> None:
    changes = {
        **dict.fromkeys(COLUMNS_100G, 0.25),
        "name": "Milk",
        "brand": "Dairy",
        "unit": "ml",
        "kcal_100g": 64,
        "protein_100g": 3.3,
        "carbs_100g": 4.8,
        "fat_100g": 3.5,
        "barcode": "96385074",
    }
    with time_machine.travel(datetime(2030, 2, 5, 12, 30, tzinfo=UTC), tick=False):
        response = update(product, changes)
    assert response.status_code == 200
    assert response.json() == product | changes | {"updated_at": "2030-02-05T12:30:00Z"}
    assert list(response.json()) == PRODUCT
    assert phone.get(f"/v1/products/{product['id']}").json() == response.json()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Milk"},
        {"protein_100g": None, "carbs_100g": 1},
        {"name": None},
        {"protein_100g": 50},
        {"kcal_100g": "1"},
        {"colour": "red"},
        [],
    ],
)
@time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False)
def test_put_and_patch_do_the_same(phone: Api, body: Any) -> None:
    answers = [
        phone.request(method, f"/v1/products/{phone.product(**FULL)['id']}", body)
        for method in ("PUT", "PATCH")
    ]
    contents = [{**answer.json(), "id": None} for answer in answers]
    assert answers[0].status_code == answers[1].status_code
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Milk"),
        ("brand", "Dairy"),
        ("brand", None),
        *((column, 0.5) for column in COLUMNS_100G[1:]),
        ("kcal_100g", 64),
        ("protein_100g", 0),
        ("carbs_100g", None),
        ("fat_100g", 39.99),
        ("barcode", None),
    ],
)
def test_a_field_left_out_keeps_its_value(
    product: dict[str, Any], update: Any, field: str, value: Any
) -> None:
    changed = update(product, {field: value}).json()
    assert changed == product | {field: value, "updated_at": changed["updated_at"]}


@pytest.mark.parametrize("field", ["name", "kcal_100g"])
def test_null_is_refused_where_a_field_cannot_be(
    product: dict[str, Any], update: Any, field: str
) -> None:
    assert offences(update(product, {field: None})) == [(["body", field], "null")]


@pytest.mark.parametrize("field", ["protein_100g", "carbs_100g", "fat_100g", "barcode"])
def test_null_clears_what_may_be_unknown(
    phone: Api, product: dict[str, Any], update: Any, field: str
) -> None:
    assert update(product, {field: None}).json()[field] is None
    assert phone.get(f"/v1/products/{product['id']}").json()[field] is None


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        request_body(FULL),
        request_body({}, name='" Cre\\u0300me\\n"'),
        request_body({}, kcal_100g="300.0"),
        request_body({}, protein_100g="20.00", carbs_100g="3.050e1"),
        request_body({"colour": "red"}),
        request_body({"created_at": "1999-01-01T00:00:00Z", "updated_at": None}),
    ],
)
def test_an_update_that_changes_nothing_leaves_updated_at(
    phone: Api, product: dict[str, Any], update: Any, body: bytes
) -> None:
    response = update(product, body)
    assert (response.status_code, response.json()) == (200, product)
    changed = phone.patch(f"/v1/products/{product['id']}", {"kcal_100g": 301}).json()
    assert update(product, request_body({"kcal_100g": 301})).json() == changed


def test_a_whole_record_sent_back_changes_nothing(product: dict[str, Any], update: Any) -> None:
    assert update(product, product).json() == product


def test_another_unit_is_409_and_changes_nothing(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    response = update(product, {"name": "Milk", "unit": "g"})
    assert response.status_code == 409
    assert response.json() == {"detail": "The unit of a product can't be changed"}
    assert phone.get(f"/v1/products/{product['id']}").json() == product


@pytest.mark.parametrize(
    "changes", [{"protein_100g": 34.51}, {"carbs_100g": 45.01}, {"fat_100g": 50, "carbs_100g": 36}]
)
def test_macros_are_summed_with_those_stored(
    phone: Api, product: dict[str, Any], update: Any, changes: dict[str, Any]
) -> None:
    assert [loc for loc, _ in offences(update(product, changes))] == [["body"]]
    assert phone.get(f"/v1/products/{product['id']}").json() == product


@pytest.mark.parametrize(
    "changes",
    [
        {"protein_100g": 34.5},
        {"protein_100g": 60, "fat_100g": 14.5},
        {"protein_100g": 74.5, "fat_100g": None},
    ],
)
def test_macros_may_be_105_with_those_stored(
    product: dict[str, Any], update: Any, changes: dict[str, Any]
) -> None:
    assert update(product, changes).status_code == 200


def test_fields_are_checked(phone: Api, product: dict[str, Any], update: Any) -> None:
    for field, value, code in REFUSED:
        assert offences(update(product, {field: value})) == [(["body", field], code)], value
    assert phone.get(f"/v1/products/{product['id']}").json() == product


def test_one_invalid_field_lets_no_other_through(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    response = update(product, {"name": "Milk", "kcal_100g": -1, "fat_100g": "1"})
    assert len(offences(response)) == 2
    assert phone.get(f"/v1/products/{product['id']}").json() == product


def test_unknown_and_read_only_fields_are_ignored(
    phone: Api, other: Api, product: dict[str, Any], update: Any
) -> None:
    assert other.device is not None
    body = {
        "colour": "red",
        "created_at": "1999-01-01T00:00:00Z",
        "deleted_at": "1999-01-01T00:00:00Z",
        "device_id": str(other.device.pk),
        "revision": 9,
        "name_folded": "z",
    }
    assert update(product, body).json() == product
    assert phone.get("/v1/products").json() == [product]


@pytest.mark.parametrize("whose", ["nobody's", "mine", "another's"])
def test_an_id_in_the_body_is_ignored(
    phone: Api, other: Api, product: dict[str, Any], update: Any, whose: str
) -> None:
    owner = {"mine": phone, "another's": other}.get(whose)
    named = owner.product() if owner else {"id": str(uuid.uuid4())}
    response = update(product, {"id": named["id"], "kcal_100g": 1})
    assert response.status_code == 200
    assert response.json().items() >= {"id": product["id"], "kcal_100g": 1}.items()
    if owner:
        assert owner.get(f"/v1/products/{named['id']}").json() == named


def test_entries_logged_from_it_stay_as_they_are(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    entry = phone.entry(product_id=product["id"], grams=150)
    update(product, {"name": "Milk", "kcal_100g": 1, "protein_100g": None})
    assert phone.get(f"/v1/food-entries/{entry['id']}").json() == entry


def test_portions_stay_as_they_are(phone: Api, product: dict[str, Any], update: Any) -> None:
    phone.portion(product)
    portions = phone.get(f"/v1/products/{product['id']}/portions").json()
    update(product, {"name": "Milk"})
    assert phone.get(f"/v1/products/{product['id']}/portions").json() == portions


def test_order_and_search_follow_the_new_name(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    between = phone.product(name="Éclair")
    update(product, {"name": "Źurek"})
    assert [row["id"] for row in phone.get("/v1/products").json()] == [between["id"], product["id"]]
    assert len(phone.get("/v1/products?search=zurek").json()) == 1
    assert phone.get("/v1/products?search=creme").json() == []


def test_the_barcode_search_follows_the_new_barcode(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    changed = update(product, {"barcode": "96385074"}).json()
    assert phone.get("/v1/products?barcode=00000096385074").json() == [changed]
    assert phone.get("/v1/products?barcode=4006381333931").json() == []
    update(product, {"barcode": None})
    assert phone.get("/v1/products?barcode=96385074").json() == []


def test_it_does_not_count_towards_the_quota(
    product: dict[str, Any], update: Any, settings: Any
) -> None:
    settings.MAX_PRODUCTS_PER_DEVICE = 1
    assert update(product, {"name": "Milk"}).status_code == 200


def test_an_unknown_or_deleted_product_is_404(
    phone: Api, product: dict[str, Any], update: Any
) -> None:
    phone.delete(f"/v1/products/{product['id']}")
    for gone in (product, {"id": str(uuid.uuid4())}):
        response = update(gone, {"name": "Milk"})
        assert response.status_code == 404
        assert response.json() == {"detail": "Product not found"}
    assert phone.device is not None
    assert Product.all_objects.for_device(phone.device).get().name == "Crème"


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.product(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.put(f"/v1/products/{malformed}", {"kcal_100g": 1})
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Product not found"}


@pytest.mark.parametrize("id", ["00000000-0000-4000-8000-000000000000", "malformed"])
def test_the_body_is_checked_before_the_product_is_looked_up(update: Any, id: str) -> None:
    assert offences(update({"id": id}, {"name": ""})) == [(["body", "name"], "blank")]


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"{", b'{"kcal_100g": NaN}'])
def test_a_body_that_is_no_json_object_is_400(
    product: dict[str, Any], update: Any, body: bytes
) -> None:
    assert update(product, body).status_code == 400


@pytest.mark.django_db(transaction=True)
def test_only_a_change_raises_the_revision(phone: Api, product: dict[str, Any]) -> None:
    path = f"/v1/products/{product['id']}"
    before = phone.get(path).headers["ETag"]
    phone.put(path, product)
    assert phone.get(path).headers["ETag"] == before
    phone.patch(path, {"kcal_100g": 1})
    assert phone.get(path).headers["ETag"] != before
