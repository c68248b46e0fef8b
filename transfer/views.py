"""`/v1/export`, `/v1/import` and `/v1/data`: all that a device owns, as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request

from countonme.api.json import JSONAnswer
from countonme.api.views import DeviceView
from devices.views import CallerView
from transfer import exporting
from transfer.formats import formats
from transfer.importing import File, Import
from transfer.serializers import (
    ConfirmSerializer,
    ExportQuery,
    ExportSerializer,
    ImportedSerializer,
    ImportQuery,
    ImportSerializer,
)

CSV = "text/csv"


class ExportView(DeviceView, CallerView):
    """All that the device owns and is live, in one consistent snapshot, sent while it is read."""

    tag = "data"
    summaries = {"get": "Export everything"}
    get_query_class = ExportQuery
    get_response_class: ClassVar[Any] = {
        (200, "application/json"): ExportSerializer,
        (200, "application/zip"): OpenApiTypes.BINARY,
    }

    def get(self, request: Request) -> HttpResponseBase:
        """`format=csv` is a ZIP with a CSV of each table, for a spreadsheet."""
        if ExportQuery.of(request)["format"] == "json":
            chunks = _started(exporting.as_json(self.device))
            return StreamingHttpResponse(chunks, content_type="application/json")
        name = f"countonme-{timezone.now():%Y-%m-%d}.zip"
        return StreamingHttpResponse(
            _started(exporting.as_csv(self.device)),
            content_type="application/zip",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class ImportView(CallerView):
    """Bring in an export, or the diary of another app.

    What is live here already is skipped, what was deleted here comes back, and a bad row is left
    out by name. Nothing is worked out anew. A repeated import adds nothing.
    """

    tag = "data"
    summaries = {"post": "Import a diary"}
    max_body_bytes = settings.MAX_SYNC_BODY_BYTES
    serializer_class = ImportSerializer
    request_types: ClassVar[Any] = {CSV: OpenApiTypes.STR}
    response_class = ImportedSerializer
    post_query_class = ImportQuery

    def post(self, request: Request) -> HttpResponse:
        query = ImportQuery.of(request)
        file = self.read_file(query["format"]) if "format" in query else self.read_body()
        return JSONAnswer(self.write(self.perform_import, file, query["preview"] == "true"))

    def read_file(self, format: str) -> File:
        """Return what a file of another app holds.

        Raises:
            LengthRequired, BodyTooLarge, WrongMediaType, UnsupportedContentEncoding: the body is
                not a CSV of an accepted size.
            ValidationError: it is not of this format.
        """
        self.body_length()
        self.check_media_type(CSV)
        # DRF has no stream for an empty body.
        return formats()[format](self.request.stream.read() if self.request.stream else b"")

    def perform_import(self, file: File, is_preview: bool) -> dict[str, Any]:
        with transaction.atomic():
            answer = Import(self.device, file).run()
            transaction.set_rollback(is_preview)
        return answer


class DataView(CallerView):
    """All rows of the device. Its phones stay signed in."""

    tag = "data"
    summaries = {"delete": "Delete everything"}
    serializer_class = ConfirmSerializer
    methods_with_body = ("DELETE",)

    def delete(self, request: Request) -> HttpResponse:
        """Delete everything that the device owns, to start over."""
        self.read_body()
        self.write(self.device.delete_rows)
        return HttpResponse(status=204)


def _started(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Have the first chunk made: what prevents an answer is raised now, and not in its midst."""
    first = next(chunks)

    def all_chunks() -> Iterator[bytes]:
        with closing(chunks):  # type: ignore[type-var]  # a generator
            yield first
            yield from chunks

    return all_chunks()
