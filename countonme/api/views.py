"""Base classes of all views under `/v1`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, TypeVar, cast
from uuid import UUID

from django.conf import settings
from django.db import OperationalError
from django.db.models import Model, QuerySet
from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from countonme.api.conditional import ConditionalGetMixin
from countonme.api.errors import (
    BodyTooLarge,
    LengthRequired,
    UnsupportedContentEncoding,
    WrongMediaType,
    is_deadlock,
)
from countonme.api.fields import StrictModelSerializer, parse_id
from countonme.api.json import JSONAnswer
from countonme.api.query import PageQuery, fetch_page
from countonme.scope.connection import drop_if_dead
from countonme.scope.exceptions import Missing
from countonme.scope.models import DeviceScoped
from countonme.scope.owner import Owner
from countonme.scope.prepared import Prepared, Slot
from countonme.scope.query import DeviceScopedQuerySet

T = TypeVar("T")


class ApiView(APIView):
    """A call under `/v1`. Its body is read and checked before any row is locked."""

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    max_body_bytes: ClassVar[int] = settings.MAX_BODY_BYTES
    accepts_previous_token: ClassVar[bool] = False
    serializer_class: ClassVar[Any] = None
    # Whether a request without any body is as good as an empty object.
    body_is_optional: ClassVar[bool] = False
    success_status: ClassVar[int] = 200

    # For the OpenAPI document only, where the attributes above don't tell.
    put_is_whole: ClassVar[bool] = False
    methods_with_body: ClassVar[Sequence[str]] = ("POST", "PUT", "PATCH")
    response_class: ClassVar[type[serializers.BaseSerializer[Any]] | None] = None
    path_model: ClassVar[type[Model] | None] = None
    # The id in the path of examples, unless it is that of the model's.
    path_example: ClassVar[str | None] = None
    # Parameters of the query that have an example, beside those that are required.
    query_examples: ClassVar[Sequence[str]] = ()
    answers: ClassVar[Mapping[str, Mapping[int, Sequence[str]]]] = {}
    # The tag, unless it is the first part of the path after `/v1`.
    tag: ClassVar[str] = ""
    # By action or method: what a call does, in a few words, and what else is to know about it.
    summaries: ClassVar[Mapping[str, str]] = {}
    descriptions: ClassVar[Mapping[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate and throttle, without DRF's versions and content negotiation.

        No call fails because its connection died while it was idle: authentication asks again then,
        and a call without it makes sure first.
        """
        if not self.authentication_classes:
            drop_if_dead()
        self.perform_authentication(request)
        self.check_permissions(request)
        self.check_throttles(request)

    def handle_exception(self, exc: Exception) -> Any:
        """Answer an error. The exception handler has logged it if it is worth it."""
        response: Any = super().handle_exception(exc)
        response._has_been_logged = True  # otherwise Django logs a 5xx again
        return response

    @property
    def default_response_headers(self) -> dict[str, str]:
        """No headers: only a 405 has `Allow`."""
        return {}

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Forbid caching unless the view allows it, and give empty answers no type."""
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        if response.status_code in (204, 304):
            del response.headers["Content-Type"]
        return response

    @property
    def device(self) -> Owner:
        """The calling device."""
        return cast("Owner", self.request.user)

    def read_body(self, *, partial: bool = False) -> dict[str, Any]:
        """Return the body's fields, each validated by itself.

        Args:
            partial: whether any field may be left out.

        Raises:
            LengthRequired, BodyTooLarge, WrongMediaType, UnsupportedContentEncoding, ParseError:
                the body is not a JSON object of an accepted size and type.
            ValidationError: it lists every invalid field.
        """
        serializer = self.serializer_class.shared(partial=partial)
        if self.body_length() == 0 and self.body_is_optional:
            return serializer.read({})
        self.check_media_type("application/json")
        if self.body_length() == 0:
            raise ParseError("The body is not valid JSON")
        return serializer.read(self.request.data)

    def body_length(self) -> int:
        """Return the length of the body in bytes.

        Raises:
            LengthRequired, BodyTooLarge: it is not given, or more than is accepted.
        """
        meta = self.request.META
        if not meta.get("CONTENT_LENGTH") and "HTTP_TRANSFER_ENCODING" in meta:
            raise LengthRequired
        length = int(meta.get("CONTENT_LENGTH") or 0)
        if length > self.max_body_bytes:
            raise BodyTooLarge
        return length

    def check_media_type(self, expected: str) -> None:
        """Check that the body is of a type, and not compressed.

        Raises:
            WrongMediaType, UnsupportedContentEncoding: it is another, or compressed.
        """
        if self.request.content_type.partition(";")[0].strip().lower() != expected:
            raise WrongMediaType(expected)
        encoding = self.request.META.get("HTTP_CONTENT_ENCODING", "")
        if encoding.lower() not in ("", "identity"):
            raise UnsupportedContentEncoding

    def write(self, change: Callable[..., T], *args: Any) -> T:
        """Run a change in a transaction, with the device locked; retry once after a deadlock."""
        try:
            with self.device.writing():
                return change(*args)
        except OperationalError as error:
            if not is_deadlock(error):
                raise
        with self.device.writing():
            return change(*args)


class DeviceView(ConditionalGetMixin, ApiView):
    """A call on the device's own rows."""


