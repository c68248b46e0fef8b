"""POST /v1/water-entries."""

from __future__ import annotations

from typing import Any

from tests.helpers.api import Api

PATH = "/v1/water-entries"
BODY = {"date": "2025-02-05", "ml": 250}


def test_a_day_may_have_several(phone: Api) -> None:
    entries = [phone.water(), phone.water()]
    assert phone.get(PATH).json() == entries


def test_its_quota_is_a_days(phone: Api, settings: Any) -> None:
    settings.MAX_WATER_ENTRIES_PER_DAY = 1
    phone.water()
    assert phone.post(PATH, BODY).status_code == 409
    assert phone.post(PATH, BODY | {"date": "2025-02-06"}).status_code == 201


def test_food_entries_do_not_count(phone: Api, settings: Any) -> None:
    settings.MAX_WATER_ENTRIES_PER_DAY = settings.MAX_ENTRIES_PER_DAY = 1
    phone.entry(), phone.water()
