"""The OpenAPI document, and the pages that show it to people from files of our own."""

from __future__ import annotations

from functools import lru_cache

import orjson
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerView


@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """Answer OpenAPI 3.1, made once a process."""
    return HttpResponse(document(), content_type="application/json")


@lru_cache(maxsize=1)
def document() -> bytes:
    """Return the document as JSON."""
    return orjson.dumps(SchemaGenerator().get_schema(public=True))


class OpenToAll:
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    url_name = "openapi"


class SwaggerView(OpenToAll, SpectacularSwaggerView):
    """Swagger UI."""


class RedocView(OpenToAll, SpectacularRedocView):
    """Redoc."""
