"""Conditional GET: an unchanged device is answered 304 after the one authentication query."""

from __future__ import annotations

import hashlib
from typing import Any, cast

from django.conf import settings
from django.utils.http import parse_etags
from rest_framework.request import Request
from rest_framework.views import APIView

from countonme.scope.owner import Owner


class NotModified(Exception):
    """The phone has this answer already."""


class ConditionalGetMixin(APIView):
    """Answers 200 to GET carry a weak ETag; a request that names it is answered 304."""

    is_conditional = True

    def state(self) -> tuple[Any, ...]:
        """Return what the answer depends on, beside the URL: it changes whenever that does.

        It is read before the rows. After a write in between, the tag is older than the answer,
        never newer: the phone then asks once too often, but never keeps a stale answer.
        """
        device = cast("Owner", self.request.user)
        return device.pk, device.revision

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, throttle, and stop here where nothing has changed.

        Raises:
            NotModified: `If-None-Match` names the current ETag. `*` does not count, because only
                the rows could tell whether there is an answer at all.
        """
        super().initial(request, *args, **kwargs)
        if request.method in ("GET", "HEAD"):
            self.etag = etag(request, self.state())
            if "HTTP_IF_NONE_MATCH" in request.META:
                named = parse_etags(request.META["HTTP_IF_NONE_MATCH"])
                if self.etag.removeprefix("W/") in (tag.removeprefix("W/") for tag in named):
                    raise NotModified

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if request.method in ("GET", "HEAD") and response.status_code in (200, 304):
            response["ETag"] = self.etag
            response["Cache-Control"] = "private, no-cache"
            response["Vary"] = "Authorization"
        return super().finalize_response(request, response, *args, **kwargs)


def etag(request: Request, state: tuple[Any, ...]) -> str:
    """Return the weak ETag of an answer to this URL in a state."""
    meta = request.META
    url = (request.scheme, meta.get("HTTP_HOST", ""), request.path, meta["QUERY_STRING"])
    digest = hashlib.blake2b(
        "\n".join(map(str, (settings.RELEASE, *state, *url))).encode(), digest_size=12
    )
    return f'W/"{digest.hexdigest()}"'
