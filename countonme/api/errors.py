"""How every error is answered, in JSON: `{"detail": "<one sentence>"}`."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from django.core.exceptions import DisallowedHost, SuspiciousOperation
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import Error, IntegrityError, InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions, status
from rest_framework.fields import get_error_detail

from countonme.api import conditional
from countonme.api.json import JSONAnswer
from countonme.scope.exceptions import ID_IN_USE, Conflict, DeviceGone, NotFound

logger = logging.getLogger(__name__)

# Of a shard it has the shard's number.
PRIMARY_KEY = re.compile(r"_pkey(_\d+)?$")
UNAVAILABLE = "Service temporarily unavailable"
RETRY_AFTER = {"Retry-After": "2"}


class LengthRequired(exceptions.APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "A body needs a Content-Length"


class BodyTooLarge(exceptions.APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large"


class WrongMediaType(exceptions.APIException):
    status_code = status.HTTP_415_UNSUPPORTED_MEDIA_TYPE

    def __init__(self, expected: str) -> None:
        super().__init__(f"The body must be {expected}")


class UnsupportedContentEncoding(exceptions.APIException):
    status_code = status.HTTP_415_UNSUPPORTED_MEDIA_TYPE
    default_detail = "The Content-Encoding is not supported: send the body uncompressed"


class QueryError(exceptions.ValidationError):
    """A query parameter is invalid."""


def exception_handler(error: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Turn any exception of a view into an answer; DRF's `EXCEPTION_HANDLER`."""
    match error:
        case conditional.NotModified():
            return HttpResponse(status=304)
        case ModelValidationError():
            # From a model's `clean()`. Its errors get the form of a serializer's.
            detail = exceptions.ValidationError(get_error_detail(error)).detail
            return _answer(
                422, "Validation error", errors=list(_validation_errors(detail, ("body",)))
            )
        case exceptions.ValidationError():
            place = "query" if isinstance(error, QueryError) else "body"
            listed = list(_validation_errors(error.detail, (place,)))
            return _answer(422, "Validation error", errors=listed)
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed() | DeviceGone():
            return _answer(401, "Invalid or expired token", {"WWW-Authenticate": "Bearer"})
        case exceptions.Throttled():
            headers = {"Retry-After": str(max(1, ceil(getattr(error, "wait", None) or 0)))}
            return _answer(429, "Too many requests", headers)
        case UnsupportedContentEncoding():
            # The header tells this 415 from the one above (RFC 9110, section 12.5.3).
            return _answer(415, str(error.detail), {"Accept-Encoding": "identity"})
        case exceptions.MethodNotAllowed():
            allowed = ", ".join(context["view"].allowed_methods)
            return _answer(405, "Method not allowed", {"Allow": allowed})
        case exceptions.APIException():
            return _answer(error.status_code, str(error.detail))
        case SuspiciousOperation():
            return _answer(400, "Bad request")
        case Http404():
            return _answer(404, "Not found")
        case NotFound():
            return _answer(404, str(error))
        case Conflict():
            return _answer(409, str(error))
        case IntegrityError() if PRIMARY_KEY.search(_constraint(error)):
            # A device sent the same id twice in the same moment.
            return _answer(409, ID_IN_USE)
        case Error() if is_transient(error):
            if is_read_only(error) and not connection.in_atomic_block:
                # The next call looks for the new primary.
                connection.close()
            logger.warning("Database unavailable: %s", type(error.__cause__ or error).__name__)
            return _answer(503, UNAVAILABLE, RETRY_AFTER)
        case _:
            logger.exception("Unhandled error", exc_info=error)
            return _answer(500, "Internal server error")


def is_deadlock(error: Exception) -> bool:
    """Return whether PostgreSQL ended a transaction to resolve a deadlock."""
    return getattr(error.__cause__, "sqlstate", None) == "40P01"


def is_read_only(error: Exception) -> bool:
    """Return whether the server accepts no writes, such as a former primary."""
    return getattr(error.__cause__, "sqlstate", None) == "25006"


def is_transient(error: Error) -> bool:
    """Return whether the same request may succeed if it is sent again soon.

    True for a lost or refused connection (no SQLSTATE, class 08), resources at their limit (53),
    a deadlock or failed serialisation (40), a lock or statement timeout, a server that stops or
    starts (55P03, 57), a transaction that was idle too long (25P03), and a server that accepts no
    writes, such as a former primary after a failover (25006).
    """
    sqlstate: str | None = getattr(error.__cause__, "sqlstate", None)
    if sqlstate is None:
        return isinstance(error, OperationalError | InterfaceError)
    is_listed = sqlstate in {"25006", "25P03", "55P03"}
    return is_listed or sqlstate[:2] in {"08", "40", "53", "57"}


def _answer(
    code: int, detail: str, headers: dict[str, str] | None = None, **more: Any
) -> HttpResponse:
    return JSONAnswer({"detail": detail, **more}, code, headers)


def _constraint(error: IntegrityError) -> str:
    return getattr(getattr(error.__cause__, "diag", None), "constraint_name", None) or ""


def _validation_errors(detail: Any, loc: tuple[str | int, ...]) -> Iterator[dict[str, Any]]:
    """Flatten DRF's nested errors. The `loc` of a rule over several fields names no field."""
    if isinstance(detail, dict):
        for field, nested in detail.items():
            # The place within a list is left out: the field is what is named.
            is_named = field != "non_field_errors" and not isinstance(field, int)
            here = (*loc, field) if is_named else loc
            yield from _validation_errors(nested, here)
    elif isinstance(detail, list):
        for nested in detail:
            yield from _validation_errors(nested, loc)
    else:
        yield {"loc": list(loc), "msg": str(detail), "type": detail.code}


def is_for_operators(request: HttpRequest) -> bool:
    """Return whether a request is for a page of the operators' site."""
    return request.path.startswith("/admin/")


@csrf_exempt
def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404 to an unknown route: JSON, but an HTML page in the operators' site."""
    if is_for_operators(request) and exception is not None:
        return defaults.page_not_found(request, exception)
    return _answer(404, "Not found", {"Cache-Control": "no-store"})


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 to a request that Django itself refuses, such as one to an unknown host."""
    is_host = isinstance(exception, DisallowedHost)
    return _answer(400, "Host not allowed" if is_host else "Bad request")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception outside of the API's views: 503 if it is transient, else 500."""
    error = sys.exc_info()[1]
    is_unavailable = isinstance(error, Error) and is_transient(error)
    if is_for_operators(request):
        code, headers = (503, RETRY_AFTER) if is_unavailable else (500, {})
        return HttpResponse(render_to_string(f"{code}.html"), status=code, headers=headers)
    if is_unavailable:
        return _answer(503, UNAVAILABLE, RETRY_AFTER)
    return _answer(500, "Internal server error")
