"""The rows of a resource at a phone, by what it calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import time_machine

from tests.conformance.resources import Resource
from tests.helpers.api import Api, request_body
from tests.helpers.sql import stored_row


class Rows:
    """The rows of a resource at a phone, by what it calls."""

    def __init__(self, phone: Api, resource: Resource) -> None:
        self.phone, self.resource = phone, resource
        resource.prepare(phone)

    def body(self, n: int = 0, **values: Any) -> dict[str, Any]:
        """Return what creates the `n`th row."""
        nth = self.resource.nth(n) if self.resource.nth else {}
        return {**self.resource.body, **nth, **values}

    def post(self, n: int = 0, values: Mapping[str, Any] | None = None, /, **raw: str) -> Any:
        """Send what creates the `n`th row, some of its fields as raw text."""
        return self.phone.post(
            self.resource.path, request_body(self.body(n, **values or {}), **raw)
        )

    def send(self, body: Any) -> Any:
        return self.phone.post(self.resource.path, body)

    def create(self, n: int = 0, **values: Any) -> dict[str, Any]:
        """Create the `n`th row and return it as the API does."""
        response = self.post(n, values)
        assert response.status_code == 201, response.content
        row: dict[str, Any] = response.json()
        return row

    def path(self, row: Mapping[str, Any]) -> str:
        return f"{self.resource.rows}/{row['id']}"

    def get(self, row: Mapping[str, Any]) -> dict[str, Any]:
        response = self.phone.get(self.path(row))
        assert response.status_code == 200, response.content
        found: dict[str, Any] = response.json()
        return found

    def update(self, method: str, row: Mapping[str, Any], body: Any) -> Any:
        return self.phone.request(method, self.path(row), body)

    def list(self, query: str = "") -> list[dict[str, Any]]:
        response = self.phone.get(self.resource.path + query)
        assert response.status_code == 200, response.content
        rows: list[dict[str, Any]] = response.json()
        return rows

    def set_quota(self, settings: Any, value: int) -> None:
        """Have so many rows be the most, where there is a quota."""
        if self.resource.quota:
            setattr(settings, self.resource.quota.setting, value)

    def fill_quota(self, settings: Any) -> str:
        """Have no more rows fit than there are now, and return what is said of one more."""
        assert self.resource.quota
        count = len(self.list())
        self.set_quota(settings, count)
        return self.resource.quota.sentence.format(count)

    def stored(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row's columns, also where it is deleted."""
        return stored_row(self.phone, self.resource.table, row["id"])

    def of_the_server(self) -> dict[str, Any]:
        """Return what is no client's to say: columns of a row that was deleted long ago."""
        with time_machine.travel(datetime(2015, 1, 1, tzinfo=UTC), tick=False):
            row = self.create()
            self.update("PATCH", row, self.resource.changes)
            self.phone.delete(self.path(row))
        columns = self.stored(row).items()
        sent = {name: value for name, value in columns if name not in self.resource.known_fields}
        assert {"device_id", "revision", "created_at", "updated_at", "deleted_at"} <= sent.keys()
        return {**sent, "device": sent["device_id"], "revision": 10**6, "colour": "red"}
