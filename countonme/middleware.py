"""What every answer carries: a request id, also in each log line, and what a browser may load."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

request_id: ContextVar[str] = ContextVar("request_id", default="-")
ACCEPTABLE = re.compile(r"[A-Za-z0-9-]{1,64}")

# The operators' site is Alpine.js in attributes, which need unsafe-eval, and styles in attributes.
# Inline scripts it has none.
OPERATORS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
# Data is nothing to render: a browser that is shown an answer runs and loads nothing.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


class RequestIdMiddleware:
    """Put `X-Request-ID` on the answer: the proxy's if it is a plain word, else a new one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-ID", "")
        value = given if ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
        token = request_id.set(value)
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = value
            return response
        finally:
            request_id.reset(token)


class ContentSecurityPolicyMiddleware:
    """Put `Content-Security-Policy` on answers that have none of their own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policy = OPERATORS_POLICY if request.path.startswith("/admin/") else DATA_POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        return response


class RequestIdFilter(logging.Filter):
    """Give log records the id of the request that they belong to."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True
