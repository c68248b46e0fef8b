"""Conditional GET: a device that wrote nothing since gets 304 after the authentication query."""

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

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, throttle, and stop here where nothing has changed.

        Raises:
            NotModified: `If-None-Match` names the current ETag. `*` does not count: whether there
                is an answer at all, only the rows could tell.
        """
        super().initial(request, *args, **kwargs)
        if request.method in ("GET", "HEAD"):
            self.etag = etag(request)
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


def etag(request: Request) -> str:
    """Return the weak ETag of a device's answer to this URL at its current revision.

    The revision was read before the rows: a write in between makes the tag older than the answer,
    never newer, so that the phone asks once too often and never keeps what is stale.
    """
    device = cast("Owner", request.user)
    meta = request.META
    url = (request.scheme, meta.get("HTTP_HOST", ""), request.path, meta["QUERY_STRING"])
    parts = (settings.RELEASE, device.pk, device.revision, *url)
    digest = hashlib.blake2b("\n".join(map(str, parts)).encode(), digest_size=12)
    return f'W/"{digest.hexdigest()}"'
