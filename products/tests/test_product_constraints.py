"""What the database itself refuses of products and portions, whoever writes."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError

from devices.models import Device
from products.nutrients import COLUMNS_100G, MACROS_100G
from tests.helpers.api import Api
from tests.helpers.sql import execute, insert
from tests.helpers.values import NO_NAMES

PRODUCT = {
    "name": "Chicken Breast",
    "name_folded": "chicken breast",
    "name_words": " chicken breast",
    "unit": "g",
    "kcal_100g": 165,
    "barcode": None,
    "gtin_14": None,
}
PORTION = {"name": "1 slice", "name_folded": "1 slice", "grams": 30, "is_default": False}


def refuse_product(phone: Api, **values: Any) -> None:
    """Check that a product of these values is refused."""
    with pytest.raises(DatabaseError):
        insert("products", phone, PRODUCT | values)


@pytest.fixture
def product_id(phone: Api) -> uuid.UUID:
    """A product with no portion."""
    return insert("products", phone, PRODUCT)


def test_it_works(phone: Api, product_id: uuid.UUID) -> None:
    insert("portions", phone, PORTION | {"product_id": product_id})
    assert phone.get(f"/v1/products/{product_id}?include=portions").status_code == 200


@pytest.mark.parametrize(
    "values",
    [
        {"name": "a" * 100},
        {"name": "é" * 100},
        {"name": "👩‍🍳 \u200f"},
        {"brand": "é" * 100, "brand_words": " e"},
        {"unit": "ml"},
        dict.fromkeys(set(COLUMNS_100G) - set(MACROS_100G), 100),
        {"kcal_100g": 0},
        {"kcal_100g": 1000},
        {"protein_100g": 0, "carbs_100g": 5, "fat_100g": 100},
        {"protein_100g": "33.33", "carbs_100g": "33.33", "fat_100g": "38.34"},
        {"barcode": "96385074", "gtin_14": "00000096385074"},
        {"barcode": "036000291452", "gtin_14": "00036000291452"},
        {"barcode": "4006381333931", "gtin_14": "04006381333931"},
        {"barcode": "10614141000415", "gtin_14": "10614141000415"},
        {"barcode": "04252614", "gtin_14": "00042100005264"},
        {"barcode": "14252611", "gtin_14": "00142100005261"},
        {"barcode": "11245605", "gtin_14": "00000011245605"},
    ],
)
def test_it_takes_what_is_just_within_the_rules(phone: Api, values: dict[str, Any]) -> None:
    insert("products", phone, PRODUCT | values)


def test_it_refuses_a_name_that_is_none(phone: Api, product_id: uuid.UUID) -> None:
    for name in NO_NAMES:
        refuse_product(phone, name=name)
        with pytest.raises(DatabaseError):
            insert("portions", phone, PORTION | {"product_id": product_id, "name": name})
        with pytest.raises(DatabaseError):
            execute("UPDATE products SET name = %s", name)


@pytest.mark.parametrize("column", ["name_folded", "name_words"])
def test_it_refuses_a_name_without_its_copies(phone: Api, column: str) -> None:
    refuse_product(phone, **{column: None})


@pytest.mark.parametrize("kcal", [None, -1, 1001, 32768])
def test_it_refuses_kcal_out_of_range(phone: Api, kcal: int | None) -> None:
    refuse_product(phone, kcal_100g=kcal)


def test_it_refuses_a_brand_that_is_none(phone: Api) -> None:
    insert("products", phone, PRODUCT | {"brand": None})
    for brand in NO_NAMES[1:]:
        refuse_product(phone, brand=brand, brand_words=" a")


@pytest.mark.parametrize("unit", [None, "", "G", "kg", "m"])
def test_it_refuses_another_unit(phone: Api, unit: str | None) -> None:
    refuse_product(phone, unit=unit)


@pytest.mark.parametrize("column", COLUMNS_100G[1:])
def test_it_refuses_a_nutrient_out_of_range(phone: Api, column: str) -> None:
    for value in ("-0.01", "100.01", "1000", "NaN", "Infinity"):
        refuse_product(phone, **{column: value})


@pytest.mark.parametrize(
    "macros", [("100", "5.01", None), ("35.01", "35", "35"), (None, "50.01", "55")]
)
def test_it_refuses_macros_over_105_together(phone: Api, macros: tuple[str | None, ...]) -> None:
    refuse_product(phone, **dict(zip(MACROS_100G, macros, strict=True)))


def test_it_refuses_macros_that_an_update_brings_over_105(phone: Api) -> None:
    insert("products", phone, PRODUCT | {"protein_100g": 60, "fat_100g": 45})
    with pytest.raises(IntegrityError):
        execute("UPDATE products SET carbs_100g = 0.01")


@pytest.mark.parametrize(
    "barcode",
    [
        "",
        "0",
        "4006381333932",
        "96385075",
        "9638507",
        "963850740",
        "000004006381333931",
        "９６３８５０７４",
        "96385074\n",
        " 96385074",
        "9638-5074",
        "04252615",
        "abcdefgh",
    ],
)
def test_it_refuses_a_barcode_that_is_none(phone: Api, barcode: str) -> None:
    for gtin_14 in (barcode.zfill(14), None):
        refuse_product(phone, barcode=barcode, gtin_14=gtin_14)


@pytest.mark.parametrize(
    ("barcode", "gtin_14"),
    [
        ("96385074", None),
        ("96385074", "96385074"),
        ("96385074", "00000073513537"),
        ("96385074", ""),
        ("04252614", "00000004252614"),
        ("01245608", "00000001245608"),
        ("11245605", "00112000004565"),
        (None, "00000096385074"),
        (None, ""),
    ],
)
def test_it_refuses_a_stale_gtin_14(phone: Api, barcode: str | None, gtin_14: str | None) -> None:
    refuse_product(phone, barcode=barcode, gtin_14=gtin_14)


def test_it_refuses_an_update_that_leaves_gtin_14_behind(phone: Api) -> None:
    phone.product(barcode="96385074")
    for barcode in ("73513537", None):
        with pytest.raises(IntegrityError):
            execute("UPDATE products SET barcode = %s", barcode)


@pytest.mark.parametrize("grams", [None, "0", "0.004", "-1", "10000.01", "100000", "NaN"])
def test_it_refuses_grams_out_of_range(
    phone: Api, product_id: uuid.UUID, grams: str | None
) -> None:
    with pytest.raises(DatabaseError):
        insert("portions", phone, PORTION | {"product_id": product_id, "grams": grams})


@pytest.mark.parametrize("grams", ["0.01", "10000"])
def test_it_takes_grams_at_their_limits(phone: Api, product_id: uuid.UUID, grams: str) -> None:
    insert("portions", phone, PORTION | {"product_id": product_id, "grams": grams})


def test_it_refuses_two_defaults(phone: Api, product_id: uuid.UUID) -> None:
    default = PORTION | {"product_id": product_id, "is_default": True}
    insert("portions", phone, default)
    insert("portions", phone, default | {"is_default": False})
    with pytest.raises(IntegrityError):
        insert("portions", phone, default)
    with pytest.raises(IntegrityError):
        execute("UPDATE portions SET is_default = true")


def test_a_deleted_default_is_no_second_one(phone: Api, product_id: uuid.UUID) -> None:
    default = PORTION | {"product_id": product_id, "is_default": True}
    insert("portions", phone, default)
    execute("UPDATE portions SET deleted_at = now()")
    insert("portions", phone, default)
    with pytest.raises(IntegrityError):
        execute("UPDATE portions SET deleted_at = NULL")


def test_it_refuses_a_portion_of_no_product(phone: Api) -> None:
    for product in (None, uuid.uuid4()):
        with pytest.raises(IntegrityError):
            insert("portions", phone, PORTION | {"product_id": product})


def test_it_refuses_a_portion_of_another_devices_product(
    phone: Api, other: Api, product_id: uuid.UUID
) -> None:
    with pytest.raises(IntegrityError):
        insert("portions", other, PORTION | {"product_id": product_id})


@pytest.mark.parametrize("table", ["products", "portions"])
def test_a_row_never_moves_to_another_device(phone: Api, other: Api, table: str) -> None:
    phone.product()
    assert other.device is not None
    with pytest.raises(IntegrityError):
        execute(f"UPDATE {table} SET device_id = %s", other.device.pk)


def test_it_refuses_a_device_that_does_not_exist(db: None) -> None:
    with pytest.raises(IntegrityError):
        insert("products", Api(Device(pk=uuid.uuid4())), PRODUCT)


@pytest.mark.parametrize("table", ["products", "portions"])
def test_it_refuses_an_id_twice_of_one_device(phone: Api, other: Api, table: str) -> None:
    product = phone.product()
    portion = phone.portion(product)
    rows: dict[str, dict[str, Any]] = {
        "products": PRODUCT | {"id": product["id"]},
        "portions": PORTION | {"id": portion["id"], "product_id": other.product()["id"]},
    }
    insert(table, other, rows[table])
    with pytest.raises(IntegrityError):
        insert(table, other, rows[table])


def test_it_refuses_to_remove_a_live_row(phone: Api) -> None:
    product = phone.product()
    with pytest.raises(IntegrityError):
        execute("DELETE FROM portions")
    phone.delete(f"/v1/products/{product['id']}")
    assert execute("DELETE FROM portions") == 1
    assert execute("DELETE FROM products") == 1


def test_it_refuses_to_remove_a_product_that_portions_name(phone: Api) -> None:
    product = phone.product()
    phone.delete(f"/v1/products/{product['id']}")
    with pytest.raises(IntegrityError):
        execute("DELETE FROM products")
