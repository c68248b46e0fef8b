"""GET /v1/products."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from products.models import Product
from tests.helpers.api import Api, links, names, offences
from tests.helpers.sql import forgo_indexes
from tests.helpers.values import IDS


def test_order_is_by_the_folded_name(phone: Api) -> None:
    ordered = ["10 nuts", "2 nuts", "Apple", "äpple pie", "Éclair", "eclairs", "Łosoś", "Zebra"]
    for name in reversed(ordered):
        phone.product(name=name)
    assert names(phone.get("/v1/products")) == ordered


def test_ties_are_ordered_by_id(phone: Api) -> None:
    forgo_indexes()
    one, two, three, _ = IDS
    for chosen, name in [(two, "Crème"), (three, "creme"), (one, "CREME")]:
        phone.product(id=chosen, name=name)
    assert [row["id"] for row in phone.get("/v1/products").json()] == [one, two, three]


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("Chicken Breast", "chicken"),
        ("Chicken Breast", "chick"),
        ("Chicken Breast", "c"),
        ("Chicken Breast", "breast chick"),
        ("Chicken Breast", "BREAST"),
        ("Chicken Breast", "  chicken   breast  "),
        ("Chicken Breast", "chicken, breast!"),
        ("Chicken Breast", "ch chicken"),
        ("Crème Brûlée", "creme brulee"),
        ("Creme Brulee", "CRÈME BRÛLÉE"),
        ("Crème", "cre\u0300me"),
        ("Weißbrot", "weissbrot"),
        ("WEISSBROT", "weiß"),
        ("Łódź", "lodz"),
        ("Smørrebrød", "smorrebrod"),
        ("Œufs", "oeufs"),
        ("İzmir", "izmir"),
        ("КЕФИР", "кефир"),
        ("Μέλιος", "ΜΕΛΙΟΣ"),
        ("Coca-Cola", "cola"),
        ("Coca-Cola", "coca-cola"),
        ("Milk (3.5%)", "3.5%"),
        ("Milk (3.5%)", "5"),
        ("7up", "7"),
        ("ＦＵＬＬ width １２", "full 12"),
        ("鶏肉", "鶏"),
        ("हिन्दी दाल", "दाल"),
        ("🍎 apple", "apple"),
        ("a_b", "b"),
        ("Chicken", "chick\\"),
        ("Kellogg's", "kelloggs"),
        ("Kellogg\u2019s", "kellogg's"),
        ("Kelloggs", "kellogg\u00b4s"),
        ("Huile d'olive", "olive"),
        ("M&M's", "mms"),
        ("M&M's", "m&m"),
        ("M & M", "m&m"),
        ("Coca-Cola", "cocacola"),
        ("Coca\u2011Cola", "cocac"),
        ("Coca-Cola", "coca cola"),
        ("Coca Cola", "coca-cola"),
        ("CocaCola", "coca-cola"),
        ("Coca-Cola-Light", "cola-light"),
        ("Coca-Cola-Light", "colalight"),
        ("7-Up", "up"),
        ("抹茶アイス", "アイス"),
        ("抹茶アイス", "アイス 茶"),
        ("コカ・コーラ", "コカコーラ"),
        ("커피우유", "우유"),
        ("ข้าวผัดกุ้ง", "กุ้ง"),
        ("LOVE抹茶", "love"),
        ("抹茶latte", "latte"),
        ("抹茶ラテ latte", "抹茶latte"),
        ("鶏肉", "肉"),
    ],
)
def test_search_finds_names_where_every_word_starts_a_word(
    phone: Api, name: str, search: str
) -> None:
    phone.product(name=name)
    assert names(phone.get(f"/v1/products?search={quote(search)}")) == [name]


@pytest.mark.parametrize(
    ("name", "search"),
    [
        ("Chicken Breast", "hicken"),
        ("Chicken Breast", "chickenbreast"),
        ("Chicken Breast", "chicken thigh"),
        ("Chicken Breast", "chickens"),
        ("Chicken", "ch%n"),
        ("Chicken", "c_icken"),
        ("100 g", "00"),
        ("Coca Cola", "cocacola"),
        ("Coca-Cola", "ola"),
        ("Coca-Cola", "coca-colada"),
        ("Kellogg", "kellogg's"),
        ("3-5", "35"),
        ("7-Up", "7up"),
        ("抹茶latte", "atte"),
        ("抹茶 アイス", "茶ア"),
        ("パン", "ハン"),
        ("커피", "ㅍ"),
    ],
)
def test_search_finds_nothing_else(phone: Api, name: str, search: str) -> None:
    phone.product(name=name)
    assert names(phone.get(f"/v1/products?search={quote(search)}")) == []


@pytest.mark.parametrize("search", ["farm", "chicken", "chick kel", "kelloggs breast", "FÄRM"])
def test_search_finds_every_word_in_name_or_brand(phone: Api, search: str) -> None:
    product = phone.product(name="Chicken Breast", brand="Kellogg's Farm")
    phone.product(name="Rice", brand="Chick")
    phone.product(name="Kelp")
    assert phone.get(f"/v1/products?search={quote(search)}").json() == [product]


def test_a_brand_that_is_changed_or_taken_away_is_found_no_more(phone: Api) -> None:
    path = f"/v1/products/{phone.product(brand='Farm')['id']}"
    for brand in ("Dairy", None):
        phone.patch(path, {"brand": brand})
        assert names(phone.get("/v1/products?search=farm")) == []


@pytest.mark.parametrize("search", ["", "%20", "%20%20", "%C2%A0"])
def test_an_empty_search_is_as_if_it_were_not_there(phone: Api, search: str) -> None:
    product = phone.product()
    assert phone.get(f"/v1/products?search={search}").json() == [product]


@pytest.mark.parametrize(
    "search", ["!", "%", "_", "\\", "-", "&", "'", "🍎", "❤\ufe0f", "...", "$^"]
)
def test_a_search_without_letter_or_digit_finds_nothing(phone: Api, search: str) -> None:
    phone.product(name="!%_\\-🍎❤\ufe0f&'...$^")
    assert names(phone.get(f"/v1/products?search={quote(search)}")) == []


@pytest.mark.parametrize("search", ["a%00b", "a%1Bb", "%1C", "a%C2%84b"])
def test_control_characters_in_a_search_are_refused(phone: Api, search: str) -> None:
    response = phone.get(f"/v1/products?search={search}")
    assert offences(response) == [(["query", "search"], "invalid")]


def test_a_search_is_in_order_and_paged(phone: Api) -> None:
    for name in ("Milk b", "Milk a", "Bread", "Milk c"):
        phone.product(name=name)
    first = phone.get("/v1/products?search=milk&limit=2")
    assert names(first) == ["Milk a", "Milk b"]
    assert names(phone.get(links(first)["next"])) == ["Milk c"]


def test_a_search_finds_deleted_products_and_another_devices_no_more(
    phone: Api, other: Api
) -> None:
    other.product()
    phone.delete(f"/v1/products/{phone.product()['id']}")
    assert phone.get("/v1/products?search=chicken").json() == []


@pytest.mark.parametrize("search", ["a", "0"])
def test_a_search_finds_what_expands_when_it_is_folded(phone: Api, search: str) -> None:
    phone.product(name="ﷺ" * 100)
    assert phone.get(f"/v1/products?search={search}").json() == []


@pytest.mark.parametrize(
    "spellings",
    [
        ("036000291452", "0036000291452", "00036000291452"),
        ("96385074", "000096385074", "0000096385074", "00000096385074"),
        ("4006381333931", "04006381333931"),
        ("10614141000415",),
        ("04252614", "042100005264", "0042100005264", "00042100005264"),
        ("17537740", "175370000070"),
        ("01245608", "012000004568"),
    ],
)
def test_barcodes_are_compared_whatever_their_form(phone: Api, spellings: tuple[str, ...]) -> None:
    phone.product(barcode="73513537")
    phone.product()
    same = [phone.product(id=IDS[n], barcode=code) for n, code in enumerate(spellings)]
    for asked in spellings:
        assert phone.get(f"/v1/products?barcode={asked}").json() == same


@pytest.mark.parametrize(
    "asked", ["4 006381 333931", "4-006381-333931", "\u00a04006381\u2011333931"]
)
def test_blanks_and_hyphens_in_a_barcode_do_not_matter(phone: Api, asked: str) -> None:
    product = phone.product(barcode="400-6381-333931")
    assert phone.get(f"/v1/products?barcode={quote(asked)}").json() == [product]


def test_a_gtin_8_that_could_be_a_upc_e_is_no_upc_a(phone: Api) -> None:
    product = phone.product(barcode="11245605")
    assert phone.get("/v1/products?barcode=112000004565").json() == []
    assert phone.get("/v1/products?barcode=000011245605").json() == [product]


def test_a_barcode_finds_all_products_that_have_it(phone: Api, other: Api) -> None:
    for name in ("b", "a"):
        phone.product(name=name, barcode="96385074")
    other.product(barcode="96385074")
    assert names(phone.get("/v1/products?barcode=96385074")) == ["a", "b"]


def test_an_unused_barcode_finds_nothing(phone: Api) -> None:
    phone.product()
    assert phone.get("/v1/products?barcode=96385074").json() == []


@pytest.mark.parametrize(
    "barcode",
    [
        "",
        "-",
        "%20",
        "1",
        "04252615",
        "96385075",
        "4006381333932",
        "x",
        "%00",
        "%EF%BC%99" * 8,
        "9638507%1C4",
    ],
)
def test_an_invalid_barcode_is_refused(phone: Api, barcode: str) -> None:
    response = phone.get(f"/v1/products?barcode={barcode}")
    assert {tuple(loc) for loc, _ in offences(response)} == {("query", "barcode")}


def test_what_is_no_barcode_does_not_find_products_without_one(phone: Api) -> None:
    phone.product()
    assert list(Product.objects.for_device(phone.device).with_barcode("x")) == []


def test_search_and_barcode_both_count(phone: Api) -> None:
    phone.product(name="Milk", barcode="96385074")
    bread = phone.product(name="Bread", barcode="96385074")
    phone.product(name="Bread")
    assert phone.get("/v1/products?search=bread&barcode=96385074").json() == [bread]


def test_include_adds_the_live_portions_of_each_product(phone: Api) -> None:
    bread, apple = phone.product(name="Bread"), phone.product(name="Apple")
    deleted, slice_ = phone.portion(bread, name="loaf"), phone.portion(bread, name="slice")
    phone.delete(f"/v1/portions/{deleted['id']}")
    found = phone.get("/v1/products?include=portions").json()
    assert [{key: row[key] for key in apple} for row in found] == [apple, bread]
    assert [[portion["name"] for portion in row["portions"]] for row in found] == [
        ["100g"],
        ["100g", "slice"],
    ]
    assert found[1]["portions"][1] == slice_


def test_without_include_there_are_no_portions(phone: Api) -> None:
    phone.product()
    assert "portions" not in phone.get("/v1/products").json()[0]


@pytest.mark.parametrize("include", ["entries", "PORTIONS", "portions,portions"])
def test_an_unknown_include_is_refused(phone: Api, include: str) -> None:
    response = phone.get(f"/v1/products?include={include}")
    assert offences(response) == [(["query", "include"], "invalid_choice")]


@pytest.mark.parametrize("count", [0, 1, 6])
def test_a_search_takes_two_queries_whatever_it_finds(
    phone: Api, django_assert_num_queries: Any, count: int
) -> None:
    for _ in range(count):
        phone.product()
    with django_assert_num_queries(2):
        phone.get("/v1/products?search=chicken")


@pytest.mark.parametrize("count", [1, 6])
def test_portions_take_one_query_more_whatever_their_number(
    phone: Api, django_assert_num_queries: Any, count: int
) -> None:
    for _ in range(count):
        product = phone.product()
        for name in "ab":
            phone.portion(product, name=name)
    with django_assert_num_queries(3):
        response = phone.get("/v1/products?include=portions")
    assert [len(row["portions"]) for row in response.json()] == [3] * count


def test_every_offending_parameter_is_listed(phone: Api) -> None:
    response = phone.get("/v1/products?limit=0&offset=x&barcode=1&include=x")
    assert sorted(loc[1] for loc, _ in offences(response)) == [
        "barcode",
        "include",
        "limit",
        "offset",
    ]


def test_links_keep_the_query(phone: Api) -> None:
    for name in "abc":
        phone.product(name=f"Crème {name}", barcode="96385074")
    query = "search=cr%C3%A8me&barcode=96385074&include=portions&limit=1&offset=1"
    response = phone.get(f"/v1/products?{query}")
    assert set(links(response)) == {"next", "prev"}
    for rel, name in [("next", "Crème c"), ("prev", "Crème a")]:
        page = phone.get(links(response)[rel])
        assert names(page) == [name]
        assert page.json()[0]["portions"]
