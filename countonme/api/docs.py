"""The OpenAPI document, pages that show it, and where things are: no other host is asked."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

REDOC_LOGO = "https://cdn.redoc.ly/redoc/logo-mini.svg"
# Both viewers write style attributes, and Redoc searches in a worker. No other host is asked.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "worker-src blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


@csrf_exempt
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Show where things are."""
    return _page(request, "docs/index.html")


@csrf_exempt
@require_safe
def icon(request: HttpRequest) -> HttpResponse:
    """Return the icon that browsers ask for, whatever page they show."""
    return redirect(static("site/icon.svg"))


@csrf_exempt
@require_safe
def openapi(request: HttpRequest) -> HttpResponse:
    """Return the document as JSON."""
    return HttpResponse(orjson.dumps(document(), default=float), content_type="application/json")


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, which each process makes once."""
    schema: dict[str, Any] = SchemaGenerator().get_schema(public=True)
    return schema


@csrf_exempt
@require_safe
def swagger(request: HttpRequest) -> HttpResponse:
    """Show the document in Swagger UI."""
    return _page(request, "docs/swagger.html")


@csrf_exempt
@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    """Show the document in Redoc."""
    return _page(request, "docs/redoc.html")


@csrf_exempt
@require_safe
@gzip_page
def redoc_script(request: HttpRequest) -> HttpResponse:
    """Return Redoc, with our icon in place of the logo that it would load from its makers."""
    headers = {"Cache-Control": "public, max-age=3600"}
    return HttpResponse(_redoc_script(), content_type="text/javascript", headers=headers)


@lru_cache(maxsize=1)
def _redoc_script() -> str:
    path = finders.find("drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js")
    assert path is not None
    return Path(path).read_text().replace(REDOC_LOGO, static("site/icon.svg"))


def _page(request: HttpRequest, template: str) -> HttpResponse:
    response = render(request, template)
    response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    return response
