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

# The parameters of a Content-Type, except the boundary of a form.
PARAMETERS = re.compile(r";(?!\s*boundary\s*=)[^;]*", re.IGNORECASE)
django = get_wsgi_application()

# Signal handlers of Django's that have nothing to do here. A connection is checked when its request
# ends, so not again when the next begins. No cache has anything to close. Only DEBUG logs queries.
request_started.disconnect(close_old_connections)
request_finished.disconnect(close_caches)
if not settings.DEBUG:
    request_started.disconnect(reset_queries)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> HttpResponseBase:
    """Serve a request in UTF-8, whatever charset its Content-Type names.

    Django would read the query in that charset. It would fail before any middleware if Python does
    not know the charset, or if a parameter is malformed (RFC 2231).
    """
    environ["CONTENT_TYPE"] = PARAMETERS.sub("", environ.get("CONTENT_TYPE", ""))
    return django(environ, start_response)
