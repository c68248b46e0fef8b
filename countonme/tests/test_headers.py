"""What browsers are told: where to connect, what to load, and to whom nothing is shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

PAGES = [
    "/",
    "/v1/products",
    "/health",
    "/openapi.json",
    "/docs",
    "/redoc",
    "/admin/login/",
    "/nothing",
]
YEAR = 31_536_000

pytestmark = pytest.mark.django_db


@pytest.fixture
def https(settings: Any) -> Client:
    """A client of a server behind a proxy that ends TLS."""
    settings.SECURE_HSTS_SECONDS = YEAR
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = settings.SECURE_HSTS_PRELOAD = True
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    return Client(headers={"X-Forwarded-Proto": "https"})


def policy(response: Any) -> dict[str, str]:
    """Return the content security policy, by directive."""
    words = (
        part.strip().partition(" ")
        for part in response.headers["Content-Security-Policy"].split(";")
    )
    return {name: sources for name, _, sources in words}


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_has_them(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_framed_and_no_inline_script_runs(client: Client, path: str) -> None:
    said = policy(client.get(path))
    assert said["frame-ancestors"] == "'none'"
    scripts = said.get("script-src", said["default-src"])
    assert "unsafe-inline" not in scripts
    assert {"'self'", "'none'", "'unsafe-eval'"} >= set(scripts.split())


@pytest.mark.parametrize("path", ["/v1/products", "/health", "/openapi.json", "/nothing"])
def test_data_loads_nothing(client: Client, path: str) -> None:
    assert policy(client.get(path))["default-src"] == "'none'"


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_the_documents_pages_evaluate_nothing(client: Client, path: str) -> None:
    assert policy(client.get(path)).get("script-src", "'self'") == "'self'"


@pytest.mark.parametrize("path", PAGES)
def test_browsers_stay_on_https(https: Client, path: str) -> None:
    header = https.get(path).headers["Strict-Transport-Security"]
    assert header == f"max-age={YEAR}; includeSubDomains; preload"


def test_plain_http_is_redirected(https: Client) -> None:
    response = https.get("/admin/", headers={"X-Forwarded-Proto": "http"})
    assert (response.status_code, response.headers["Location"]) == (
        301,
        "https://testserver/admin/",
    )


def test_cookies_are_for_https_and_not_for_scripts(https: Client) -> None:
    User.objects.create_superuser("operator", password="a long password")
    login = {"username": "operator", "password": "a long password"}
    response = https.post("/admin/login/", login)
    assert response.status_code == 302
    assert response.cookies["sessionid"]["secure"]
    assert response.cookies["sessionid"]["httponly"]
    assert response.cookies["sessionid"]["samesite"] == "Lax"
    assert https.get("/admin/login/?next=/admin/").status_code in (200, 302)
    assert response.cookies["csrftoken"]["secure"]


@pytest.mark.parametrize("path", [*PAGES, "/v1/nothing", "/v1/stats/day/never"])
def test_every_answer_says_how_long_it_is(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.headers["Content-Length"] == str(len(response.content))


def test_a_form_of_the_operators_needs_its_csrf_token() -> None:
    User.objects.create_superuser("operator", password="a long password")
    stranger = Client(enforce_csrf_checks=True)
    login = {"username": "operator", "password": "a long password"}
    assert stranger.post("/admin/login/", login).status_code == 403
    stranger.get("/admin/login/")
    login["csrfmiddlewaretoken"] = stranger.cookies["csrftoken"].value
    assert stranger.post("/admin/login/", login).status_code == 302
