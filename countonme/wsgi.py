from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.cache import close_caches
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries
from django.http.response import HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countonme.settings")

# The parameters of a Content-Type, but for the boundary of a form.
PARAMETERS = re.compile(r";(?!\s*boundary\s*=)[^;]*", re.IGNORECASE)
django = get_wsgi_application()

# Django's own signal handlers that find nothing to do here: a connection is looked after when its
# request ends, which is before the next begins; no cache holds one; only DEBUG logs queries.
request_started.disconnect(close_old_connections)
request_finished.disconnect(close_caches)
if not settings.DEBUG:
    request_started.disconnect(reset_queries)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> HttpResponseBase:
    """Serve a request, in UTF-8 whatever its Content-Type says besides the media type.

    Django would read the query in the charset that it names, and fail before any middleware where
    Python has none of that name, or where a parameter is malformed by RFC 2231.
    """
    environ["CONTENT_TYPE"] = PARAMETERS.sub("", environ.get("CONTENT_TYPE", ""))
    return django(environ, start_response)
