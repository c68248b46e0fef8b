"""GET /v1/stats/weight."""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import Any

import pytest

from goals.models import BodyWeight
from tests.helpers.api import Api, offences
from tests.helpers.values import NOT_DAYS

FIRST = date(2025, 2, 5)


def path(first: Any, last: Any) -> str:
    """Return the address of a range."""
    return f"/v1/stats/weight?from={first}&to={last}"


def weigh(phone: Api, weights: dict[int, float]) -> None:
    """Note weights by their days from FIRST on."""
    for day, weight_kg in weights.items():
        phone.weight(date=str(FIRST + timedelta(day)), weight_kg=weight_kg)


def points(phone: Api, first: int, last: int) -> list[tuple[int, float, float]]:
    """Return day, weight and trend of a range's points, days from FIRST on."""
    answer = phone.get(path(FIRST + timedelta(first), FIRST + timedelta(last))).json()
    return [
        (
            (date.fromisoformat(point["date"]) - FIRST).days,
            point["weight_kg"],
            point["trend_kg"],
        )
        for point in answer["points"]
    ]


def test_it_works(phone: Api) -> None:
    weigh(phone, {0: 80, 1: 81, 11: 79.5})
    response = phone.get(path("2025-02-05", "2025-02-28"))
    assert response.status_code == 200
    assert response.json() == {
        "from": "2025-02-05",
        "to": "2025-02-28",
        "points": [
            {"date": "2025-02-05", "weight_kg": 80, "trend_kg": 80},
            {"date": "2025-02-06", "weight_kg": 81, "trend_kg": 80.1},
            {"date": "2025-02-16", "weight_kg": 79.5, "trend_kg": 79.72},
        ],
    }
    assert list(response.json()) == ["from", "to", "points"]
    assert list(response.json()["points"][0]) == ["date", "weight_kg", "trend_kg"]


def test_without_a_weighing_there_is_no_point(phone: Api, other: Api) -> None:
    weigh(other, {0: 80})
    assert points(phone, -10, 10) == []


def test_one_weighing_is_its_own_trend(phone: Api) -> None:
    weigh(phone, {3: 80.55})
    assert points(phone, 3, 3) == [(3, 80.55, 80.55)]


def test_days_without_a_weighing_have_no_point(phone: Api) -> None:
    weigh(phone, {0: 80, 20: 80})
    assert [day for day, _, _ in points(phone, -30, 30)] == [0, 20]


def test_after_a_gap_the_past_counts_less(phone: Api) -> None:
    weigh(phone, {0: 80, 10: 70, 40: 70})
    (_, _, _), (_, _, after_10), (_, _, after_40) = points(phone, 0, 40)
    assert after_10 == round(70 + 10 / math.e, 2)
    assert after_40 == round(70 + 10 / math.e**4, 2)


def test_it_is_rounded_half_up_to_2_decimals(phone: Api) -> None:
    weigh(phone, {0: 0.01, 1: 500})
    assert points(phone, 0, 1)[1][2] == 47.59


def test_both_ends_are_included_and_nothing_else(phone: Api) -> None:
    weigh(phone, {-1: 1, 0: 2, 1: 3, 2: 4})
    assert [day for day, _, _ in points(phone, 0, 1)] == [0, 1]


def test_it_is_warmed_up_by_the_60_days_before(phone: Api) -> None:
    weigh(phone, {-60: 90, 0: 80})
    assert points(phone, 0, 0) == [(0, 80, round(80 + 10 / math.e**6, 2))]


def test_what_was_weighed_earlier_does_not_count(phone: Api) -> None:
    weigh(phone, {-61: 90, 0: 80})
    assert points(phone, 0, 0) == [(0, 80, 80)]


def test_a_weighing_noted_late_counts_on_its_day(phone: Api) -> None:
    weigh(phone, {0: 80, 2: 82, 1: 90})
    assert [weight for _, weight, _ in points(phone, 0, 2)] == [80, 90, 82]
    assert points(phone, 0, 2)[2][2] > 80.9


def test_deleted_weighings_do_not_count(phone: Api) -> None:
    weigh(phone, {0: 80})
    gone = phone.weight(date=str(FIRST + timedelta(1)), weight_kg=500)
    phone.delete(f"/v1/body-weights/{gone['id']}")
    weigh(phone, {2: 80})
    assert points(phone, 0, 2) == [(0, 80, 80), (2, 80, 80)]


def test_a_leap_day_is_a_day(phone: Api) -> None:
    for day in ("2024-02-28", "2024-02-29", "2024-03-01"):
        phone.weight(date=day, weight_kg=80)
    answer = phone.get(path("2024-02-28", "2024-03-01")).json()
    assert [point["date"] for point in answer["points"]] == [
        "2024-02-28",
        "2024-02-29",
        "2024-03-01",
    ]


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        ("2015-01-01", "2025-01-07", 200),
        ("2015-01-01", "2025-01-08", 422),
        ("0001-01-01", "0001-01-01", 200),
        ("0001-02-01", "0011-02-01", 200),
        ("9999-12-31", "9999-12-31", 200),
        ("0001-01-01", "9999-12-31", 422),
        ("2025-02-06", "2025-02-05", 422),
    ],
)
def test_a_range_has_1_to_3660_days(phone: Api, first: str, last: str, status: int) -> None:
    response = phone.get(path(first, last))
    assert response.status_code == status
    if status == 422:
        assert [loc for loc, _ in offences(response)] == [["query"]]


def test_from_and_to_are_required_and_checked(phone: Api) -> None:
    assert offences(phone.get("/v1/stats/weight")) == [
        (["query", "from"], "required"),
        (["query", "to"], "required"),
    ]
    for day in NOT_DAYS:
        assert offences(phone.get(path(day, FIRST))) == [(["query", "from"], "invalid")]


def test_it_takes_two_queries_however_long_the_range(
    phone: Api, django_assert_num_queries: Any
) -> None:
    BodyWeight.objects.for_device(phone.device).bulk_create(
        BodyWeight(device=phone.device, date=date(2015, 1, 1) + timedelta(n), weight_kg=80)
        for n in range(3660)
    )
    for last in ("2015-01-01", "2025-01-07"):
        with django_assert_num_queries(2):
            answer = phone.get(path("2015-01-01", last)).json()
    assert len(answer["points"]) == 3660
    assert {point["trend_kg"] for point in answer["points"]} == {80}
