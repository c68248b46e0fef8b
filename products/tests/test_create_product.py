"""POST /v1/products."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from products.models import MACROS_100G, Portion, Product
from products.nutrients import COLUMNS_100G
from tests.helpers.api import Api, offences, request_body
from tests.helpers.contract import PRODUCT
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import (
    HUGE,
    NAMES_KEPT,
    NAMES_REFUSED,
    NOT_IDS,
    NOT_NUMBERS,
    UNITS_REFUSED,
)

BODY = {"name": "Chicken Breast", "kcal_100g": 165}
OPTIONAL_100G = COLUMNS_100G[1:]
NO_BRANDS = [("null", None), ('""', None), ('" \\t "', None)]
AMOUNTS_KEPT = [
    ("0", 0),
    ("-0.0", 0),
    ("0.01", 0.01),
    ("12.100", 12.1),
    ("1.25e1", 12.5),
    ("99.99", 99.99),
    ("100", 100),
    ("100.00", 100),
    ("1e2", 100),
    ("12.345", 12.35),
    ("100.004", 100),
    ("0.004", 0),
    ("-0.004", 0),
    ("1e-400", 0),
    ("null", None),
]
AMOUNTS_REFUSED = [
    ("-0.01", "min_value"),
    ("-0.005", "min_value"),
    ("100.01", "max_value"),
    ("100.005", "max_value"),
    ("1e400", "max_value"),
    ("-1e400", "min_value"),
    (HUGE, "max_value"),
    *NOT_NUMBERS,
]


def test_it_works(phone: Api) -> None:
    response = phone.post("/v1/products", {"name": "Chicken Breast", "kcal_100g": 165})
    assert response.status_code == 201
    assert phone.get("/v1/products").json() == [response.json()]


def test_it_answers_the_fields_of_the_contract(phone: Api) -> None:
    known = {name: number + 0.25 for number, name in enumerate(OPTIONAL_100G)}
    body = BODY | known | {"brand": "Farm", "unit": "ml", "barcode": "4006381333931"}
    with time_machine.travel(datetime(2025, 2, 5, 12, 30, tzinfo=UTC), tick=False):
        product = phone.product(**body)
    assert list(product) == PRODUCT
    assert product == body | {
        "id": product["id"],
        "created_at": "2025-02-05T12:30:00Z",
        "updated_at": None,
    }
    assert str(uuid.UUID(product["id"])) == product["id"]


def test_what_is_unknown_is_null(phone: Api) -> None:
    product = phone.product()
    unknown = ("brand", *OPTIONAL_100G, "barcode", "updated_at")
    assert {name: product[name] for name in unknown} == dict.fromkeys(unknown)


def test_kcal_is_answered_as_an_integer(phone: Api) -> None:
    assert b'"kcal_100g":165,' in phone.post("/v1/products", BODY).content


def test_it_creates_the_default_portion(phone: Api) -> None:
    product = phone.product()
    (portion,) = phone.get(f"/v1/products/{product['id']}/portions").json()
    assert (
        portion.items()
        >= {
            "product_id": product["id"],
            "name": "100g",
            "grams": 100,
            "is_default": True,
            "updated_at": None,
        }.items()
    )


def test_the_default_portion_of_a_drink_is_100_ml(phone: Api) -> None:
    product = phone.product(unit="ml")
    (portion,) = phone.get(f"/v1/products/{product['id']}/portions").json()
    assert (portion["name"], portion["grams"]) == ("100ml", 100)


def test_the_unit_is_g_unless_sent(phone: Api) -> None:
    assert [phone.product()["unit"], phone.product(unit="ml")["unit"]] == ["g", "ml"]


@pytest.mark.parametrize(("sent", "code"), UNITS_REFUSED)
def test_unit_is_checked(phone: Api, sent: str, code: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, unit=sent))
    assert offences(response) == [(["body", "unit"], code)]


@pytest.mark.parametrize(("sent", "stored"), [*NAMES_KEPT, *NO_BRANDS])
def test_a_brand_is_kept_as_a_name_is_and_null_where_it_is_none(
    phone: Api, sent: str, stored: str | None
) -> None:
    response = phone.post("/v1/products", request_body(BODY, brand=sent))
    assert response.status_code == 201
    assert response.json()["brand"] == stored
    assert phone.get(f"/v1/products/{response.json()['id']}").json()["brand"] == stored


@pytest.mark.parametrize(
    ("sent", "code"),
    [(sent, code) for sent, code in NAMES_REFUSED if code not in ("null", "blank")],
)
def test_brand_is_checked(phone: Api, sent: str, code: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, brand=sent))
    assert offences(response) == [(["body", "brand"], code)]


def test_product_and_portion_are_one_transaction(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(product: Product) -> Portion:
        return Portion(device_id=product.device_id, product=product, name="none", grams=0)

    monkeypatch.setattr(Portion, "first_of", refused)
    assert phone.post("/v1/products", BODY).status_code == 500
    assert not Product.all_objects.for_device(phone.device).exists()


@pytest.mark.parametrize(("sent", "stored"), NAMES_KEPT)
def test_a_name_is_kept_stripped_with_single_blanks_and_in_nfc(
    phone: Api, sent: str, stored: str
) -> None:
    response = phone.post("/v1/products", request_body(BODY, name=sent))
    assert response.status_code == 201
    assert response.json()["name"] == stored
    assert phone.get(f"/v1/products/{response.json()['id']}").json()["name"] == stored


@pytest.mark.parametrize(("sent", "code"), NAMES_REFUSED)
def test_name_is_checked(phone: Api, sent: str, code: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, name=sent))
    assert offences(response) == [(["body", "name"], code)]


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0),
        ("1", 1),
        ("999", 999),
        ("1000", 1000),
        ("165.0", 165),
        ("1000.0000005", 1000),
        ("-0.0000005", 0),
    ],
)
def test_kcal_may_be_0_to_1000(phone: Api, sent: str, stored: int) -> None:
    response = phone.post("/v1/products", request_body(BODY, kcal_100g=sent))
    assert response.status_code == 201
    assert response.json()["kcal_100g"] == stored


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("null", "null"),
        ("-1", "min_value"),
        ("1001", "max_value"),
        ("32768", "max_value"),
        (HUGE, "max_value"),
        ("-" + HUGE, "min_value"),
        ("1e400", "max_value"),
        ("-1e400", "min_value"),
        ("1e999999999", "max_value"),
        ("0.5", "invalid"),
        ("1e-1", "invalid"),
        ("999.99999", "invalid"),
        *NOT_NUMBERS,
    ],
)
def test_kcal_is_checked(phone: Api, sent: str, code: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, kcal_100g=sent))
    assert offences(response) == [(["body", "kcal_100g"], code)]


@pytest.mark.parametrize(("sent", "stored"), AMOUNTS_KEPT)
def test_a_nutrient_may_be_0_to_100(phone: Api, sent: str, stored: float | None) -> None:
    for field in OPTIONAL_100G:
        response = phone.post("/v1/products", request_body(BODY, **{field: sent}))
        assert response.status_code == 201
        assert response.json()[field] == stored
        assert phone.get(f"/v1/products/{response.json()['id']}").json() == response.json()


@pytest.mark.parametrize(("sent", "code"), AMOUNTS_REFUSED)
def test_a_nutrient_is_checked(phone: Api, sent: str, code: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, **dict.fromkeys(OPTIONAL_100G, sent)))
    assert offences(response) == [(["body", field], code) for field in OPTIONAL_100G]


def test_minus_zero_is_answered_as_zero(phone: Api) -> None:
    content = phone.post("/v1/products", request_body(BODY, fat_100g="-0.0")).content
    assert b'"fat_100g":0' in content


@pytest.mark.parametrize(("number", "code"), [("1e", "max_value"), ("-1e", "min_value")])
def test_a_number_with_an_exponent_past_all_bounds_is_refused(
    phone: Api, number: str, code: str
) -> None:
    number += "9" * 20
    response = phone.post("/v1/products", request_body(BODY, kcal_100g=number, fat_100g=number))
    assert offences(response) == [(["body", "kcal_100g"], code), (["body", "fat_100g"], code)]


def test_a_number_smaller_than_any_double_is_0(phone: Api) -> None:
    number = "1e-" + "9" * 20
    response = phone.post("/v1/products", request_body(BODY, kcal_100g=number, fat_100g=number))
    assert (response.json()["kcal_100g"], response.json()["fat_100g"]) == (0, 0)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("field", ["kcal_100g", "protein_100g"])
def test_what_is_no_json_number_is_400(phone: Api, field: str, number: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, **{field: number}))
    assert response.status_code == 400
    assert set(response.json()) == {"detail"}


@pytest.mark.parametrize(
    "macros",
    [(100, 5, 0), (35, 35, 35), (60, 45, None), (0.01, 4.99, 100), (35.004, 35.004, 35.004)],
)
def test_macros_may_be_105_together(phone: Api, macros: tuple[float | None, ...]) -> None:
    phone.product(**dict(zip(MACROS_100G, macros, strict=True)))


def test_nutrients_that_are_no_macros_count_towards_no_sum(phone: Api) -> None:
    body = dict.fromkeys(OPTIONAL_100G, 100) | dict.fromkeys(MACROS_100G, 35)
    assert phone.product(**body).items() >= body.items()


@pytest.mark.parametrize(
    "macros",
    [(100, 5.01, 0), (35.01, 35, 35), (60, 45.01, None), (100, 100, 100), (35.005, 35, 35)],
)
def test_macros_over_105_together_are_refused(phone: Api, macros: tuple[float | None, ...]) -> None:
    response = phone.post("/v1/products", BODY | dict(zip(MACROS_100G, macros, strict=True)))
    assert [loc for loc, _ in offences(response)] == [["body"]]
    assert phone.get("/v1/products").json() == []


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ('"96385074"', "96385074"),
        ('"036000291452"', "036000291452"),
        ('"4006381333931"', "4006381333931"),
        ('"10614141000415"', "10614141000415"),
        ('" 4006381333931\\n"', "4006381333931"),
        ('"4 006381 333931"', "4006381333931"),
        ('"4-006381-333931"', "4006381333931"),
        ('"4\\u00a0006381\\u2011333931"', "4006381333931"),
        (f'"{" - " * 20}96385074"', "96385074"),
        ('"0 425261 4"', "04252614"),
        ('"14252611"', "14252611"),
        ("null", None),
    ],
)
def test_a_barcode_is_kept_as_sent_without_blanks_and_hyphens(
    phone: Api, sent: str, stored: str | None
) -> None:
    response = phone.post("/v1/products", request_body(BODY, barcode=sent))
    assert response.status_code == 201
    assert response.json()["barcode"] == stored


@pytest.mark.parametrize(
    "sent",
    [
        '"4006381333932"',
        '"400638133393"',
        '"40063813339310"',
        '"6385074"',
        '"000004006381333931"',
        '"４００６３８１３３３９３１"',
        '"4006381333931 4006381333931"',
        '"400-638133393"',
        '"4006381\\u0000333931"',
        '"4006381\\u001c333931"',
        '"4006381.333931"',
        '"04252615"',
        '"27537743"',
        '"+006381333931"',
        '"abcdefgh"',
        "4006381333931",
        "true",
        "[]",
        "{}",
    ],
)
def test_barcode_is_checked(phone: Api, sent: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, barcode=sent))
    assert {tuple(loc) for loc, _ in offences(response)} == {("body", "barcode")}


def test_two_products_may_have_one_barcode(phone: Api) -> None:
    first = phone.product(barcode="96385074")
    assert phone.product(barcode="96385074")["id"] != first["id"]


@pytest.mark.parametrize("field", ["name", "kcal_100g"])
def test_a_required_field_is_missed(phone: Api, field: str) -> None:
    body = {name: value for name, value in BODY.items() if name != field}
    assert offences(phone.post("/v1/products", body)) == [(["body", field], "required")]


def test_every_offending_field_is_listed(phone: Api) -> None:
    body = {"id": 1, "name": "", "protein_100g": "1", "fat_100g": -1, "barcode": "1"}
    response = phone.post("/v1/products", body)
    assert sorted(loc[1] for loc, _ in offences(response)) == [
        "barcode",
        "fat_100g",
        "id",
        "kcal_100g",
        "name",
        "protein_100g",
    ]


def test_unknown_and_read_only_fields_are_ignored(phone: Api, other: Api) -> None:
    assert other.device is not None
    sent: dict[str, Any] = {
        "colour": "red",
        "created_at": "1999-01-01T00:00:00Z",
        "updated_at": "1999-01-01T00:00:00Z",
        "deleted_at": "1999-01-01T00:00:00Z",
        "device": str(other.device.pk),
        "device_id": str(other.device.pk),
        "revision": 1_000_000,
        "name_folded": "zzz",
        "brand_words": " zzz",
        "gtin_14": "1",
        "portions": [{"name": "1 slice"}],
    }
    product = phone.product(**sent)
    assert list(product) == PRODUCT
    assert not product["created_at"].startswith("1999")
    assert phone.get("/v1/products").json() == [product]
    assert other.get("/v1/products").json() == []


@pytest.mark.parametrize(
    "chosen",
    [
        "5b0e7b8c-6f0e-4a6b-9a54-0a4c3e0c6d11",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
def test_a_client_may_choose_the_id(phone: Api, chosen: str) -> None:
    assert phone.product(id=chosen)["id"] == chosen
    assert phone.get(f"/v1/products/{chosen}").status_code == 200


@pytest.mark.parametrize("sent", NOT_IDS)
def test_a_malformed_id_is_refused(phone: Api, sent: str) -> None:
    response = phone.post("/v1/products", request_body(BODY, id=sent))
    assert offences(response) == [(["body", "id"], "invalid")]


def test_a_repeated_request_answers_200_and_changes_nothing(phone: Api) -> None:
    product = phone.product(id=str(uuid.uuid4()))
    response = phone.post("/v1/products", BODY | {"id": product["id"], "name": "Another"})
    assert response.status_code == 200
    assert response.json() == product
    assert phone.get(f"/v1/products/{product['id']}").json() == product
    assert len(phone.get(f"/v1/products/{product['id']}/portions").json()) == 1


def test_a_repeated_request_answers_the_resource_as_it_is_by_now(phone: Api) -> None:
    product = phone.product()
    changed = phone.patch(f"/v1/products/{product['id']}", {"kcal_100g": 1}).json()
    response = phone.post("/v1/products", BODY | {"id": product["id"]})
    assert (response.status_code, response.json()) == (200, changed)


def test_a_repeated_request_is_validated(phone: Api) -> None:
    product = phone.product()
    response = phone.post("/v1/products", {"id": product["id"], "name": "", "kcal_100g": 1})
    assert offences(response) == [(["body", "name"], "blank")]


def test_the_id_of_a_deleted_one_is_409(phone: Api) -> None:
    product = phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    response = phone.post("/v1/products", BODY | {"id": product["id"]})
    assert response.status_code == 409
    assert response.json() == {"detail": "ID already in use"}
    assert phone.get("/v1/products").json() == []


def test_the_id_of_another_kind_of_resource_is_free(phone: Api) -> None:
    entry = phone.entry()
    assert phone.product(id=entry["id"])["id"] == entry["id"]


def test_a_device_has_at_most_its_quota(phone: Api, other: Api, settings: Any) -> None:
    settings.MAX_PRODUCTS_PER_DEVICE = 2
    products = [phone.product(), phone.product()]
    response = phone.post("/v1/products", BODY)
    assert response.status_code == 409
    assert response.json() == {"detail": "A device has at most 2 products"}
    assert len(phone.get("/v1/products").json()) == 2
    other.product()
    phone.delete(f"/v1/products/{products[0]['id']}")
    phone.product()


def test_the_quota_is_5000(settings: Any) -> None:
    assert settings.MAX_PRODUCTS_PER_DEVICE == 5000


def test_a_repeated_request_is_safe_at_the_quota(phone: Api, settings: Any) -> None:
    settings.MAX_PRODUCTS_PER_DEVICE = 1
    product = phone.product()
    response = phone.post("/v1/products", BODY | {"id": product["id"]})
    assert (response.status_code, response.json()) == (200, product)


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_create_one_product(phone: Api) -> None:
    body = BODY | {"id": str(uuid.uuid4())}
    answers = at_once(*(partial(as_thread(phone).post, "/v1/products", body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.content for answer in answers}) == 1
    assert len(phone.get(f"/v1/products/{body['id']}/portions").json()) == 1


@pytest.mark.django_db(transaction=True)
def test_two_devices_that_choose_one_id_at_once_have_a_product_each(phone: Api, other: Api) -> None:
    for _ in range(3):
        body = BODY | {"id": str(uuid.uuid4())}
        answers = at_once(
            partial(as_thread(phone).post, "/v1/products", body),
            partial(as_thread(other).post, "/v1/products", body),
        )
        assert [answer.status_code for answer in answers] == [201, 201]
        assert {answer.json()["id"] for answer in answers} == {body["id"]}


@pytest.mark.django_db(transaction=True)
def test_the_quota_holds_at_once(phone: Api, settings: Any) -> None:
    settings.MAX_PRODUCTS_PER_DEVICE = 1
    answers = at_once(*(partial(as_thread(phone).post, "/v1/products", BODY) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
