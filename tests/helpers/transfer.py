"""Exports and imports, as phones and people make them."""

from __future__ import annotations

from typing import Any

from tests.helpers.api import Api

FORMAT = "countonme-diary-1"


def export(phone: Api) -> dict[str, Any]:
    """Return an export as JSON."""
    response = phone.get("/v1/export")
    assert response.status_code == 200, response.content
    exported: dict[str, Any] = response.json()
    return exported


def rows(phone: Api) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of an export, by table."""
    found: dict[str, list[dict[str, Any]]] = export(phone)["rows"]
    return found


def load(phone: Api, exported: dict[str, Any], query: str = "") -> dict[str, Any]:
    """Import an export, and return the answer."""
    response = phone.post(f"/v1/import{query}", exported)
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def load_rows(phone: Api, **tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Import some rows, and return the answer."""
    return load(phone, {"format": FORMAT, "rows": tables})


def send_file(phone: Api, format: str, file: bytes, query: str = "") -> Any:
    """Send the file of another app, and return the response."""
    path = f"/v1/import?format={format}{query}"
    return phone.request("POST", path, file, {"Content-Type": "text/csv"})


def load_file(phone: Api, format: str, file: bytes, query: str = "") -> dict[str, Any]:
    """Import the file of another app, and return the answer."""
    response = send_file(phone, format, file, query)
    assert response.status_code == 200, response.content
    answer: dict[str, Any] = response.json()
    return answer


def start_over(phone: Api) -> None:
    """Delete everything that the device owns."""
    response = phone.request("DELETE", "/v1/data", {"confirm": "delete everything"})
    assert response.status_code == 204, response.content
