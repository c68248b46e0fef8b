"""POST /v1/products."""

from __future__ import annotations

import pytest

from products.models import Portion, Product
from products.nutrients import COLUMNS_100G, MACROS_100G
from tests.helpers.api import Api, offences, request_body

BODY = {"name": "Chicken Breast", "kcal_100g": 165}
OPTIONAL_100G = COLUMNS_100G[1:]


def test_it_works(phone: Api) -> None:
    body = BODY | {"brand": "Farm", "unit": "ml", "barcode": "4006381333931"}
    product = phone.product(**body)
    assert product.items() >= body.items()
    assert phone.get("/v1/products").json() == [product]


def test_what_is_unknown_is_null(phone: Api) -> None:
    product = phone.product()
    unknown = ("brand", *OPTIONAL_100G, "barcode", "updated_at")
    assert {name: product[name] for name in unknown} == dict.fromkeys(unknown)


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


def test_portions_sent_with_it_are_ignored(phone: Api) -> None:
    product = phone.product(portions=[{"name": "1 slice", "grams": 30}])
    assert "portions" not in product
    assert len(phone.get(f"/v1/products/{product['id']}/portions").json()) == 1


def test_product_and_portion_are_one_transaction(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(product: Product) -> Portion:
        return Portion(device_id=product.device_id, product=product, name="none", grams=0)

    monkeypatch.setattr(Portion, "first_of", refused)
    assert phone.post("/v1/products", BODY).status_code == 500
    assert not Product.all_objects.for_device(phone.device).exists()


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
        ('""', None),
        ('"  "', None),
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
