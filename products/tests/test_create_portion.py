"""POST /v1/products/{id}/portions."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine
from django.conf import settings as configured

from products.models import Portion
from tests.helpers.api import Api, defaults, offences, request_body
from tests.helpers.contract import PORTION
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import (
    HUGE,
    MALFORMED,
    NAMES_KEPT,
    NAMES_REFUSED,
    NOT_IDS,
    NOT_NUMBERS,
    WELL_FORMED,
)

BODY = {"name": "1 slice", "grams": 30}


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product with the portion that comes with it."""
    return phone.product()


@pytest.fixture
def path(product: dict[str, Any]) -> str:
    """Where the portions of the product are."""
    return f"/v1/products/{product['id']}/portions"


def test_it_works(phone: Api, path: str) -> None:
    response = phone.post(path, BODY)
    assert response.status_code == 201
    assert phone.get(path).json()[1:] == [response.json()]


def test_it_answers_the_fields_of_the_contract(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    with time_machine.travel(datetime(2030, 2, 5, 12, 30, tzinfo=UTC), tick=False):
        portion = phone.post(path, BODY | {"grams": 30.25}).json()
    assert list(portion) == PORTION
    assert portion == {
        "id": portion["id"],
        "product_id": product["id"],
        "name": "1 slice",
        "grams": 30.25,
        "is_default": False,
        "created_at": "2030-02-05T12:30:00Z",
        "updated_at": None,
    }


def test_name_is_a_name(phone: Api, path: str) -> None:
    kept = {sent: phone.post(path, request_body(BODY, name=sent)).json() for sent, _ in NAMES_KEPT}
    assert {sent: portion.get("name") for sent, portion in kept.items()} == dict(NAMES_KEPT)
    refused = {
        sent: offences(phone.post(path, request_body(BODY, name=sent))) for sent, _ in NAMES_REFUSED
    }
    assert refused == {sent: [(["body", "name"], code)] for sent, code in NAMES_REFUSED}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("0.01", 0.01),
        ("1", 1),
        ("12.100", 12.1),
        ("1e4", 10000),
        ("9999.99", 9999.99),
        ("10000", 10000),
        ("10000.00", 10000),
        ("10000.004", 10000),
        ("12.345", 12.35),
        ("0.005", 0.01),
    ],
)
def test_grams_may_be_over_0_to_10000(phone: Api, path: str, sent: str, stored: float) -> None:
    response = phone.post(path, request_body(BODY, grams=sent))
    assert response.status_code == 201
    assert response.json()["grams"] == stored
    assert phone.get(f"/v1/portions/{response.json()['id']}").json() == response.json()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("null", "null"),
        ("0", "min_value"),
        ("0.00", "min_value"),
        ("-0.0", "min_value"),
        ("-1", "min_value"),
        ("10000.01", "max_value"),
        ("10001", "max_value"),
        ("1e5", "max_value"),
        ("1e400", "max_value"),
        (HUGE, "max_value"),
        ("-1e400", "min_value"),
        ("10000.005", "max_value"),
        ("0.004", "min_value"),
        ("4e-3", "min_value"),
        *NOT_NUMBERS,
    ],
)
def test_grams_are_checked(phone: Api, path: str, sent: str, code: str) -> None:
    response = phone.post(path, request_body(BODY, grams=sent))
    assert offences(response) == [(["body", "grams"], code)]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("null", "null"),
        ("1", "invalid"),
        ("0", "invalid"),
        ('"true"', "invalid"),
        ('""', "invalid"),
        ("[]", "invalid"),
        ("{}", "invalid"),
    ],
)
def test_is_default_is_checked(phone: Api, path: str, sent: str, code: str) -> None:
    response = phone.post(path, request_body(BODY, is_default=sent))
    assert offences(response) == [(["body", "is_default"], code)]


def test_every_offending_field_is_listed(phone: Api, path: str) -> None:
    response = phone.post(path, {"id": 1, "grams": "1", "is_default": 1})
    assert sorted(offences(response)) == [
        (["body", "grams"], "invalid"),
        (["body", "id"], "invalid"),
        (["body", "is_default"], "invalid"),
        (["body", "name"], "required"),
    ]


def test_grams_are_required(phone: Api, path: str) -> None:
    assert offences(phone.post(path, {"name": "1 slice"})) == [(["body", "grams"], "required")]


def test_unknown_and_read_only_fields_are_ignored(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    another = phone.product()
    body = BODY | {"product_id": another["id"], "product": another["id"], "updated_at": "x"}
    assert phone.post(path, body).json()["product_id"] == product["id"]
    assert len(phone.get(f"/v1/products/{another['id']}/portions").json()) == 1


@pytest.mark.parametrize("is_default", [{}, {"is_default": False}])
def test_the_default_stays_where_it_is(
    phone: Api, product: dict[str, Any], path: str, is_default: dict[str, bool]
) -> None:
    before = phone.get(path).json()
    assert phone.portion(product, **is_default)["is_default"] is False
    assert phone.get(path).json()[:1] == before


def test_a_new_default_takes_it_from_the_other_which_is_an_update(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    (first,) = phone.get(path).json()
    third = phone.portion(product, name="third")
    with time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False):
        second = phone.portion(product, name="second", is_default=True)
    assert second["is_default"] is True
    assert second["updated_at"] is None
    demoted = first | {"is_default": False, "updated_at": "2030-02-05T00:00:00Z"}
    assert phone.get(path).json() == [second, demoted, third]


def test_other_products_keep_their_default(phone: Api, product: dict[str, Any]) -> None:
    another = phone.product()
    before = defaults(phone, another)
    phone.portion(product, is_default=True)
    assert defaults(phone, another) == before


def test_an_unknown_product_is_404(phone: Api) -> None:
    response = phone.post(f"/v1/products/{uuid.uuid4()}/portions", BODY)
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}


