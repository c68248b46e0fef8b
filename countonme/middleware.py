"""Middleware and log filters: request ids, security headers, CORS, and what only pages need."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from corsheaders.middleware import CorsMiddleware
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

request_id: ContextVar[str] = ContextVar("request_id", default="-")
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9-]{1,64}")

# A list of header names (RFC 9110, section 5.1).
HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(, ?[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
ALLOWED_HEADERS = "Access-Control-Allow-Headers"

# The operators' site has no inline scripts. It has styles in attributes, and Alpine.js in
# attributes, which needs unsafe-eval.
OPERATORS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
# For answers that are no pages: a browser that shows one runs and loads nothing.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


class RequestIdMiddleware:
    """Set `X-Request-ID` on the response: the proxy's id if it is well-formed, else a new one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        value = given if REQUEST_ID_PATTERN.fullmatch(given) else secrets.token_hex(16)
        token = request_id.set(value)
        try:
            response = self.get_response(request)
            response["X-Request-ID"] = value
            return response
        finally:
            request_id.reset(token)


class ContentSecurityPolicyMiddleware:
    """Set `Content-Security-Policy` on responses that have none yet."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policy = OPERATORS_POLICY if request.path.startswith("/admin/") else DATA_POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        return response


def is_api_request(request: HttpRequest) -> bool:
    """Return whether a request calls the API, and so is not for a page."""
    return request.path_info.startswith("/v1/")


class BrowsersCorsMiddleware(CorsMiddleware):
    """CORS, for browsers only: an app on a phone sends no `Origin`."""

    def __call__(self, request: HttpRequest) -> Any:
        if "HTTP_ORIGIN" not in request.META:
            return self.get_response(request)
        response: Any = super().__call__(request)
        asked = request.META.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        # The header has *, which browsers from before 2019 don't know.
        if ALLOWED_HEADERS in response and HEADER_NAMES.fullmatch(asked):
            response[ALLOWED_HEADERS] += f", {asked}"
        return response


class PagesMiddleware:
    """Run PAGES_MIDDLEWARE for pages only. Answers of the API get two headers instead.

    Raises:
        ImproperlyConfigured: one of that middleware has a hook that would never be called.
    """

    # Django calls these hooks only for what is in MIDDLEWARE.
    UNSUPPORTED_HOOKS = ("process_exception", "process_template_response")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = self.for_pages = get_response
        self.view_hooks: list[Callable[..., HttpResponse | None]] = []
        for name in reversed(settings.PAGES_MIDDLEWARE):
            try:
                self.for_pages = import_string(name)(self.for_pages)
            except MiddlewareNotUsed:
                continue
            for hook in self.UNSUPPORTED_HOOKS:
                if hasattr(self.for_pages, hook):
                    raise ImproperlyConfigured(
                        f"{name} has {hook}(), called only for MIDDLEWARE: move it there."
                    )
            if hasattr(self.for_pages, "process_view"):
                self.view_hooks.insert(0, self.for_pages.process_view)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """Call `process_view()` of the pages' middleware, in the order that Django would."""
        if is_api_request(request):
            return None
        answers = (hook(request, *view) for hook in self.view_hooks)
        return next((answer for answer in answers if answer is not None), None)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api_request(request):
            return self.for_pages(request)
        request.get_host()  # raises DisallowedHost if ALLOWED_HOSTS lacks it
        response = self.get_response(request)
        response["Content-Security-Policy"] = DATA_POLICY
        response["X-Frame-Options"] = settings.X_FRAME_OPTIONS
        return response


class RefusedHostFilter(logging.Filter):
    """Log a host that ALLOWED_HOSTS does not name in one line, without a traceback.

    Django's message says what to set, and escapes the host. Anybody can send any host, so each
    process logs a host once an hour, and at most 100 hosts an hour.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[str] = set()
        self.hour_ends = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created >= self.hour_ends:
            self.lines.clear()
            self.hour_ends = record.created + 3600
        line = record.getMessage()[:600]  # longer than any message about a valid host
        if line in self.lines or len(self.lines) >= 100:
            return False
        self.lines.add(line)
        record.msg, record.args, record.exc_info = line, (), None
        return True


class RequestIdFilter(logging.Filter):
    """Give log records the id of the request that they belong to."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True
