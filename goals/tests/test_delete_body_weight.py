"""DELETE /v1/body-weights/{id}."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest
import time_machine

from goals.models import BodyWeight
from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/body-weights"


def test_it_works(phone: Api) -> None:
    kept, gone = phone.weight(), phone.weight(date="2025-02-06")
    response = phone.delete(f"{PATH}/{gone['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert phone.get(PATH).json() == [kept]


def test_it_is_a_soft_delete(phone: Api) -> None:
    weight = phone.weight()
    moment = datetime(2030, 2, 5, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        phone.delete(f"{PATH}/{weight['id']}")
    assert BodyWeight._base_manager.get(pk=weight["id"]).deleted_at == moment


def test_its_day_is_free_again(phone: Api) -> None:
    phone.delete(f"{PATH}/{phone.weight()['id']}")
    created = phone.weight()
    assert phone.get(PATH).json() == [created]


@pytest.mark.django_db(transaction=True)
def test_twice_at_once_deletes_once(phone: Api) -> None:
    path = f"{PATH}/{phone.weight()['id']}"
    answers = at_once(*(partial(as_thread(phone).delete, path) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404]
