from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from django.core.wsgi import get_wsgi_application
from django.http.response import HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countonme.settings")

CHARSET = re.compile(r";\s*charset\s*=[^;]*", re.IGNORECASE)
django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> HttpResponseBase:
    """Serve a request, in UTF-8 whatever charset it names.

    Django would read the query in that charset, and fail before any middleware where Python has
    none of its name.
    """
    environ["CONTENT_TYPE"] = CHARSET.sub("", environ.get("CONTENT_TYPE", ""))
    return django(environ, start_response)
