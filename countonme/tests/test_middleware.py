"""What pages' middleware may be, which `PagesMiddleware` calls in Django's place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from countonme.middleware import PagesMiddleware

Handler = Callable[[HttpRequest], HttpResponse]


class Plain:
    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response["X-Seen"] = "by a page's middleware"
        return response


class WithExceptions(Plain):
    def process_exception(self, request: HttpRequest, exception: Exception) -> None: ...


class WithTemplates(Plain):
    def process_template_response(self, request: HttpRequest, response: Any) -> Any: ...


class NotUsed(Plain):
    def __init__(self, get_response: Handler) -> None:
        raise MiddlewareNotUsed


def of(*middleware: type[Plain], settings: Any) -> PagesMiddleware:
    """Build it of middleware of this file."""
    settings.PAGES_MIDDLEWARE = [f"{__name__}.{kind.__name__}" for kind in middleware]
    return PagesMiddleware(lambda request: HttpResponse())


@pytest.mark.parametrize(
    ("middleware", "hook"),
    [(WithExceptions, "process_exception"), (WithTemplates, "process_template_response")],
)
def test_a_hook_that_would_not_be_called_is_refused_at_the_start(
    settings: Any, middleware: type[Plain], hook: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"{middleware.__name__} has {hook}\(\)"):
        of(Plain, middleware, settings=settings)


def test_one_that_is_not_used_is_left_out_and_the_others_stay(settings: Any) -> None:
    """Else Django would leave out all of them together."""
    answer = of(NotUsed, Plain, NotUsed, settings=settings)(RequestFactory().get("/docs"))
    assert answer["X-Seen"] == "by a page's middleware"
