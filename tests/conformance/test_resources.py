"""That what the OpenAPI document describes is declared here, so that no rule forgets it."""

from __future__ import annotations

from typing import Any

from countonme.api import docs
from tests.conformance.resources import PRODUCT, RESOURCES, Resource

# A preview stores nothing, and the others act on entries that are there: their own tests try them.
OTHER_CALLS = {"/v1/goals/calculate", "/v1/food-entries/copy", "/v1/food-entries/restate"}
# Phones are no rows of a diary: they join and sign out. Their own tests try them.
OTHER_ROWS = {"/v1/auth/phones"}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema, where it is a reference the one that it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = docs.document()["components"]["schemas"][name] if name else schema
    return found


def sent_fields(path: str, method: str) -> set[str]:
    """Return the fields of a call's body."""
    body = docs.document()["paths"][path][method]["requestBody"]
    return set(resolved(body["content"]["application/json"]["schema"])["properties"])


def described_path(resource: Resource) -> str:
    return resource.path.replace(PRODUCT, "{id}")


def test_every_kind_of_row_that_can_be_updated_or_deleted_is_declared() -> None:
    of_rows = {
        path.removesuffix("/{id}")
        for path, calls in docs.document()["paths"].items()
        if {"put", "patch", "delete"} & calls.keys() and path.endswith("/{id}")
    }
    assert {resource.rows for resource in RESOURCES} == of_rows - OTHER_ROWS


def test_every_call_of_theirs_that_takes_a_body_is_declared() -> None:
    roots = tuple({resource.rows for resource in RESOURCES})
    taking = {
        path
        for path, calls in docs.document()["paths"].items()
        if path.startswith(roots) and "post" in calls and path not in OTHER_CALLS
    }
    assert {described_path(resource) for resource in RESOURCES} == taking


def test_every_field_of_a_body_is_declared() -> None:
    for resource in RESOURCES:
        sorts = [sort for sort in RESOURCES if sort.path == resource.path]
        declared = {"id"}.union(*(sort.fields for sort in sorts))
        assert sent_fields(described_path(resource), "post") == declared, resource
        sorts = [sort for sort in RESOURCES if sort.rows == resource.rows]
        declared = set[str]().union(*(sort.updates for sort in sorts))
        for method in ("put", "patch"):
            found = sent_fields(f"{resource.rows}/{{id}}", method)
            assert found - {"id"} == declared, resource


def test_every_list_is_declared() -> None:
    for resource in RESOURCES:
        calls = docs.document()["paths"][described_path(resource)]
        assert ("get" in calls) == resource.is_listed, resource
