"""POST /v1/body-weights."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest

from goals.models import BodyWeight
from tests.helpers.api import Api, offences, request_body
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import DATES_REFUSED, HUGE, NOT_IDS, NOT_NUMBERS

PATH = "/v1/body-weights"
BODY = {"date": "2025-02-05", "weight_kg": 80.5}
FIELDS = ["id", "date", "weight_kg", "created_at", "updated_at"]
ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"
TAKEN = {"detail": "This day has a body weight already"}


def test_it_works(phone: Api) -> None:
    response = phone.post(PATH, BODY)
    assert response.status_code == 201
    created = response.json()
    assert list(created) == FIELDS
    assert created == BODY | {
        "id": created["id"],
        "created_at": created["created_at"],
        "updated_at": None,
    }
    assert phone.get(f"{PATH}/{created['id']}").json() == created


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("0.01", 0.01),
        ("0.005", 0.01),
        ("500", 500),
        ("500.00", 500),
        ("500.004", 500),
        ("80.50", 80.5),
        ("80.125", 80.13),
        ("8.05e1", 80.5),
    ],
)
def test_weight_may_be_over_0_to_500(phone: Api, sent: str, stored: float) -> None:
    response = phone.post(PATH, request_body(BODY, weight_kg=sent))
    assert response.json()["weight_kg"] == stored


def test_weight_is_checked(phone: Api) -> None:
    cases = [
        ("0", "min_value"),
        ("-80", "min_value"),
        ("500.01", "max_value"),
        ("500.005", "max_value"),
        ("0.004", "min_value"),
        ("1e400", "max_value"),
        (HUGE, "max_value"),
        ("null", "null"),
        *NOT_NUMBERS,
    ]
    for sent, code in cases:
        response = phone.post(PATH, request_body(BODY, weight_kg=sent))
        assert offences(response) == [(["body", "weight_kg"], code)], sent


@pytest.mark.parametrize("day", ["2000-01-01", "2024-02-29", "2100-12-31"])
def test_date_may_be_of_this_century(phone: Api, day: str) -> None:
    assert phone.weight(date=day)["date"] == day


def test_date_is_checked(phone: Api) -> None:
    for sent, code in DATES_REFUSED:
        response = phone.post(PATH, request_body(BODY, date=sent))
        assert offences(response) == [(["body", "date"], code)], sent


@pytest.mark.parametrize("field", BODY)
def test_a_required_field_is_missed(phone: Api, field: str) -> None:
    body = {name: value for name, value in BODY.items() if name != field}
    assert offences(phone.post(PATH, body)) == [(["body", field], "required")]


def test_unknown_and_read_only_fields_are_ignored(phone: Api) -> None:
    sent = {"created_at": "2020-01-01T00:00:00Z", "updated_at": 1, "revision": 99, "colour": "red"}
    created = phone.weight(**sent)
    assert created["created_at"] != sent["created_at"]
    assert created["updated_at"] is None


def test_a_second_of_the_day_is_409(phone: Api) -> None:
    first = phone.weight()
    response = phone.post(PATH, BODY)
    assert (response.status_code, response.json()) == (409, TAKEN)
    assert phone.get(PATH).json() == [first]


def test_a_deleted_one_and_another_devices_leave_the_day_free(phone: Api, other: Api) -> None:
    other.weight()
    phone.delete(f"{PATH}/{phone.weight()['id']}")
    created = phone.weight()
    assert phone.get(PATH).json() == [created]


def test_a_repeated_request_answers_200_and_changes_nothing(phone: Api) -> None:
    created = phone.weight(id=ID)
    again = phone.post(PATH, BODY | {"id": ID, "weight_kg": 90, "date": "2025-02-06"})
    assert (again.status_code, again.json()) == (200, created)
    assert phone.get(PATH).json() == [created]


def test_the_id_of_a_deleted_one_is_409(phone: Api) -> None:
    phone.weight(id=ID)
    phone.delete(f"{PATH}/{ID}")
    response = phone.post(PATH, BODY | {"id": ID})
    assert (response.status_code, response.json()) == (409, {"detail": "ID already in use"})


@pytest.mark.parametrize("sent", NOT_IDS)
def test_a_malformed_id_is_refused(phone: Api, sent: str) -> None:
    response = phone.post(PATH, request_body(BODY, id=sent))
    assert offences(response) == [(["body", "id"], "invalid")]


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_kept(phone: Api) -> None:
    bodies: list[dict[str, Any]] = [BODY | {"id": str(uuid.uuid4())} for _ in range(3)]
    answers = at_once(*(partial(as_thread(phone).post, PATH, body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert BodyWeight.objects.across_devices().count() == 1
