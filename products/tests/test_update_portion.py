"""PUT and PATCH /v1/portions/{id}, which do the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine

from tests.helpers.api import Api, defaults, offences, request_body
from tests.helpers.contract import PORTION
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import MALFORMED, WELL_FORMED

REFUSED = [
    ("name", "", "blank"),
    ("name", "a" * 101, "max_length"),
    ("name", 5, "invalid"),
    ("name", "a\x1fb", "invalid"),
    ("grams", 0, "min_value"),
    ("grams", -1, "min_value"),
    ("grams", 10000.01, "max_value"),
    ("grams", 0.004, "min_value"),
    ("grams", "30", "invalid"),
    ("grams", True, "invalid"),
    ("is_default", 1, "invalid"),
    ("is_default", "true", "invalid"),
]


@pytest.fixture
def product(phone: Api) -> dict[str, Any]:
    """A product with the portion that comes with it."""
    return phone.product()


@pytest.fixture
def default(phone: Api, product: dict[str, Any]) -> dict[str, Any]:
    """The default portion."""
    portion: dict[str, Any]
    (portion,) = phone.get(f"/v1/products/{product['id']}/portions").json()
    return portion


@pytest.fixture
def portion(phone: Api, product: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    """Another portion."""
    return phone.portion(product, name="Crème", grams=12.5)


@pytest.fixture
def update(phone: Api) -> Callable[..., Any]:
    """Send an update of a portion."""

    def send(portion: dict[str, Any], body: Any) -> Any:
        return phone.put(f"/v1/portions/{portion['id']}", body)

    return send


def test_it_works(phone: Api, portion: dict[str, Any], update: Any) -> None:
    changes = {"name": "1 slice", "grams": 30}
    with time_machine.travel(datetime(2030, 2, 5, 12, 30, tzinfo=UTC), tick=False):
        response = update(portion, changes)
    assert response.status_code == 200
    assert response.json() == portion | changes | {"updated_at": "2030-02-05T12:30:00Z"}
    assert list(response.json()) == PORTION
    assert phone.get(f"/v1/portions/{portion['id']}").json() == response.json()


@pytest.mark.parametrize(
    "body",
    [{}, {"grams": 1}, {"is_default": True}, {"grams": None}, {"grams": "1"}, {"product_id": 1}],
)
@time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False)
def test_put_and_patch_do_the_same(phone: Api, product: dict[str, Any], body: Any) -> None:
    answers = [
        phone.request(method, f"/v1/portions/{phone.portion(product)['id']}", body)
        for method in ("PUT", "PATCH")
    ]
    contents = [{**answer.json(), "id": None} for answer in answers]
    assert answers[0].status_code == answers[1].status_code
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("field", "value"), [("name", "1 slice"), ("grams", 0.01), ("is_default", True)]
)
def test_a_field_left_out_keeps_its_value(
    portion: dict[str, Any], update: Any, field: str, value: Any
) -> None:
    changed = update(portion, {field: value}).json()
    assert changed == portion | {field: value, "updated_at": changed["updated_at"]}


@pytest.mark.parametrize("field", ["name", "grams", "is_default"])
def test_null_is_refused(portion: dict[str, Any], update: Any, field: str) -> None:
    assert offences(update(portion, {field: None})) == [(["body", field], "null")]


def test_fields_are_checked(phone: Api, portion: dict[str, Any], update: Any) -> None:
    for field, value, code in REFUSED:
        assert offences(update(portion, {field: value})) == [(["body", field], code)], value
    assert phone.get(f"/v1/portions/{portion['id']}").json() == portion


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        request_body({"name": "Crème", "grams": 12.5, "is_default": False}),
        request_body({}, name='" Cre\\u0300me\\n"'),
        request_body({}, grams="1.2500e1"),
        request_body({"colour": "red", "created_at": "x", "updated_at": None}),
    ],
)
def test_an_update_that_changes_nothing_leaves_updated_at(
    phone: Api, portion: dict[str, Any], update: Any, body: bytes
) -> None:
    response = update(portion, body)
    assert (response.status_code, response.json()) == (200, portion)


def test_a_whole_record_sent_back_changes_nothing(
    portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    assert update(portion, portion).json() == portion
    assert update(default, default).json() == default


def test_a_portion_never_moves_to_another_product(
    phone: Api, portion: dict[str, Any], update: Any
) -> None:
    another = phone.product()
    assert update(portion, {"product_id": another["id"]}).json() == portion


@pytest.mark.parametrize("whose", ["nobody's", "mine", "another's"])
def test_an_id_in_the_body_is_ignored(
    phone: Api, other: Api, portion: dict[str, Any], update: Any, whose: str
) -> None:
    owner = {"mine": phone, "another's": other}.get(whose)
    named = owner.portion(owner.product()) if owner else {"id": str(uuid.uuid4())}
    response = update(portion, {"id": named["id"], "grams": 1})
    assert response.status_code == 200
    assert response.json().items() >= {"id": portion["id"], "grams": 1}.items()
    if owner:
        assert owner.get(f"/v1/portions/{named['id']}").json() == named


def test_a_new_default_takes_it_from_the_other_which_is_an_update(
    phone: Api, portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    with time_machine.travel(datetime(2030, 2, 5, tzinfo=UTC), tick=False):
        update(portion, {"is_default": True})
    moved = {"updated_at": "2030-02-05T00:00:00Z"}
    assert phone.get(f"/v1/products/{portion['product_id']}/portions").json() == [
        portion | {"is_default": True} | moved,
        default | {"is_default": False} | moved,
    ]


def test_the_default_made_the_default_again_changes_nothing(
    phone: Api, portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    assert update(default, {"is_default": True}).json() == default
    assert phone.get(f"/v1/portions/{portion['id']}").json() == portion


@pytest.mark.parametrize("more", [{}, {"name": "1 slice", "grams": 1}])
def test_the_default_cannot_be_unset(
    phone: Api, default: dict[str, Any], portion: dict[str, Any], update: Any, more: dict[str, Any]
) -> None:
    response = update(default, {"is_default": False} | more)
    assert response.status_code == 409
    assert set(response.json()) == {"detail"}
    assert phone.get(f"/v1/portions/{default['id']}").json() == default


def test_the_only_portion_stays_the_default(
    phone: Api, default: dict[str, Any], update: Any
) -> None:
    assert update(default, {"is_default": False}).status_code == 409


def test_a_former_default_accepts_is_default_false(
    phone: Api, portion: dict[str, Any], default: dict[str, Any], update: Any
) -> None:
    update(portion, {"is_default": True})
    assert update(default, {"is_default": False}).status_code == 200


def test_other_products_keep_their_default(
    phone: Api, portion: dict[str, Any], update: Any
) -> None:
    another = phone.product()
    before = defaults(phone, another)
    update(portion, {"is_default": True})
    assert defaults(phone, another) == before


def test_entries_logged_with_it_stay_as_they_are(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], update: Any
) -> None:
    entry = phone.entry(product_id=product["id"], portion_id=portion["id"], quantity=2)
    update(portion, {"name": "1 slice", "grams": 500})
    assert phone.get(f"/v1/food-entries/{entry['id']}").json() == entry


def test_order_follows_the_new_name(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], update: Any
) -> None:
    phone.portion(product, name="Éclair")
    update(portion, {"name": "Źdźbło"})
    found = phone.get(f"/v1/products/{product['id']}/portions").json()
    assert [row["name"] for row in found] == ["100g", "Éclair", "Źdźbło"]


def test_an_unknown_or_deleted_portion_is_404(
    phone: Api, portion: dict[str, Any], update: Any
) -> None:
    phone.delete(f"/v1/portions/{portion['id']}")
    for gone in (portion, {"id": str(uuid.uuid4())}):
        response = update(gone, {"name": "1 slice"})
        assert response.status_code == 404
        assert response.json() == {"detail": "Portion not found"}


def test_a_deleted_products_portion_is_404(
    phone: Api, product: dict[str, Any], portion: dict[str, Any], update: Any
) -> None:
    phone.delete(f"/v1/products/{product['id']}")
    assert update(portion, {"is_default": True}).status_code == 404


def test_a_malformed_id_is_404(phone: Api, product: dict[str, Any]) -> None:
    phone.portion(product, id=WELL_FORMED)
    for malformed in MALFORMED:
        response = phone.put(f"/v1/portions/{malformed}", {"grams": 1})
        assert response.status_code == 404, malformed
        assert response.json() == {"detail": "Portion not found"}


def test_the_body_is_checked_before_the_portion_is_looked_up(update: Any) -> None:
    response = update({"id": str(uuid.uuid4())}, {"grams": 0})
    assert offences(response) == [(["body", "grams"], "min_value")]


@pytest.mark.django_db(transaction=True)
def test_two_that_want_to_be_the_default_at_once_leave_one(phone: Api) -> None:
    product = phone.product()
    portions = [phone.portion(product, name=str(n)) for n in range(4)]
    answers = at_once(
        *(
            partial(as_thread(phone).put, f"/v1/portions/{portion['id']}", {"is_default": True})
            for portion in portions
        )
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    (default,) = defaults(phone, product)
    assert default in {portion["id"] for portion in portions}


@pytest.mark.django_db(transaction=True)
def test_only_a_change_raises_the_revision(phone: Api) -> None:
    portion = phone.portion(phone.product())
    path = f"/v1/portions/{portion['id']}"
    before = phone.get(path).headers["ETag"]
    phone.put(path, portion)
    assert phone.get(path).headers["ETag"] == before
    phone.put(path, {"grams": 1})
    assert phone.get(path).headers["ETag"] != before