class DeviceViewSet(ViewSetMixin, DeviceView):
    """List, create, retrieve, update and delete the device's own rows of one model."""

    model: ClassVar[type[DeviceScoped]]
    serializer_class: ClassVar[type[StrictModelSerializer]]
    list_query_class: ClassVar[type[PageQuery]] = PageQuery
    # Query parameters that filter a list, and their lookups. The query of a list with only these is
    # compiled once.
    plain_filters: ClassVar[Mapping[str, str]] = {}

    def get_queryset(self) -> DeviceScopedQuerySet[Any]:
        """Return the device's live rows."""
        return self.model.objects.for_device(self.device)

    @classmethod
    def filter_queryset(
        cls, queryset: DeviceScopedQuerySet[Any], query: Mapping[str, Any]
    ) -> DeviceScopedQuerySet[Any]:
        """Return the rows that a list's query asks for, in the list's order."""
        lookups = cls.plain_filters.items()
        asked = {lookup: query[name] for name, lookup in lookups if name in query}
        return queryset.filter(**asked).in_order()

    def to_representation(self, row: Any) -> dict[str, Any]:
        """Return a row as plain data."""
        return self.serializer_class.represent(row)

    def paginate(
        self, request: Request, query: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, str]]:
        """Return a list's page as plain data, and its headers."""
        asked = query.keys() - {"limit", "offset"}
        if not asked <= self.plain_filters.keys():
            rows = self.filter_queryset(self.get_queryset(), query)
            found, headers = fetch_page(
                lambda count, start: list(rows[start : start + count]), request, query
            )
            return [self.to_representation(row) for row in found], headers
        columns = self.serializer_class.columns()
        values = {name: query[name] for name in asked} | {"device": self.device.pk}
        prepared = self.prepared(frozenset(asked))
        found, headers = fetch_page(
            lambda count, start: prepared.rows(page=(count, start), **values), request, query
        )
        return [dict(zip(columns, row, strict=True)) for row in found], headers

    @classmethod
    @cache
    def prepared(cls, asked: frozenset[str]) -> Prepared:
        """Return a list's query with these filters, which is compiled once."""

        def build(device: Slot, **filters: Slot) -> QuerySet[Any, Any]:
            rows = cls.filter_queryset(cls.model.objects.for_device(device), filters)
            return rows.values_list(*cls.serializer_class.expressions())

        return Prepared(build, "device", *asked)

    def get_object(self, id: str) -> Any:
        """Return the device's row with the id in the path.

        Raises:
            Missing: the id is malformed, or the device has no such live row.
        """
        return self.model.fetch(self.device.pk, self.read_id(id))

    def read_id(self, id: str, model: type[DeviceScoped] | None = None) -> UUID:
        """Return the id in a path as a UUID.

        Args:
            model: what the id belongs to, if that is not this view's model; for the error.

        Raises:
            Missing: it is malformed.
        """
        parsed = parse_id(id)
        if parsed is None:
            raise Missing(model or self.model)
        return parsed

    def list(self, request: Request, **path: str) -> HttpResponse:
        page, headers = self.paginate(request, self.list_query_class.of(request))
        return JSONAnswer(page, headers=headers)

    def create(self, request: Request, **path: str) -> HttpResponse:
        row, created = self.write(self.perform_create, self.read_body())
        return JSONAnswer(self.to_representation(row), 201 if created else 200)

    def retrieve(self, request: Request, id: str) -> HttpResponse:
        return JSONAnswer(self.to_representation(self.get_object(id)))

    def update(self, request: Request, id: str) -> HttpResponse:
        row = self.write(self.perform_update, id, self.read_body(partial=True))
        return JSONAnswer(self.to_representation(row))

    def partial_update(self, request: Request, id: str) -> HttpResponse:
        return self.update(request, id)

    def destroy(self, request: Request, id: str) -> HttpResponse:
        self.write(self.perform_destroy, id)
        return HttpResponse(status=204)

    def perform_create(self, values: dict[str, Any]) -> tuple[DeviceScoped, bool]:
        """Create a row, or find the one that the same request created before.

        Returns:
            The row, and whether it was created now.
        """
        return self.model.add(self.device.pk, **values)

    def perform_update(self, id: str, values: dict[str, Any]) -> DeviceScoped:
        """Update a row."""
        row: DeviceScoped = self.get_object(id)
        row.change(**values)
        return row

    def perform_destroy(self, id: str) -> None:
        """Delete a row softly."""
        self.get_object(id).delete()
