"""Query parameters: each declared as a serializer's field, the page of a list among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from countonme.api.errors import QueryError
from countonme.api.fields import DayField, QueryIntegerField, Reader

MAX_OFFSET = 1_000_000


class QuerySerializer(Reader, serializers.Serializer[Any]):
    """Parameters that a call knows; others are ignored, and of a repeated one the last counts."""

    @classmethod
    def of(cls, request: Request) -> Mapping[str, Any]:
        """Return a request's parameters, converted.

        Raises:
            QueryError: one of them, or several together, are invalid.
        """
        try:
            return cls._read(request.META["QUERY_STRING"])
        except serializers.ValidationError as error:
            raise QueryError(error.detail) from error

    @classmethod
    @lru_cache(maxsize=1024)
    def _read(cls, query: str) -> Mapping[str, Any]:
        """Read a query; kept, because all phones ask for the same days."""
        # A plain dict: DRF would take an empty parameter of a QueryDict for a missing one.
        parameters = QueryDict(query.encode("latin-1")).dict()
        return MappingProxyType(cls.shared().read(parameters))


class PageQuery(QuerySerializer):
    """A list's page."""

    limit = QueryIntegerField(min_value=1, max_value=200, default=50)
    offset = QueryIntegerField(min_value=0, max_value=MAX_OFFSET, default=0)


class RangeMixin(serializers.Serializer[Any]):
    """`from` and `to`, both inclusive; `from` is a word of Python's, hence the odd declaration."""

    vars()["from"] = DayField(required=False, help_text="First day.")
    to = DayField(required=False, help_text="Last day.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a range that ends before it starts."""
        attrs = super().validate(attrs)
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError("from must not be after to", code="invalid")
        return attrs


def page_of(
    fetch: Callable[[int, int], list[Any]], request: Request, query: Mapping[str, Any]
) -> tuple[list[Any], dict[str, str]]:
    """Return one page of rows, with the `Link` header that names its neighbours.

    One query: a row more than the page holds tells that there is a next one. Only past the end
    another tells whether there is a previous one.

    Args:
        fetch: gives at most so many rows, after so many others.
    """
    limit, offset = query["limit"], query["offset"]
    found = fetch(limit + 1, offset)
    previous = max(0, offset - limit)
    links = {}
    if len(found) > limit and offset + limit <= MAX_OFFSET:
        links["next"] = offset + limit
    if offset and (found or fetch(1, previous)):
        links["prev"] = previous
    if not links:
        return found, {}
    url = replace_query_param(request.build_absolute_uri(), "limit", limit)
    link = ", ".join(
        f'<{replace_query_param(url, "offset", start)}>; rel="{rel}"'
        for rel, start in links.items()
    )
    return found[:limit], {"Link": link}
