"""Which method of a viewset answers which HTTP method."""

from __future__ import annotations

collection = {"get": "list", "post": "create"}
resource = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}
