from __future__ import annotations

from django.contrib import admin
from django.urls import path, re_path
from django.views.generic import RedirectView

from catalog.urls import urlpatterns as catalog
from countonme import health
from countonme.api import docs, errors
from devices.urls import urlpatterns as devices
from entries.urls import urlpatterns as entries
from goals.urls import urlpatterns as goals
from products.urls import urlpatterns as products
from sync.urls import urlpatterns as sync
from transfer.urls import urlpatterns as transfer

urlpatterns = [
    *products,
    *catalog,
    *entries,
    *goals,
    *sync,
    *transfer,
    *devices,
    path("", docs.index),
    path("favicon.ico", docs.icon),
    path("health", health.live),
    path("health/ready", health.ready, name="ready"),
    path("openapi.json", docs.openapi, name="openapi"),
    path("docs", docs.swagger, name="docs"),
    path("redoc", docs.redoc, name="redoc"),
    path("redoc.js", docs.redoc_script, name="redoc_script"),
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    re_path("", errors.not_found),
]

handler400 = errors.bad_request
handler404 = errors.not_found
handler500 = errors.server_error
