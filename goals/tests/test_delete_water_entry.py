"""DELETE /v1/water-entries/{id}."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest
import time_machine

from goals.models import WaterEntry
from tests.helpers.api import Api
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/water-entries"


def test_it_works(phone: Api) -> None:
    kept, gone = phone.water(), phone.water()
    response = phone.delete(f"{PATH}/{gone['id']}")
    assert (response.status_code, response.content) == (204, b"")
    assert phone.get(PATH).json() == [kept]


def test_it_is_a_soft_delete(phone: Api) -> None:
    water = phone.water()
    moment = datetime(2030, 2, 5, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        phone.delete(f"{PATH}/{water['id']}")
    assert WaterEntry._base_manager.get(pk=water["id"]).deleted_at == moment


@pytest.mark.django_db(transaction=True)
def test_twice_at_once_deletes_once(phone: Api) -> None:
    path = f"{PATH}/{phone.water()['id']}"
    answers = at_once(*(partial(as_thread(phone).delete, path) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [204, 404, 404]
