"""GET /v1/products/{id}/portions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.helpers.api import Api, links, names, offences
from tests.helpers.sql import forgo_indexes
from tests.helpers.values import IDS, MALFORMED, NOT_LIMITS, NOT_OFFSETS, WELL_FORMED


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product with the portion that comes with it."""
    return phone.product()


@pytest.fixture
def path(product: dict[str, Any]) -> str:
    """Where the portions of the product are."""
    return f"/v1/products/{product['id']}/portions"


def test_it_works(phone: Api, product: dict[str, Any], path: str) -> None:
    portion = phone.portion(product)
    response = phone.get(path)
    assert response.status_code == 200
    assert names(response) == ["100g", portion["name"]]
    assert response.json()[1] == portion


def test_the_default_is_first_then_the_folded_name(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    for name in ("zest", "Äpple", "Slice", "10 pieces", "2 pieces"):
        phone.portion(product, name=name)
    phone.portion(product, name="pack", is_default=True)
    ordered = ["pack", "10 pieces", "100g", "2 pieces", "Äpple", "Slice", "zest"]
    assert names(phone.get(path)) == ordered


def test_ties_are_ordered_by_id(phone: Api, product: dict[str, Any], path: str) -> None:
    forgo_indexes()
    for chosen, name in [(IDS[1], "Éclair"), (IDS[2], "eclair"), (IDS[0], "ECLAIR")]:
        phone.portion(product, id=chosen, name=name)
    assert [row["id"] for row in phone.get(path).json()[1:]] == IDS[:3]


def test_only_the_products_live_portions_are_listed(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    phone.portion(phone.product(), name="another product's")
    deleted = phone.portion(product, name="deleted")
    phone.delete(f"/v1/portions/{deleted['id']}")
    assert names(phone.get(path)) == ["100g"]


def test_it_is_paged(phone: Api, product: dict[str, Any], path: str) -> None:
    for name in "abcd":
        phone.portion(product, name=name)
    pages = [phone.get(f"{path}?limit=2")]
    while "next" in links(pages[-1]):
        pages.append(phone.get(links(pages[-1])["next"]))
    assert [names(page) for page in pages] == [["100g", "a"], ["b", "c"], ["d"]]
    assert names(phone.get(links(pages[2])["prev"])) == ["b", "c"]


def test_a_page_past_the_end_is_empty(phone: Api, path: str) -> None:
    response = phone.get(f"{path}?offset=10")
    assert (response.status_code, response.json()) == (200, [])


@pytest.mark.parametrize(("limit", "code"), NOT_LIMITS[:4])
def test_limit_is_checked(phone: Api, path: str, limit: str, code: str) -> None:
    assert offences(phone.get(f"{path}?limit={limit}")) == [(["query", "limit"], code)]


@pytest.mark.parametrize(("offset", "code"), NOT_OFFSETS[:2])
def test_offset_is_checked(phone: Api, path: str, offset: str, code: str) -> None:
    assert offences(phone.get(f"{path}?offset={offset}")) == [(["query", "offset"], code)]


def test_unknown_parameters_are_ignored(phone: Api, path: str) -> None:
    assert names(phone.get(f"{path}?search=x&colour=red")) == ["100g"]


def test_it_takes_two_queries_whatever_its_length(
    phone: Api, product: dict[str, Any], path: str, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        phone.get(path)
    for n in range(5):
        phone.portion(product, name=str(n))
    with django_assert_num_queries(2):
        phone.get(path)


def test_an_unknown_product_is_404(phone: Api) -> None:
    response = phone.get(f"/v1/products/{uuid.uuid4()}/portions")
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}


def test_a_deleted_product_is_404(phone: Api, product: dict[str, Any], path: str) -> None:
    phone.delete(f"/v1/products/{product['id']}")
    for page in (path, f"{path}?offset=5"):
        response = phone.get(page)
        assert response.status_code == 404
        assert response.json() == {"detail": "Product not found"}


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.product(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.get(f"/v1/products/{malformed}/portions")
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Product not found"}


def test_the_query_is_checked_before_the_product_is_looked_up(phone: Api) -> None:
    assert phone.get(f"/v1/products/{uuid.uuid4()}/portions?limit=0").status_code == 422
