"""POST /v1/water-entries."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.conf import settings as configured

from goals.models import WaterEntry
from tests.helpers.api import Api, offences, request_body
from tests.helpers.threads import as_thread, at_once
from tests.helpers.values import DATES_REFUSED, HUGE, NOT_IDS, NOT_NUMBERS

PATH = "/v1/water-entries"
BODY = {"date": "2025-02-05", "ml": 250}
FIELDS = ["id", "date", "ml", "created_at", "updated_at"]
ID = "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"


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
    [("1", 1), ("10000", 10_000), ("250.0", 250), ("10000.000000000002", 10_000)],
)
def test_ml_may_be_1_to_10000(phone: Api, sent: str, stored: int) -> None:
    assert phone.post(PATH, request_body(BODY, ml=sent)).json()["ml"] == stored


def test_ml_is_checked(phone: Api) -> None:
    cases = [
        ("0", "min_value"),
        ("-1", "min_value"),
        ("10001", "max_value"),
        ("40000", "max_value"),
        ("1e400", "max_value"),
        (HUGE, "max_value"),
        ("0.0000005", "min_value"),
        ("0.5", "invalid"),
        ("249.99", "invalid"),
        ("null", "null"),
        *NOT_NUMBERS,
    ]
    for sent, code in cases:
        response = phone.post(PATH, request_body(BODY, ml=sent))
        assert offences(response) == [(["body", "ml"], code)], sent


@pytest.mark.parametrize("day", ["2000-01-01", "2024-02-29", "2100-12-31"])
def test_date_may_be_of_this_century(phone: Api, day: str) -> None:
    assert phone.water(date=day)["date"] == day


def test_date_is_checked(phone: Api) -> None:
    for sent, code in DATES_REFUSED:
        response = phone.post(PATH, request_body(BODY, date=sent))
        assert offences(response) == [(["body", "date"], code)], sent


@pytest.mark.parametrize("field", BODY)
def test_a_required_field_is_missed(phone: Api, field: str) -> None:
    body = {name: value for name, value in BODY.items() if name != field}
    assert offences(phone.post(PATH, body)) == [(["body", field], "required")]


def test_a_day_may_have_several(phone: Api) -> None:
    entries = [phone.water(), phone.water()]
    assert phone.get(PATH).json() == entries


def test_a_day_has_at_most_its_quota(phone: Api, other: Api, settings: Any) -> None:
    settings.MAX_WATER_ENTRIES_PER_DAY = 2
    other.water()
    gone = phone.water()
    phone.delete(f"{PATH}/{gone['id']}")
    phone.water(), phone.water(id=ID)
    response = phone.post(PATH, BODY)
    assert response.status_code == 409
    assert response.json() == {"detail": "A day has at most 2 water entries"}
    assert phone.post(PATH, BODY | {"date": "2025-02-06"}).status_code == 201
    assert phone.post(PATH, BODY | {"id": ID}).status_code == 200


def test_the_quota_is_100() -> None:
    assert configured.MAX_WATER_ENTRIES_PER_DAY == 100


def test_food_entries_do_not_count(phone: Api, settings: Any) -> None:
    settings.MAX_WATER_ENTRIES_PER_DAY = settings.MAX_ENTRIES_PER_DAY = 1
    phone.entry(), phone.water()


def test_a_repeated_request_answers_200_and_changes_nothing(phone: Api) -> None:
    created = phone.water(id=ID)
    again = phone.post(PATH, BODY | {"id": ID, "ml": 1})
    assert (again.status_code, again.json()) == (200, created)
    assert phone.get(PATH).json() == [created]


def test_the_id_of_a_deleted_one_is_409(phone: Api) -> None:
    phone.water(id=ID)
    phone.delete(f"{PATH}/{ID}")
    response = phone.post(PATH, BODY | {"id": ID})
    assert (response.status_code, response.json()) == (409, {"detail": "ID already in use"})


@pytest.mark.parametrize("sent", NOT_IDS)
def test_a_malformed_id_is_refused(phone: Api, sent: str) -> None:
    response = phone.post(PATH, request_body(BODY, id=sent))
    assert offences(response) == [(["body", "id"], "invalid")]


@pytest.mark.django_db(transaction=True)
def test_the_quota_holds_at_once(phone: Api, settings: Any) -> None:
    settings.MAX_WATER_ENTRIES_PER_DAY = 2
    answers = at_once(*(partial(as_thread(phone).post, PATH, BODY) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    assert WaterEntry.objects.across_devices().count() == 2
