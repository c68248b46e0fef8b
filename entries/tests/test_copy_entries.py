"""POST /v1/food-entries/copy."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from entries.models import FoodEntry
from tests.helpers.api import Api, names, offences
from tests.helpers.contract import ENTRY
from tests.helpers.sql import copy_row, next_transaction, state
from tests.helpers.threads import as_thread, at_once

PATH = "/v1/food-entries/copy"
DAY, NEXT = "2025-02-05", "2025-02-06"


@pytest.fixture
def day(phone: Api) -> list[dict[str, Any]]:
    """A day of three entries, whose ids are not in their order."""
    product = phone.product(protein_100g=31.02)
    portion = phone.portion(product, grams=150)
    of_portion = {"product_id": product["id"], "portion_id": portion["id"], "quantity": 1.5}
    bodies: list[dict[str, Any]] = [
        {"name": "Soup", "kcal": 250, "unit": "ml", "eaten_at": "2025-02-05T12:00:00Z"},
        {**of_portion, "meal_type": "dinner"},
        {"name": "Tea", "kcal": 1, "meal_type": "snacks"},
    ]
    ids = sorted((str(uuid.uuid4()) for _ in bodies), reverse=True)
    return [phone.entry(date=DAY, id=key, **body) for key, body in zip(ids, bodies, strict=True)]


def copied(phone: Api, status: int = 201, **body: Any) -> list[dict[str, Any]]:
    """Copy to the next day, unless the body says otherwise; return the answer."""
    response = phone.post(PATH, {"to_date": NEXT} | body)
    assert response.status_code == status, response.content
    found: list[dict[str, Any]] = response.json()
    return found


def listed(phone: Api, date: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = phone.get(f"/v1/food-entries?date={date}&limit=200").json()
    return found


def pull(phone: Api, after: int = 0) -> tuple[int, list[dict[str, Any]]]:
    """Return the timestamp of a pull, and the entries that it brings."""
    answer = phone.get(f"/v1/sync?last_pulled_at={after}").json()
    return answer["timestamp"], answer["changes"]["food_entries"]["updated"]


def follows(copy_id: str, entry: dict[str, Any]) -> str:
    """Return the id of a copy, as the contract says."""
    return str(uuid.uuid5(uuid.UUID(copy_id), entry["id"]))


def test_a_day_is_copied_as_it_is_written(phone: Api, day: list[dict[str, Any]]) -> None:
    copies = copied(phone, from_date=DAY)
    other = ("id", "date", "eaten_at", "created_at", "updated_at")
    for original, copy in zip(day, copies, strict=True):
        assert list(copy) == ENTRY
        assert copy["id"] != original["id"]
        assert (copy["date"], copy["eaten_at"], copy["updated_at"]) == (NEXT, None, None)
        for name in ENTRY:
            assert name in other or copy[name] == original[name], name
    assert listed(phone, NEXT) == copies
    assert listed(phone, DAY) == day


def test_a_product_that_was_corrected_or_deleted_since_changes_nothing(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    product = f"/v1/products/{day[1]['product_id']}"
    phone.patch(product, {"kcal_100g": 1, "name": "Ham"})
    assert copied(phone, from_date=DAY)[1]["kcal"] == day[1]["kcal"]
    phone.delete(product)
    assert copied(phone, from_date=DAY)[1]["name"] == day[1]["name"]


def test_copies_stand_in_the_order_of_their_originals_however_quick(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False):
        copies = copied(phone, from_date=DAY)
    assert [row["name"] for row in copies] == [row["name"] for row in day]
    assert listed(phone, NEXT) == copies
    assert copies[0]["created_at"] == "2030-01-01T00:00:00Z"
    assert copies[2]["created_at"] == "2030-01-01T00:00:00.000002Z"


def test_a_meal_of_a_day(phone: Api, day: list[dict[str, Any]]) -> None:
    copies = copied(phone, from_date=DAY, meal_type="dinner")
    assert [(row["name"], row["meal_type"]) for row in copies] == [("Chicken Breast", "dinner")]


def test_copies_may_go_into_another_meal(phone: Api, day: list[dict[str, Any]]) -> None:
    for row in copied(phone, from_date=DAY, to_meal_type="breakfast"):
        assert row["meal_type"] == "breakfast"
    (row,) = copied(phone, from_date=DAY, meal_type="snacks", to_meal_type="lunch")
    assert (row["name"], row["meal_type"]) == ("Tea", "lunch")


def test_entries_by_their_ids_in_the_order_of_the_diary(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    before = phone.entry(date="2025-02-04", name="Cake")
    asked = [day[2]["id"], day[0]["id"].upper(), before["id"], day[2]["id"]]
    found = [row["name"] for row in copied(phone, entry_ids=asked)]
    assert found == names(phone.get(f"/v1/food-entries?date={NEXT}")) == ["Cake", "Soup", "Tea"]


def test_with_ids_neither_day_nor_meal_counts(phone: Api, day: list[dict[str, Any]]) -> None:
    body: dict[str, Any] = {
        "from_date": "2024-01-01",
        "meal_type": "breakfast",
        "entry_ids": [day[0]["id"]],
    }
    assert [row["name"] for row in copied(phone, **body)] == ["Soup"]


def test_an_id_that_is_not_a_live_entry_of_this_device_copies_nothing(
    phone: Api, other: Api, day: list[dict[str, Any]]
) -> None:
    theirs = other.entry()["id"]
    phone.delete(f"/v1/food-entries/{day[1]['id']}")
    before = state(phone)
    for wrong in (str(uuid.uuid4()), theirs, day[1]["id"], day[1]["product_id"]):
        for more in ({}, {"copy_id": str(uuid.uuid4())}):
            response = phone.post(
                PATH, {"entry_ids": [day[0]["id"], wrong], "to_date": NEXT, **more}
            )
            assert (response.status_code, response.json()) == (
                404,
                {"detail": "Food entry not found"},
            )
    assert state(phone) == before


def test_deleted_entries_and_other_devices_are_not_copied(
    phone: Api, other: Api, day: list[dict[str, Any]]
) -> None:
    other.entry(date=DAY, name="Theirs")
    phone.delete(f"/v1/food-entries/{day[0]['id']}")
    assert [row["name"] for row in copied(phone, from_date=DAY)] == ["Chicken Breast", "Tea"]
    assert listed(other, NEXT) == []


@pytest.mark.parametrize(
    "body",
    [
        {"from_date": "2025-02-04"},
        {"from_date": DAY, "meal_type": "breakfast"},
        {"from_date": DAY, "entry_ids": []},
        {"from_date": "2025-02-04", "copy_id": str(uuid.uuid4())},
    ],
)
def test_where_there_is_nothing_the_answer_is_empty(
    phone: Api, day: list[dict[str, Any]], body: dict[str, Any], settings: Any
) -> None:
    settings.MAX_ENTRIES_PER_DAY = 0
    before = state(phone)
    assert copied(phone, **body) == []
    assert state(phone) == before


def test_a_day_can_be_copied_onto_itself(phone: Api, day: list[dict[str, Any]]) -> None:
    body: dict[str, Any] = {"from_date": DAY, "to_date": DAY, "copy_id": str(uuid.uuid4())}
    copies = copied(phone, **body)
    assert listed(phone, DAY) == day + copies
    assert copied(phone, 200, **body) == copies
    assert listed(phone, DAY) == day + copies


@pytest.mark.parametrize("to_date", ["2024-02-29", "2000-02-29", "2000-01-01", "2100-12-31"])
def test_over_leap_days_and_to_the_ends_of_the_calendar(
    phone: Api, day: list[dict[str, Any]], to_date: str
) -> None:
    assert [row["date"] for row in copied(phone, from_date=DAY, to_date=to_date)] == [to_date] * 3


def test_the_clock_of_the_server_has_no_say_in_the_day(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    with time_machine.travel(datetime(2031, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), tick=False):
        copies = copied(phone, from_date=DAY)
    assert [row["created_at"][:4] for row in copies] == ["2031", "2032", "2032"]
    assert listed(phone, NEXT) == copies


# A repeated call


def test_the_ids_follow_from_the_copy_id(phone: Api, day: list[dict[str, Any]]) -> None:
    copy_id = str(uuid.uuid4())
    copies = copied(phone, from_date=DAY, copy_id=copy_id.upper())
    assert [row["id"] for row in copies] == [follows(copy_id, row) for row in day]


@pytest.mark.parametrize("by_ids", [False, True])
def test_a_repeated_call_answers_the_same_and_adds_nothing(
    phone: Api, day: list[dict[str, Any]], by_ids: bool, settings: Any
) -> None:
    chosen: dict[str, Any] = (
        {"entry_ids": [row["id"] for row in day[::-1]]} if by_ids else {"from_date": DAY}
    )
    body: dict[str, Any] = {"copy_id": str(uuid.uuid4()), **chosen}
    copies = copied(phone, **body)
    settings.MAX_ENTRIES_PER_DAY = 3
    before = state(phone)
    for _ in range(2):
        assert copied(phone, 200, **body) == copies
    # Neither where nor what is asked for counts then.
    assert copied(phone, 200, **body, to_meal_type="lunch") == copies
    assert copied(phone, 200, **{**body, "to_date": "2025-03-01"}) == copies
    assert state(phone) == before


def test_a_repeated_call_answers_what_is_left_as_it_is_now(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    body: dict[str, Any] = {"copy_id": str(uuid.uuid4()), "from_date": DAY}
    first, second, third = copied(phone, **body)
    phone.delete(f"/v1/food-entries/{first['id']}")
    moved = phone.patch(f"/v1/food-entries/{second['id']}", {"date": "2025-03-01"}).json()
    assert copied(phone, 200, **body) == [moved, third]
    phone.delete(f"/v1/food-entries/{second['id']}")
    phone.delete(f"/v1/food-entries/{third['id']}")
    assert copied(phone, 200, **body) == []


def test_an_entry_that_was_added_to_the_day_since_is_not_copied_by_a_repeated_call(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    body: dict[str, Any] = {"copy_id": str(uuid.uuid4()), "from_date": DAY}
    copies = copied(phone, **body)
    phone.entry(date=DAY, name="Late")
    assert copied(phone, 200, **body) == copies
    assert listed(phone, NEXT) == copies


def test_a_repeated_call_may_name_an_entry_that_is_gone_by_now(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    body: dict[str, Any] = {"copy_id": str(uuid.uuid4()), "entry_ids": [row["id"] for row in day]}
    copies = copied(phone, **body)
    phone.delete(f"/v1/food-entries/{day[0]['id']}")
    assert copied(phone, 200, **body) == copies


def test_what_a_phone_copied_offline_is_not_copied_again(
    phone: Api, day: list[dict[str, Any]]
) -> None:
    copy_id = str(uuid.uuid4())
    pulled, rows = pull(phone)
    records = [row | {"id": follows(copy_id, row), "date": NEXT} for row in rows]
    path = f"/v1/sync?last_pulled_at={pulled}"
    pushed = phone.post(path, {"food_entries": {"created": records}})
    assert pushed.json()["rejected"] == {}
    assert copied(phone, 200, from_date=DAY, copy_id=copy_id) == listed(phone, NEXT)
    assert len(listed(phone, NEXT)) == 3


def test_other_devices_ids_make_no_call_a_repeated_one(
    phone: Api, other: Api, day: list[dict[str, Any]]
) -> None:
    copy_id = str(uuid.uuid4())
    other.entry(id=follows(copy_id, day[0]))
    assert len(copied(phone, from_date=DAY, copy_id=copy_id)) == 3


def test_without_a_copy_id_each_call_copies(phone: Api, day: list[dict[str, Any]]) -> None:
    without: list[dict[str, Any]] = [{}, {"copy_id": None}, {"copy_id": ""}]
    for copy_id in without:
        copied(phone, from_date=DAY, **copy_id)
    assert len(listed(phone, NEXT)) == 9


@pytest.mark.django_db(transaction=True)
def test_sent_twice_at_once_it_copies_once(phone: Api) -> None:
    phone.entry(date=DAY)
    body: dict[str, Any] = {"from_date": DAY, "to_date": NEXT, "copy_id": str(uuid.uuid4())}
    answers = at_once(*[partial(as_thread(phone).post, PATH, body)] * 2)
    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert answers[0].json() == answers[1].json()
    assert len(listed(phone, NEXT)) == 1


# Quota and size


def test_more_than_a_day_holds_is_refused_and_nothing_copied(
    phone: Api, day: list[dict[str, Any]], settings: Any
) -> None:
    phone.entry(date=NEXT)
    settings.MAX_ENTRIES_PER_DAY = 3
    before = state(phone)
    response = phone.post(PATH, {"from_date": DAY, "to_date": NEXT})
    assert response.status_code == 409
    assert response.json() == {"detail": "A day has at most 3 food entries"}
    assert state(phone) == before
    settings.MAX_ENTRIES_PER_DAY = 4
    assert len(copied(phone, from_date=DAY)) == 3


def test_a_full_day_is_copied_in_as_many_queries_as_a_light_one(phone: Api) -> None:
    body: dict[str, Any] = {"from_date": DAY, "to_date": NEXT, "copy_id": str(uuid.uuid4())}
    entry = phone.entry(date=DAY)
    with CaptureQueriesContext(connection) as light:
        assert len(copied(phone, **body)) == 1
    copy_row(phone, "food_entries", entry["id"], 499)
    with CaptureQueriesContext(connection) as full:
        assert len(copied(phone, **body | {"to_date": "2025-02-07", "copy_id": None})) == 500
    assert len(full) == len(light) - 1
    inserts = [query for query in full.captured_queries if "INSERT" in query["sql"]]
    assert len(inserts) == 1
    assert FoodEntry.objects.for_device(phone.device).count() == 1001


# What is sent


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("from_date", "required"), ("to_date", "required")]),
        ({"from_date": None, "to_date": None}, [("from_date", "null"), ("to_date", "null")]),
        ({"from_date": "", "to_date": NEXT}, [("from_date", "null")]),
        ({"from_date": DAY, "to_date": ""}, [("to_date", "invalid")]),
        ({"from_date": DAY, "to_date": "2025-02-30"}, [("to_date", "invalid")]),
        ({"from_date": "2025-02-29", "to_date": NEXT}, [("from_date", "invalid")]),
        ({"from_date": DAY, "to_date": "1999-12-31"}, [("to_date", "min_value")]),
        ({"from_date": "2101-01-01", "to_date": NEXT}, [("from_date", "max_value")]),
        ({"entry_ids": None, "to_date": NEXT}, [("from_date", "required")]),
        ({"entry_ids": "x", "to_date": NEXT}, [("entry_ids", "not_a_list")]),
        ({"entry_ids": ["x"], "to_date": NEXT}, [("entry_ids", "invalid")]),
        ({"entry_ids": [None], "to_date": NEXT}, [("entry_ids", "null")]),
        ({"entry_ids": [str(uuid.uuid4())] * 501, "to_date": NEXT}, [("entry_ids", "max_length")]),
        (
            {
                "from_date": 20250205,
                "to_date": "06.02.2025",
                "meal_type": "brunch",
                "to_meal_type": 1,
                "entry_ids": {},
                "copy_id": "1",
            },
            [
                ("from_date", "invalid"),
                ("to_date", "invalid"),
                ("meal_type", "invalid_choice"),
                ("to_meal_type", "invalid_choice"),
                ("entry_ids", "not_a_list"),
                ("copy_id", "invalid"),
            ],
        ),
    ],
)
def test_every_field_is_checked(
    phone: Api, body: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert offences(phone.post(PATH, body)) == [(["body", name], code) for name, code in expected]


def test_empty_fields_are_as_if_not_sent(phone: Api, day: list[dict[str, Any]]) -> None:
    empty: dict[str, Any] = {
        "meal_type": "",
        "to_meal_type": None,
        "copy_id": "",
        "entry_ids": None,
    }
    assert len(copied(phone, from_date=DAY, **empty, colour="red")) == 3


def test_500_ids_may_be_named(phone: Api) -> None:
    entry = phone.entry(date=DAY)
    copy_row(phone, "food_entries", entry["id"], 499)
    ids = [
        str(key) for key in FoodEntry.objects.for_device(phone.device).values_list("pk", flat=True)
    ]
    assert len(copied(phone, entry_ids=ids)) == 500


def test_nothing_else_answers_there(phone: Api) -> None:
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        response = phone.request(method, PATH, {} if method != "GET" else None)
        assert (response.status_code, response["Allow"]) == (405, "POST"), method


def test_the_next_pull_brings_the_copies(phone: Api, day: list[dict[str, Any]]) -> None:
    next_transaction()
    pulled, _ = pull(phone)
    next_transaction()
    copies = copied(phone, from_date=DAY)
    _, brought = pull(phone, pulled)
    assert [row["id"] for row in brought] == [row["id"] for row in copies]
