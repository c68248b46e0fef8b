"""Query parameters, declared as serializer fields, and the pages of lists."""

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


class QuerySerializer(Reader):
    """The query parameters of a call. Others are ignored; of a repeated one the last counts."""

    @classmethod
    def of(cls, request: Request) -> Mapping[str, Any]:
        """Return a request's parameters, validated and converted.

        Raises:
            QueryError: one of them is invalid, or they contradict each other.
        """
        try:
            return cls._read(request.META["QUERY_STRING"])
        except serializers.ValidationError as error:
            raise QueryError(error.detail) from error

    @classmethod
    @lru_cache(maxsize=1024)
    def _read(cls, query: str) -> Mapping[str, Any]:
        """Validate a query string. Results are cached: many phones ask for the same days."""
        # A plain dict, because DRF treats an empty parameter of a QueryDict as missing.
        parameters = QueryDict(query.encode("latin-1")).dict()
        return MappingProxyType(cls.shared().read(parameters))


class PageQuery(QuerySerializer):
    """The parameters that page through a list."""

    limit = QueryIntegerField(min_value=1, max_value=200, default=50)
    offset = QueryIntegerField(min_value=0, max_value=MAX_OFFSET, default=0)


class RangeMixin(serializers.Serializer[Any]):
    """`from` and `to`, both inclusive. `from` is a keyword of Python, hence `vars()`."""

    vars()["from"] = DayField(required=False, help_text="First day.")
    to = DayField(required=False, help_text="Last day.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a range that ends before it starts."""
        attrs = super().validate(attrs)
        if "from" in attrs and "to" in attrs and attrs["from"] > attrs["to"]:
            raise serializers.ValidationError("from must not be after to", code="invalid")
        return attrs


def fetch_page(
    fetch: Callable[[int, int], list[Any]], request: Request, query: Mapping[str, Any]
) -> tuple[list[Any], dict[str, str]]:
    """Return one page of rows, and a `Link` header with the next and the previous page.

    Usually it takes one query, for one row more than the page has: if that row exists, there is a
    next page. Past the end of the list, a second query tells whether there is a previous page.

    Args:
        fetch: called with a limit and an offset; returns these rows.
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
