"""POST /v1/body-weights."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest

from goals.models import BodyWeight
from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/body-weights"
BODY = {"date": "2025-02-05", "weight_kg": 80.5}
TAKEN = {"detail": "This day has a body weight already"}


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


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_kept(phone: Api) -> None:
    bodies: list[dict[str, Any]] = [BODY | {"id": str(uuid.uuid4())} for _ in range(3)]
    answers = at_once(*(partial(as_thread(phone).post, PATH, body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert BodyWeight.objects.across_devices().count() == 1
