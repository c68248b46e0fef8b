"""`seed_demo`."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from tests.helpers.api import Api


def seed(*args: str) -> str:
    out = StringIO()
    call_command("seed_demo", *args, stdout=out)
    return out.getvalue()


def phone_of(printed: str) -> Api:
    found = re.search(r"^TOKEN=(\S+)$", printed, re.MULTILINE)
    assert found
    return Api(token=found[1])


def test_it_works(db: None) -> None:
    phone = phone_of(seed("--days", "3"))
    assert len(phone.get("/v1/products").json()) > 10
    assert {entry["meal_type"] for entry in phone.get("/v1/food-entries").json()} >= {
        "breakfast",
        "lunch",
        "dinner",
    }


def test_its_curl_lines_answer_something(db: None) -> None:
    printed = seed("--days", "3", "--url", "http://127.0.0.1:9000/")
    lines = re.findall(r'^curl (-X POST )?.*"http://127\.0\.0\.1:9000(/v1/\S+)"$', printed, re.M)
    assert len(lines) == 13
    for post, url in lines:
        phone = phone_of(printed)
        response = phone.post(url) if post else phone.get(url)
        assert response.status_code == (201 if post else 200), url
        assert response.json(), urlsplit(url).path


def test_it_names_its_phone(db: None) -> None:
    printed = seed("--days", "1")
    (phone,) = phone_of(printed).get("/v1/auth/phones").json()
    assert f'The token of its phone, "{phone["name"]}", ' in printed


def test_its_curl_lines_call_the_server_that_was_started_last(
    db: None, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.delenv("PORT", raising=False)
    assert "http://127.0.0.1:8000/v1/products" in seed("--days", "1")
    (tmp_path / "address").write_text("http://192.168.1.20:9000")
    assert "http://192.168.1.20:9000/v1/products" in seed("--days", "1")


def test_its_days_are_believable(db: None) -> None:
    printed = seed("--days", "10")
    url = re.findall(r"/v1/stats/daily\S+(?=\")", printed)[0]
    average = phone_of(printed).get(url).json()["average"]
    assert 1200 < average["kcal"] < 3000


def test_its_weight_is_believable(db: None) -> None:
    printed = seed()
    phone = phone_of(printed)
    weight, expenditure, streak = (
        phone.get(re.findall(rf"/v1/stats/{name}\S+(?=\")", printed)[0]).json()
        for name in ("weight", "expenditure", "streak")
    )
    trend = [point["trend_kg"] for point in weight["points"]]
    assert 10 < len(trend) <= 30
    assert 0.3 < trend[0] - trend[-1] < 2
    assert 1300 < expenditure["kcal_per_day"] < 2500
    assert streak["current"] == 30


def test_its_goal_is_within_reach(db: None) -> None:
    printed = seed("--days", "3")
    url = re.findall(r"/v1/goals/progress\S+(?=\")", printed)[0]
    progress = phone_of(printed).get(url).json()
    assert progress["goal"]["goal_type"] == "calculated"
    assert abs(progress["left"]["kcal"]) < 1000
    assert progress["water_ml"] >= 1000


def test_each_run_makes_another_phone(db: None) -> None:
    assert phone_of(seed("--days", "1")).token != phone_of(seed("--days", "1")).token


def test_several_devices_have_different_diaries(db: None) -> None:
    printed = seed("--days", "3", "--devices", "2")
    found = re.search(r"^Device .* with the token (\S+)$", printed, re.MULTILINE)
    assert found
    diaries = [
        [entry["grams"] for entry in phone.get("/v1/food-entries").json()]
        for phone in (phone_of(printed), Api(token=found[1]))
    ]
    assert diaries[0] != diaries[1]
    assert all(diaries)


def test_no_days_are_refused(db: None) -> None:
    with pytest.raises(CommandError, match="at least one"):
        seed("--days", "0")
