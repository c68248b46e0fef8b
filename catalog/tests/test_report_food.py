"""POST /v1/catalog/foods/{id}/reports."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.models import Report
from tests.helpers.api import Api, offences
from tests.helpers.catalog import new_food


def report(phone: Api, body: Any) -> Any:
    return phone.post(f"/v1/catalog/foods/{new_food().pk}/reports", body)


@pytest.mark.parametrize("reason", Report.Reason.values)
def test_it_is_kept_for_the_operators(phone: Api, reason: str) -> None:
    response = report(phone, {"reason": reason, "note": "  185 kcal\non the pack "})
    assert response.status_code == 201
    kept = Report.objects.get()
    assert response.json() == {"id": str(kept.pk)}
    assert (kept.reason, kept.note, kept.closed_at) == (reason, "185 kcal on the pack", None)


def test_a_note_may_be_left_out(phone: Api) -> None:
    assert report(phone, {"reason": "duplicate"}).status_code == 201
    assert Report.objects.get().note is None


def test_nothing_tells_which_device_sent_it(phone: Api) -> None:
    report(phone, {"reason": "other"})
    values = map(str, vars(Report.objects.get()).values())
    assert phone.device is not None
    assert str(phone.device.pk) not in " ".join(values)


@pytest.mark.parametrize(
    ("body", "place", "code"),
    [
        ({}, "reason", "required"),
        ({"reason": None}, "reason", "null"),
        ({"reason": "ugly"}, "reason", "invalid_choice"),
        ({"reason": "other", "note": "x" * 501}, "note", "max_length"),
        ({"reason": "other", "note": "\0"}, "note", "invalid"),
        ({"reason": "other", "note": 1}, "note", "invalid"),
    ],
)
def test_wrong_fields_are_422(phone: Api, body: Any, place: str, code: str) -> None:
    assert offences(report(phone, body)) == [(["body", place], code)]
    assert not Report.objects.exists()


def test_a_note_of_500_characters_is_kept(phone: Api) -> None:
    assert report(phone, {"reason": "other", "note": "é" * 500}).status_code == 201


def test_an_unknown_food_is_404(phone: Api) -> None:
    response = phone.post("/v1/catalog/foods/x/reports", {"reason": "other"})
    assert (response.status_code, response.json()) == (404, {"detail": "Food not found"})


def test_after_20_a_day_it_is_429(phone: Api, other: Api) -> None:
    statuses = [report(phone, {"reason": "other"}).status_code for _ in range(21)]
    assert statuses == [201] * 20 + [429]
    assert report(other, {"reason": "other"}).status_code == 201
