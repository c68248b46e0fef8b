"""What every answer carries: a request id, also in each log line, and what a browser may load."""

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
ACCEPTABLE = re.compile(r"[A-Za-z0-9-]{1,64}")

# Field names as RFC 9110 (5.1) has them, in a list.
HEADER_NAMES = re.compile(r"[\w!#$%&'*+.^`|~-]+(, ?[\w!#$%&'*+.^`|~-]+)*", re.ASCII)
ALLOWED_HEADERS = "Access-Control-Allow-Headers"

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
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        value = given if ACCEPTABLE.fullmatch(given) else secrets.token_hex(16)
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


def is_of_the_api(request: HttpRequest) -> bool:
    """Return whether a request is answered with data, and not with a page."""
    return request.path_info.startswith("/v1/")


class BrowsersCorsMiddleware(CorsMiddleware):
    """CORS, for whom it concerns: a browser names its origin, an app on a phone has none."""

    def __call__(self, request: HttpRequest) -> Any:
        if "HTTP_ORIGIN" not in request.META:
            return self.get_response(request)
        response: Any = super().__call__(request)
        asked = request.META.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        # Browsers from before 2019 don't know *, which stands there.
        if ALLOWED_HEADERS in response and HEADER_NAMES.fullmatch(asked):
            response[ALLOWED_HEADERS] += f", {asked}"
        return response


class PagesMiddleware:
    """All that pages need, for pages; an answer of the API is data, for which two headers do.

    Raises:
        ImproperlyConfigured: one of the pages' middleware has a hook that would never be called.
    """

    # Django collects these from MIDDLEWARE alone.
    NOT_CALLED = ("process_exception", "process_template_response")

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = self.for_pages = get_response
        self.before_views: list[Callable[..., HttpResponse | None]] = []
        for name in reversed(settings.PAGES_MIDDLEWARE):
            try:
                self.for_pages = import_string(name)(self.for_pages)
            except MiddlewareNotUsed:
                continue
            for hook in self.NOT_CALLED:
                if hasattr(self.for_pages, hook):
                    raise ImproperlyConfigured(
                        f"{name} has {hook}(), which is called of MIDDLEWARE alone: move it there."
                    )
            if hasattr(self.for_pages, "process_view"):
                self.before_views.insert(0, self.for_pages.process_view)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """Ask those of the pages' middleware that look at the view, as Django would."""
        if is_of_the_api(request):
            return None
        answers = (before_view(request, *view) for before_view in self.before_views)
        return next((answer for answer in answers if answer is not None), None)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_of_the_api(request):
            return self.for_pages(request)
        request.get_host()  # refuses those that are not ours
        response = self.get_response(request)
        response["Content-Security-Policy"] = DATA_POLICY
        response["X-Frame-Options"] = settings.X_FRAME_OPTIONS
        return response


class RefusedHostFilter(logging.Filter):
    """Make one line of what Django logs of a host that ALLOWED_HOSTS does not name.

    Its message says what to set, and escapes the host. Anybody may send any host: each is logged
    once an hour, and at most 100 an hour, by each process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[str] = set()
        self.hour_ends = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created >= self.hour_ends:
            self.lines.clear()
            self.hour_ends = record.created + 3600
        line = record.getMessage()[:600]  # whole, where the host is no longer than a host can be
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
