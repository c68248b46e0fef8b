"""Up to sixteen requests at the same moment, in many rounds, that compete for the same rows.

Each round has its own device. No request may be answered 5xx, not even after a deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from attacks.crowd import RICE, THREADS, Call, Crowd, new_id, rounds, shuffled, statuses
from attacks.servers import Report, Start, racing
from tests.helpers.processes import Run

QUOTA = 10
CUP = {"name": "1 cup", "grams": 180}
SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}
KINDS = ["product", "portion", "entry"]


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Run]:
    """One server for all races of this file."""
    quotas = {"MAX_PRODUCTS_PER_DEVICE": str(QUOTA), "MAX_ENTRIES_PER_DAY": str(QUOTA)}
    with racing(start, **quotas) as server:
        yield server


def defaults(crowd: Crowd, token: str, product: str) -> list[bool]:
    """Return for each portion of a product, in the order of the list, if it is the default."""
    portions = crowd.get(token, f"/v1/products/{product}/portions?limit=200")
    return [portion["is_default"] for portion in portions]


def path_and_body(crowd: Crowd, token: str, kind: str) -> tuple[str, dict[str, Any]]:
    """Return the path and the body that create a row of a kind."""
    match kind:
        case "product":
            return "/v1/products", RICE
        case "entry":
            return "/v1/food-entries", SOUP
    return f"/v1/products/{crowd.product(token)}/portions", CUP


def test_a_device_is_registered_once(crowd: Crowd, report: Report) -> None:
    for _ in rounds(50, report):
        body = {"device_id": new_id()}
        answers = crowd.at_once([("", "POST", "/v1/auth/register", body)] * THREADS)
        assert statuses(answers) == {200: 1, 409: THREADS - 1}
        [token] = [answer.json()["token"] for answer in answers if answer.status == 200]
        assert crowd.get(token, "/v1/auth/device")["id"] == body["device_id"]


def test_one_default_remains_of_many_that_are_set_at_once(crowd: Crowd, report: Report) -> None:
    for rng in rounds(50, report):
        token = crowd.register()
        product = crowd.product(token)
        path = f"/v1/products/{product}/portions"
        stored = [crowd.create(token, path, CUP) for _ in range(2)]
        calls: list[Call] = [
            (token, "POST", path, {"name": "1 bowl", "grams": 300, "is_default": True})
        ] * 3
        for portion in stored:
            calls.append((token, "PATCH", f"/v1/portions/{portion['id']}", {"is_default": True}))
        answers = crowd.at_once(shuffled(rng, calls))
        assert statuses(answers) == {201: 3, 200: 2}
        assert defaults(crowd, token, product) == [True] + [False] * 5


def test_a_repeated_creation_makes_one_row(crowd: Crowd, report: Report) -> None:
    for rng in rounds(65, report):
        token = crowd.register()
        path, body = path_and_body(crowd, token, rng.choice(KINDS))
        before = len(crowd.get(token, path))
        answers = crowd.at_once([(token, "POST", path, {"id": new_id(), **body})] * 6)
        assert statuses(answers) == {201: 1, 200: 5}
        assert len({answer.body for answer in answers}) == 1
        assert len(crowd.get(token, path)) == before + 1


def test_two_devices_can_create_the_same_id(crowd: Crowd, report: Report) -> None:
    for rng in rounds(55, report):
        shared, kind = new_id(), rng.choice(KINDS)
        calls: list[Call] = []
        for token in (crowd.register(), crowd.register()):
            path, body = path_and_body(crowd, token, kind)
            calls.append((token, "POST", path, {"id": shared, **body}))
        calls *= 3
        answers = crowd.at_once(calls)
        first, second = statuses(answers[::2]), statuses(answers[1::2])
        assert first == second == {201: 1, 200: 2}


def test_a_product_is_deleted_while_it_is_logged(crowd: Crowd, report: Report) -> None:
    for rng in rounds(55, report):
        token = crowd.register()
        product = crowd.product(token)
        calls: list[Call] = [
            (token, "POST", "/v1/food-entries", entry_of(product, day)) for day in range(1, 5)
        ]
        calls += [
            (token, "PATCH", f"/v1/products/{product}", {"kcal_100g": 131}),
            (token, "DELETE", f"/v1/products/{product}", None),
        ]
        calls = shuffled(rng, calls)
        answers = crowd.at_once(calls)
        logged = set()
        for call, answer in zip(calls, answers, strict=True):
            allowed = {"POST": (201, 404), "PATCH": (200, 404), "DELETE": (204,)}[call[1]]
            assert answer.status in allowed, (call, answer)
            if answer.status == 201:
                logged.add(answer.json()["id"])
                assert answer.json()["kcal"] in (130, 131)
        assert crowd.send(token, "GET", f"/v1/products/{product}").status == 404
        assert {entry["id"] for entry in crowd.get(token, "/v1/food-entries")} == logged


def entry_of(product: str, day: int) -> dict[str, Any]:
    date = f"2025-02-{day:02}"
    return {"product_id": product, "grams": 100, "date": date, "meal_type": "lunch"}


def test_a_product_keeps_one_default_while_portions_are_changed_and_deleted(
    crowd: Crowd, report: Report
) -> None:
    for rng in rounds(55, report):
        token = crowd.register()
        product = crowd.product(token)
        path = f"/v1/products/{product}/portions"
        [first] = crowd.get(token, path)
        second = crowd.create(token, path, CUP)
        paths = [f"/v1/portions/{portion['id']}" for portion in (first, second)]
        calls: list[Call] = [
            (token, "PATCH", paths[0], {"name": "1 plate"}),
            (token, "PATCH", paths[1], {"is_default": True}),
            (token, "PATCH", paths[1], {"grams": 190}),
            *((token, "DELETE", path, None) for path in paths),
            (token, "GET", path, None),
        ]
        calls = shuffled(rng, calls)
        for call, answer in zip(calls, crowd.at_once(calls), strict=True):
            allowed = {"PATCH": (200, 404), "DELETE": (204, 409), "GET": (200,)}[call[1]]
            assert answer.status in allowed, (call, answer)
            if call[1] == "GET":
                assert [portion["is_default"] for portion in answer.json()].count(True) == 1
        assert defaults(crowd, token, product) == [True]


def test_nothing_is_written_after_a_device_was_erased(crowd: Crowd, report: Report) -> None:
    for rng in rounds(50, report):
        token = crowd.register()
        product = crowd.product(token)
        writes: list[Call] = [
            (token, "POST", "/v1/products", RICE),
            (token, "POST", "/v1/food-entries", entry_of(product, 1)),
            (token, "PATCH", f"/v1/products/{product}", {"kcal_100g": 131}),
            (token, "DELETE", f"/v1/products/{product}", None),
            (token, "POST", "/v1/auth/rotate", None),
            (token, "GET", "/v1/products", None),
        ]
        erasures: list[Call] = [(token, "DELETE", "/v1/auth/device", None)] * 2
        calls = shuffled(rng, writes + erasures)
        for call, answer in zip(calls, crowd.at_once(calls), strict=True):
            assert answer.status in (200, 201, 204, 401, 404), (call, answer)
            if call[2] == "/v1/auth/rotate" and answer.status == 200:
                token = answer.json()["token"]
        # The device is erased, unless the rotation came before both and replaced their token.
        if crowd.send(token, "GET", "/v1/auth/device").status == 200:
            assert crowd.send(token, "DELETE", "/v1/auth/device").status == 204
        calls += [(token, method, path, body) for _, method, path, body in writes]
        assert statuses(crowd.at_once(calls)) == {401: len(calls)}


def test_concurrent_rotations_leave_one_good_token(crowd: Crowd, report: Report) -> None:
    for number, rng in enumerate(rounds(55, report)):
        old = crowd.register()
        rotate: Call = (old, "POST", "/v1/auth/rotate", None)
        calls = shuffled(rng, [rotate] * 4 + [(old, "GET", "/v1/products", None)] * 2)
        answers = crowd.at_once(calls)
        assert all(
            answer.status == 200 or (answer.status == 401 and call[1] == "GET")
            for call, answer in zip(calls, answers, strict=True)
        )
        given = [
            answer.json()["token"]
            for call, answer in zip(calls, answers, strict=True)
            if call[1] == "POST"
        ]
        assert crowd.send(old, "GET", "/v1/products").status == 401
        if number % 2:
            # Like a phone that lost every answer.
            given.append(crowd.create(*rotate[:1], *rotate[2:])["token"])
        good = [token for token in given if crowd.send(token, "GET", "/v1/products").status == 200]
        assert len(good) == 1
        assert crowd.send(*rotate).status == 401


def test_a_phone_that_rotates_and_calls_is_never_locked_out(crowd: Crowd, report: Report) -> None:
    for rng in rounds(35, report):
        old = crowd.register()
        rotate: Call = (old, "POST", "/v1/auth/rotate", None)
        given = [crowd.create(old, "/v1/auth/rotate", None)["token"]]
        calls = shuffled(rng, [rotate] * 3 + [(given[0], "GET", "/v1/products", None)] * 3)
        for call, answer in zip(calls, crowd.at_once(calls), strict=True):
            assert answer.status in (200, 401), answer
            if call == rotate and answer.status == 200:
                given.append(answer.json()["token"])
        good = [token for token in given if crowd.send(token, "GET", "/v1/products").status == 200]
        assert len(good) == 1


def test_a_device_never_has_more_products_than_its_quota(crowd: Crowd, report: Report) -> None:
    for _ in rounds(20, report):
        token = crowd.register()
        answers = crowd.at_once([(token, "POST", "/v1/products", RICE)] * THREADS)
        assert statuses(answers) == {201: QUOTA, 409: THREADS - QUOTA}
        assert len(crowd.get(token, "/v1/products")) == QUOTA


def test_a_day_never_has_more_entries_than_its_quota(crowd: Crowd, report: Report) -> None:
    for rng in rounds(20, report):
        token = crowd.register()
        day_before = {**SOUP, "date": "2025-02-04"}
        moved = [crowd.create(token, "/v1/food-entries", day_before) for _ in range(4)]
        calls: list[Call] = [(token, "POST", "/v1/food-entries", SOUP)] * (THREADS - 4)
        for entry in moved:
            path = f"/v1/food-entries/{entry['id']}"
            calls.append((token, "PATCH", path, {"date": SOUP["date"]}))
        answers = crowd.at_once(shuffled(rng, calls))
        assert statuses(answers)[409] == THREADS - QUOTA
        assert len(crowd.get(token, f"/v1/food-entries?date={SOUP['date']}")) == QUOTA


def test_a_product_never_has_more_portions_than_its_quota(crowd: Crowd, report: Report) -> None:
    stored = 50
    for _ in rounds(20, report):
        if stored == 50:
            token = crowd.register()
            path = f"/v1/products/{crowd.product(token)}/portions"
            stored = 1
        answers = crowd.at_once([(token, "POST", path, CUP)] * THREADS)
        room = min(THREADS, 50 - stored)
        assert statuses(answers) == Counter({201: room}) + Counter({409: THREADS - room})
        stored += room
        assert len(crowd.get(token, f"{path}?limit=200")) == stored
