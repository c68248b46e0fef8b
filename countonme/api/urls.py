"""Which method of a viewset answers which HTTP method."""

from __future__ import annotations

from typing import Any

collection: dict[str, Any] = {"get": "list", "post": "create"}
resource: dict[str, Any] = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}
