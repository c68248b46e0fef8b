"""What the contract says of every call: JSON, ids, headers, pages, conditional GET and CORS."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from countonme.middleware import ALLOWED_HEADERS
from countonme.wsgi import application
from tests.helpers.api import Api, new_phone

ORIGIN = "https://app.example"
EMPTY_HAS_NONE = {"Content-Type", "Content-Length"}


def test_it_works(phone: Api) -> None:
    product = phone.product(name="Crème fraîche")
    response = phone.get("/v1/products")
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(response.content.decode("utf-8")) == [product]


class TestJSON:
    @pytest.mark.parametrize(
        "accept",
        ["text/html", "application/xml", "*/*", "", "nonsense", "application/json; version=9"],
    )
    def test_accept_does_not_matter(self, phone: Api, accept: str) -> None:
        for path, expected in (("/v1/products", 200), ("/v1/products/x", 404), ("/nope", 404)):
            response = phone.get(path, Accept=accept)
            assert response.status_code == expected
            assert response.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize("format", ["json", "api", "xml", ""])
    def test_format_in_the_query_means_nothing(self, phone: Api, format: str) -> None:
        response = phone.get(f"/v1/products?format={format}")
        assert response.status_code == 200
        assert response.json() == []

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        "parameter",
        [
            "charset=utf-8",
            "charset=utf-16",
            "charset=hex",
            # RFC 2231: names and values in other charsets and in pieces.
            "charset*=us-ascii''hex",
            "title*=nonsense''x",
            "title*=x; title*0=y",
            f"title*{'9' * 5000}=x",
            'title="; charset=hex',
        ],
        ids=range(8),
    )
    def test_a_parameter_of_the_content_type_means_nothing(
        self, phone: Api, parameter: str
    ) -> None:
        statuses: list[str] = []
        environ = {
            "PATH_INFO": "/v1/products",
            "QUERY_STRING": "limit=0&search=%41",
            "CONTENT_TYPE": f"application/json; {parameter}",
            "HTTP_AUTHORIZATION": f"Bearer {phone.token}",
        }
        setup_testing_defaults(environ)

        def start(status: str, *_: Any) -> Any:
            statuses.append(status)

        # As a server calls it: Django's test client makes its requests itself.
        response = application(environ, start)
        body = json.loads(b"".join(response))
        response.close()
        assert statuses == ["422 Unprocessable Entity"]
        assert [error["loc"] for error in body["errors"]] == [["query", "limit"]]

    def test_text_is_utf_8_as_it_is(self, phone: Api) -> None:
        phone.product(name="Käse 🧀")
        assert "Käse 🧀".encode() in phone.get("/v1/products").content

    def test_numbers_are_json_numbers(self, phone: Api) -> None:
        product = phone.product(protein_100g=12.5, carbs_100g=0, fat_100g=None)
        values = [product[f"{macro}_100g"] for macro in ("protein", "carbs", "fat")]
        assert values == [12.5, 0, None]

    @pytest.mark.parametrize("path", ["/v1/products", "/v1/auth/device"])
    def test_an_answer_204_is_empty_and_has_neither_type_nor_length(
        self, phone: Api, path: str
    ) -> None:
        row = f"/{phone.product()['id']}" if path == "/v1/products" else ""
        response = phone.delete(path + row)
        assert (response.status_code, response.content) == (204, b"")
        assert not response.headers.keys() & EMPTY_HAS_NONE

    @pytest.mark.parametrize("path", ["/v1/products", "/v1/auth/device", "/health"])
    def test_head_is_get_without_the_body(self, phone: Api, path: str) -> None:
        got, head = phone.get(path), phone.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
        for name in ("Content-Type", "ETag", "Cache-Control", "Vary"):
            assert head.headers.get(name) == got.headers.get(name)

    def test_no_answer_sets_a_cookie(self, phone: Api) -> None:
        for path in ("/v1/products", "/v1/nope", "/health"):
            assert not phone.get(path).cookies


class TestRequestId:
    @pytest.mark.parametrize("given", ["a", "A-1", "x" * 64, str(uuid.UUID(int=1))])
    def test_a_plain_word_is_given_back(self, nobody: Api, given: str) -> None:
        response = nobody.get("/health", **{"X-Request-ID": given})
        assert response.headers["X-Request-ID"] == given

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\nb", "a_b", "é", 'a"b', "a;b"])
    def test_anything_else_is_replaced(self, nobody: Api, given: str) -> None:
        response = nobody.get("/health", **{"X-Request-ID": given})
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])

    @pytest.mark.parametrize("path", ["/v1/products", "/nope", "/health", "/openapi.json"])
    def test_every_answer_has_its_own(self, nobody: Api, path: str) -> None:
        given = {nobody.get(path).headers["X-Request-ID"] for _ in range(3)}
        assert len(given) == 3


class TestConditionalGet:
    LISTS = ["/v1/products", "/v1/food-entries"]

    def again(self, phone: Api, path: str, tags: str) -> Any:
        return phone.get(path, **{"If-None-Match": tags})

    @pytest.mark.parametrize(
        "path",
        [*LISTS, "/v1/stats/daily?from=2025-02-01&to=2025-02-05", "/v1/stats/day/2025-02-05"],
    )
    def test_an_unchanged_device_is_answered_304(self, phone: Api, path: str) -> None:
        first = phone.get(path)
        assert re.fullmatch(r'W/"[^"]+"', first.headers["ETag"])
        second = self.again(phone, path, first.headers["ETag"])
        assert (second.status_code, second.content) == (304, b"")
        assert not second.headers.keys() & EMPTY_HAS_NONE
        for name in ("ETag", "Cache-Control", "Vary"):
            assert second.headers[name] == first.headers[name]

    def test_the_headers_keep_it_private(self, phone: Api) -> None:
        headers = phone.get("/v1/products").headers
        assert headers["Cache-Control"] == "private, no-cache"
        assert "authorization" in re.split(r",\s*", headers["Vary"].lower())

    def test_304_is_one_query(self, phone: Api, django_assert_num_queries: Any) -> None:
        tag = phone.get("/v1/products").headers["ETag"]
        with django_assert_num_queries(1):
            assert self.again(phone, "/v1/products", tag).status_code == 304

    def test_one_resource_has_an_etag_too(self, phone: Api) -> None:
        product = phone.product()
        path = f"/v1/products/{product['id']}"
        tag = phone.get(path).headers["ETag"]
        assert self.again(phone, path, tag).status_code == 304

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("change", ["create", "update", "delete"])
    def test_any_write_of_the_device_makes_it_stale(self, phone: Api, change: str) -> None:
        product = phone.product()
        tag = phone.get("/v1/food-entries").headers["ETag"]
        if change == "create":
            phone.product(name="Rice")
        elif change == "update":
            phone.patch(f"/v1/products/{product['id']}", {"kcal_100g": 1})
        else:
            phone.delete(f"/v1/products/{product['id']}")
        response = self.again(phone, "/v1/food-entries", tag)
        assert response.status_code == 200
        assert response.headers["ETag"] != tag

    @pytest.mark.django_db(transaction=True)
    def test_another_devices_write_does_not(self, phone: Api, other: Api) -> None:
        tag = phone.get("/v1/products").headers["ETag"]
        other.product()
        assert self.again(phone, "/v1/products", tag).status_code == 304

    def test_it_depends_on_the_device(self, phone: Api, other: Api) -> None:
        tag = phone.get("/v1/products").headers["ETag"]
        assert self.again(other, "/v1/products", tag).status_code == 200

    @pytest.mark.parametrize(
        "path",
        ["/v1/products?limit=50", "/v1/products?", "/v1/products?search=a", "/v1/food-entries"],
    )
    def test_it_depends_on_the_full_url(self, phone: Api, path: str) -> None:
        tag = phone.get("/v1/products?search=b").headers["ETag"]
        assert self.again(phone, path, tag).status_code == 200

    def test_it_depends_on_the_release(self, phone: Api, settings: Any) -> None:
        tag = phone.get("/v1/products").headers["ETag"]
        settings.RELEASE = "the next one"
        assert self.again(phone, "/v1/products", tag).status_code == 200

    @pytest.mark.parametrize(
        ("tags", "expected"),
        [
            ("{tag}", 304),
            ('"x", {tag}', 304),
            ('{tag}, W/"x"', 304),
            ('W/"x",{tag} , "y"', 304),
            ("{strong}", 304),
            ('"x", {strong}', 304),
            ('"x", W/"y"', 200),
            ("{bare}", 200),
            ('"{bare}x"', 200),
            ("", 200),
            ("nonsense", 200),
            # Whether there is an answer at all, only the rows could tell.
            ("*", 200),
        ],
    )
    def test_if_none_match_is_a_list_compared_weakly(
        self, phone: Api, tags: str, expected: int
    ) -> None:
        tag = phone.get("/v1/products").headers["ETag"]
        bare = tag.removeprefix('W/"').removesuffix('"')
        sent = tags.format(tag=tag, strong=f'"{bare}"', bare=bare)
        assert self.again(phone, "/v1/products", sent).status_code == expected

    def test_head_is_answered_304_too(self, phone: Api) -> None:
        tag = phone.get("/v1/products").headers["ETag"]
        response = phone.request("HEAD", "/v1/products", headers={"If-None-Match": tag})
        assert response.status_code == 304

    def test_a_write_is_not_conditional(self, phone: Api) -> None:
        tag = phone.get("/v1/products").headers["ETag"]
        body = {"name": "Rice", "kcal_100g": 130}
        response = phone.post("/v1/products", body, **{"If-None-Match": tag})
        assert response.status_code == 201
        assert "ETag" not in response.headers
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("path", ["/v1/products/nonsense", "/v1/products?limit=0", "/v1/nope"])
    def test_an_error_has_none(self, phone: Api, path: str) -> None:
        assert "ETag" not in phone.get(path).headers

    @pytest.mark.parametrize(
        "path", ["/v1/auth/device", "/health", "/health/ready", "/openapi.json"]
    )
    def test_there_is_none_on_auth_health_and_schema(self, phone: Api, path: str) -> None:
        response = phone.get(path)
        assert response.status_code == 200
        assert "ETag" not in response.headers
        assert phone.get(path, **{"If-None-Match": "*"}).status_code == 200

    @pytest.mark.parametrize("path", ["/v1/products/nonsense", "/v1/products?limit=0"])
    def test_errors_are_kept_by_no_cache(self, phone: Api, path: str) -> None:
        assert phone.get(path).headers["Cache-Control"] == "no-store"


class TestCORS:
    @pytest.mark.parametrize("path", ["/v1/products", "/v1/nope", "/health", "/openapi.json"])
    def test_any_origin_is_answered(self, phone: Api, path: str) -> None:
        headers = phone.get(path, Origin=ORIGIN).headers
        assert headers["Access-Control-Allow-Origin"] == "*"

    @pytest.mark.parametrize("path", ["/v1/products", "/health"])
    def test_never_with_credentials(self, phone: Api, path: str) -> None:
        for response in (phone.get(path, Origin=ORIGIN), self.preflight(phone, path)):
            assert "Access-Control-Allow-Credentials" not in response.headers

    def test_what_the_phone_reads_is_exposed(self, phone: Api) -> None:
        exposed = phone.get("/v1/products", Origin=ORIGIN).headers["Access-Control-Expose-Headers"]
        assert set(exposed.split(", ")) == {"ETag", "Link", "Retry-After", "X-Request-ID"}

    @pytest.mark.parametrize("expected", [304, 401, 404, 422, 429, 500])
    def test_every_answer_is_readable(
        self, phone: Api, settings: Any, expected: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = {"Origin": ORIGIN}
        path = {404: "/v1/products/x", 422: "/v1/products?limit=0"}.get(expected, "/v1/products")
        if expected == 304:
            headers["If-None-Match"] = phone.get(path, **headers).headers["ETag"]
        elif expected == 401:
            phone.token = ""
        elif expected == 429:
            settings.DEVICE_THROTTLE = "0/min"
        elif expected == 500:
            monkeypatch.setattr("products.views.ProductViewSet.paginate", lambda *_: 1 / 0)
        response = phone.get(path, **headers)
        assert response.status_code == expected
        assert response.headers["Access-Control-Allow-Origin"] == "*"

    def preflight(
        self, client: Api, path: str, method: str = "PATCH", asked: str = "authorization, if-match"
    ) -> Any:
        headers = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": asked,
        }
        return client.request("OPTIONS", path, headers=headers)

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
    def test_a_preflight_needs_no_token(self, nobody: Api, method: str) -> None:
        response = self.preflight(nobody, "/v1/products", method)
        assert response.status_code == 200
        allowed = response.headers["Access-Control-Allow-Methods"]
        assert method in allowed.split(", ")
        headers = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert {"authorization", "content-type", "if-none-match"} <= set(headers)

    def test_a_page_may_send_any_header(self, nobody: Api) -> None:
        """By the Fetch standard `*` is any but `Authorization`, where no credentials are sent."""
        response = self.preflight(nobody, "/v1/products")
        assert {"*", "authorization"} <= set(
            response.headers["Access-Control-Allow-Headers"].split(", ")
        )

    def test_a_preflight_lists_the_headers_that_it_asks_for(self, nobody: Api) -> None:
        asked = "traceparent,X-Sentry-Trace, baggage"
        allowed = self.preflight(nobody, "/v1/products", asked=asked).headers[ALLOWED_HEADERS]
        assert {"*", "authorization", "traceparent", "X-Sentry-Trace", "baggage"} <= {
            name.strip() for name in allowed.split(",")
        }

    @pytest.mark.parametrize("asked", ["a b", "a\u00e4", "a,,b", "a;b", "(a)", "a,,", "a\tb"])
    def test_a_preflight_repeats_nothing_that_is_no_list_of_names(
        self, nobody: Api, asked: str
    ) -> None:
        response = self.preflight(nobody, "/v1/products", asked=asked)
        assert asked not in response.headers[ALLOWED_HEADERS]

    def test_a_preflight_is_kept_for_a_day_whatever_headers_it_asks_for(self, nobody: Api) -> None:
        response = self.preflight(nobody, "/v1/products")
        assert response.headers["Access-Control-Max-Age"] == "86400"
        assert response.headers["Vary"] == "origin"
        assert response.content == b""

    @pytest.mark.parametrize(
        ("origin", "answered"), [(ORIGIN, True), ("https://evil.example", False)]
    )
    def test_only_the_origins_set_are_answered(
        self, phone: Api, settings: Any, origin: str, answered: bool
    ) -> None:
        settings.CORS_ALLOW_ALL_ORIGINS = False
        settings.CORS_ALLOWED_ORIGINS = [ORIGIN]
        headers = phone.get("/v1/products", Origin=origin).headers
        assert headers.get("Access-Control-Allow-Origin") == (ORIGIN if answered else None)
        assert "origin" in headers["Vary"].lower()

    def test_the_operators_site_is_not_answered(self, nobody: Api) -> None:
        headers = nobody.get("/admin/login/", Origin=ORIGIN).headers
        assert "Access-Control-Allow-Origin" not in headers


class TestScope:
    """Nobody but the phone that wrote a row ever sees it."""

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/products",
            "/v1/products?search=chicken",
            "/v1/products?include=portions",
            "/v1/food-entries",
            "/v1/food-entries?date=2025-02-05",
        ],
    )
    def test_lists_are_the_devices_own(self, phone: Api, other: Api, path: str) -> None:
        product = other.product()
        other.entry(product_id=product["id"], grams=100)
        assert phone.get(path).json() == []
        assert len(other.get(path).json()) == 1

    def test_a_new_device_has_nothing(self, phone: Api) -> None:
        phone.product()
        assert new_phone().get("/v1/products").json() == []