def test_a_deleted_product_is_404_and_nothing_is_written(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    phone.delete(f"/v1/products/{product['id']}")
    response = phone.post(path, BODY)
    assert response.status_code == 404
    assert response.json() == {"detail": "Product not found"}
    assert phone.device is not None
    assert Portion.all_objects.for_device(phone.device).count() == 1


def test_a_malformed_id_is_404(phone: Api) -> None:
    phone.product(id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.post(f"/v1/products/{malformed}/portions", BODY)
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Product not found"}


@pytest.mark.parametrize("id", ["00000000-0000-4000-8000-000000000000", "malformed"])
def test_the_body_is_checked_before_the_product_is_looked_up(phone: Api, id: str) -> None:
    response = phone.post(f"/v1/products/{id}/portions", {"name": "1 slice"})
    assert offences(response) == [(["body", "grams"], "required")]


def test_a_client_may_choose_the_id(phone: Api, product: dict[str, Any]) -> None:
    chosen = str(uuid.uuid4())
    assert phone.portion(product, id=chosen)["id"] == chosen


@pytest.mark.parametrize("sent", NOT_IDS[:5])
def test_a_malformed_client_id_is_refused(phone: Api, path: str, sent: str) -> None:
    response = phone.post(path, request_body(BODY, id=sent))
    assert offences(response) == [(["body", "id"], "invalid")]


def test_a_repeated_request_answers_200_and_changes_nothing(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    portion = phone.portion(product)
    portions = phone.get(path).json()
    body = {"id": portion["id"], "name": "Another", "grams": 1, "is_default": True}
    response = phone.post(path, body)
    assert (response.status_code, response.json()) == (200, portion)
    assert phone.get(path).json() == portions


def test_the_id_of_another_products_portion_answers_that_portion(
    phone: Api, product: dict[str, Any]
) -> None:
    portion = phone.portion(product)
    another = phone.product()
    response = phone.post(f"/v1/products/{another['id']}/portions", BODY | {"id": portion["id"]})
    assert (response.status_code, response.json()) == (200, portion)
    assert len(phone.get(f"/v1/products/{another['id']}/portions").json()) == 1


def test_the_id_of_a_deleted_one_is_409(phone: Api, path: str) -> None:
    portion = phone.portion(phone.product())
    phone.delete(f"/v1/portions/{portion['id']}")
    before = phone.get(path).json()
    response = phone.post(path, BODY | {"id": portion["id"], "is_default": True})
    assert response.status_code == 409
    assert response.json() == {"detail": "ID already in use"}
    assert phone.get(path).json() == before


def test_a_product_has_at_most_its_quota(
    phone: Api, product: dict[str, Any], path: str, settings: Any
) -> None:
    settings.MAX_PORTIONS_PER_PRODUCT = 3
    portions = [phone.portion(product), phone.portion(product)]
    before = phone.get(path).json()
    response = phone.post(path, BODY | {"is_default": True})
    assert response.status_code == 409
    assert response.json() == {"detail": "A product has at most 3 portions"}
    assert phone.get(path).json() == before
    phone.portion(phone.product())
    phone.delete(f"/v1/portions/{portions[0]['id']}")
    phone.portion(product)


def test_the_quota_is_50() -> None:
    assert configured.MAX_PORTIONS_PER_PRODUCT == 50


def test_a_repeated_request_is_safe_at_the_quota(
    phone: Api, product: dict[str, Any], path: str, settings: Any
) -> None:
    settings.MAX_PORTIONS_PER_PRODUCT = 2
    portion = phone.portion(product)
    response = phone.post(path, BODY | {"id": portion["id"]})
    assert (response.status_code, response.json()) == (200, portion)


@pytest.mark.django_db(transaction=True)
def test_two_that_want_to_be_the_default_at_once_leave_one(
    phone: Api, product: dict[str, Any], path: str
) -> None:
    answers = at_once(
        *(partial(as_thread(phone).post, path, BODY | {"is_default": True}) for _ in range(4))
    )
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len(phone.get(path).json()) == 5
    (default,) = defaults(phone, product)
    assert default in {answer.json()["id"] for answer in answers}


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_create_one_portion(phone: Api, path: str) -> None:
    body = BODY | {"id": str(uuid.uuid4())}
    answers = at_once(*(partial(as_thread(phone).post, path, body) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 201]
    assert len(phone.get(path).json()) == 2


@pytest.mark.django_db(transaction=True)
def test_the_quota_holds_at_once(phone: Api, path: str, settings: Any) -> None:
    settings.MAX_PORTIONS_PER_PRODUCT = 2
    answers = at_once(*(partial(as_thread(phone).post, path, BODY) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
