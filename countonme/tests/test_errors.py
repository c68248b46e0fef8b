"""Errors, as the contract's table has them: JSON for everything under `/v1` and unknown routes."""

from __future__ import annotations

import gzip
import json
import logging
import uuid
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import time_machine
from django.db import close_old_connections, connection
from django.test import Client
from rest_framework.response import Response

from countonme.api import docs
from countonme.middleware import RefusedHostFilter
from devices.views import DeviceView
from products.models import Product
from products.views import ProductViewSet
from tests.helpers.api import Api

MIB = 1024 * 1024
RICE = {"name": "Rice", "kcal_100g": 130}


def body_of(size: int) -> bytes:
    """Return a valid body of so many bytes."""
    start = json.dumps(RICE).encode()[:-1] + b', "ignored": "'
    return start + b"x" * (size - len(start) - 2) + b'"}'


def raise_in_database(sqlstate: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END $$")


def errors(response: Any) -> list[tuple[list[Any], str]]:
    """Return place and type of each error of an answer 422."""
    assert response.status_code == 422, response.content
    assert list(response.json()) == ["detail", "errors"]
    assert response.json()["detail"] == "Validation error"
    for error in response.json()["errors"]:
        assert list(error) == ["loc", "msg", "type"]
        assert isinstance(error["msg"], str)
    return [(error["loc"], error["type"]) for error in response.json()["errors"]]


def test_it_works(phone: Api) -> None:
    response = phone.get(f"/v1/products/{uuid.uuid4()}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"detail": "Product not found"}


class TestBadRequest:
    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"{'name': 'Rice'}",
            b'{"name": "Rice",}',
            b'{"name": "Rice"} {}',
            b"name=Rice",
            b" ",
            "{}".encode("utf-16-le"),
            BOM_UTF8,
            BOM_UTF8 * 2 + b"{}",
            b"{}" + BOM_UTF8,
            b'{"name": "a\nb"}',
            b'{"kcal_100g": NaN}',
            b'{"kcal_100g": Infinity}',
            b'{"ignored": [-Infinity]}',
            b'{"kcal_100g": 01}',
            b'{"kcal_100g": +1}',
            b'{"kcal_100g": .5}',
            b'{"ignored": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        ],
        ids=range(19),
    )
    def test_a_body_that_is_not_json(self, phone: Api, body: bytes) -> None:
        response = phone.post("/v1/products", body)
        assert response.status_code == 400
        assert response.json() == {"detail": "The body is not valid JSON"}

    @pytest.mark.parametrize(
        "body",
        [
            '{"name": "Rice"}'.encode("utf-16"),
            '{"name": "Käse"}'.encode("latin-1"),
            b'{"name": "\xff"}',
            b'{"name": "\xed\xa0\x80"}',
        ],
    )
    def test_a_body_that_is_not_utf_8(self, phone: Api, body: bytes) -> None:
        response = phone.post("/v1/products", body)
        assert response.status_code == 400
        assert response.json() == {"detail": "The body is not in UTF-8"}

    def test_a_byte_order_mark_before_the_body_is_ignored(self, phone: Api) -> None:
        response = phone.post("/v1/products", BOM_UTF8 + json.dumps(RICE).encode())
        assert response.status_code == 201

    @pytest.mark.parametrize(
        "body", [b"[]", b'[{"name": "Rice"}]', b'"{}"', b"1", b"true", b"null"]
    )
    def test_a_body_that_is_no_object(self, phone: Api, body: bytes) -> None:
        response = phone.post("/v1/products", body)
        assert response.status_code == 400
        assert response.json() == {"detail": "The body is not a JSON object"}

    def test_no_body(self, phone: Api) -> None:
        headers = {"Content-Type": "application/json"}
        assert phone.request("POST", "/v1/products", headers=headers).status_code == 400

    def test_a_thousand_unknown_parameters_are_no_crash(self, phone: Api) -> None:
        assert phone.get("/v1/products?" + "&".join(["a"] * 1001)).status_code in (200, 400)


class TestRefusedHost:
    """A host that ALLOWED_HOSTS does not name, and what the log says of it."""

    @pytest.fixture
    def log(self, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
        """A log in a new hour."""
        # One for each time that Django was set up: countonme.wsgi does it as well.
        for refused in logging.getLogger("django.security.DisallowedHost").filters:
            assert isinstance(refused, RefusedHostFilter)
            refused.hour_ends = 0.0
        return caplog

    @pytest.mark.parametrize("path", ["/v1/products", "/nonsense", "/health", "/admin/login/"])
    def test_it_is_400_and_one_line_that_says_what_to_set(
        self, phone: Api, log: pytest.LogCaptureFixture, path: str
    ) -> None:
        response = phone.get(path, Host="192.168.1.20:8000")
        assert response.status_code == 400
        assert response.json() == {"detail": "Host not allowed"}
        (record,) = log.records
        assert record.getMessage() == (
            "Invalid HTTP_HOST header: '192.168.1.20:8000'. "
            "You may need to add '192.168.1.20' to ALLOWED_HOSTS."
        )
        assert record.exc_info is None

    def test_the_longest_name_is_logged_with_what_to_set(
        self, phone: Api, log: pytest.LogCaptureFixture
    ) -> None:
        name = ".".join(["a" * 63] * 4)[:253]
        phone.get("/health", Host=f"{name}:65535")
        assert log.messages[0].endswith(f"{name}' to ALLOWED_HOSTS.")

    @pytest.mark.parametrize("host", ["a\nb", "a\r\x00", "\x1b[31m", "a\x85b\u2028", "a" * 8000])
    def test_none_breaks_the_line_or_fills_the_log(
        self, phone: Api, log: pytest.LogCaptureFixture, host: str
    ) -> None:
        assert phone.get("/health", Host=host).status_code == 400
        (line,) = log.messages
        assert line.isprintable()
        assert len(line) <= 600

    def test_each_is_logged_once_an_hour(self, phone: Api, log: pytest.LogCaptureFixture) -> None:
        with time_machine.travel(0, tick=False) as clock:
            for seconds, lines in ((0, 2), (3599, 2), (1, 4)):
                clock.shift(seconds)
                for host in ("a.example", "b.example", "a.example"):
                    phone.get("/health", Host=host)
                assert len(log.records) == lines

    def test_at_most_a_hundred_an_hour_are_logged(
        self, phone: Api, log: pytest.LogCaptureFixture
    ) -> None:
        with time_machine.travel(0, tick=False) as clock:
            for number in range(110):
                phone.get("/health", Host=f"{number}.example")
            assert len(log.records) == 100
            clock.shift(3600)
            phone.get("/health", Host="109.example")
            assert len(log.records) == 101


class TestUnknownRoute:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1",
            "/v1/",
            "/v1/nonsense",
            "/v1//products",
            "/v2/products",
            "/V1/products",
            "/v1/products/",
            "/v1/products/0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f/",
            "/v1/auth/device/",
            "/health/",
            "/health/ready/",
            "/openapi.json/",
            "/docs/",
            "/%00",
            "/%ff",
        ],
    )
    def test_it_is_404_with_or_without_a_token(self, nobody: Api, phone: Api, path: str) -> None:
        for caller in (nobody, phone):
            response = caller.get(path)
            assert response.status_code == 404
            assert response.headers["Content-Type"] == "application/json"
            assert response.json() == {"detail": "Not found"}

    @pytest.mark.parametrize("path", ["/v1/products/", "/nonsense"])
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_it_is_404_by_every_method(self, phone: Api, method: str, path: str) -> None:
        # Django's test client leaves the check of CSRF tokens out; a server does not.
        phone.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        response = phone.request(method, path, {})
        assert response.status_code == 404
        assert response.json() == {"detail": "Not found"}


class TestMethodNotAllowed:
    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("PUT", "/v1/products", {"GET", "HEAD", "POST"}),
            ("POST", "/v1/products/x", {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
            ("POST", "/v1/auth/device", {"GET", "HEAD", "DELETE"}),
            ("GET", "/v1/auth/rotate", {"POST"}),
            ("POST", "/v1/stats/daily", {"GET", "HEAD"}),
            ("OPTIONS", "/v1/products", {"GET", "HEAD", "POST"}),
            ("TRACE", "/v1/products", {"GET", "HEAD", "POST"}),
            ("BREW", "/v1/products", {"GET", "HEAD", "POST"}),
        ],
    )
    def test_the_answer_names_those_that_are(
        self, phone: Api, method: str, path: str, allowed: set[str]
    ) -> None:
        response = phone.request(method, path)
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == allowed
        assert response.json() == {"detail": "Method not allowed"}


class TestLengthRequired:
    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_a_body_in_chunks(self, phone: Api, method: str) -> None:
        headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        path = "/v1/products" if method == "POST" else f"/v1/products/{phone.product()['id']}"
        response = phone.request(method, path, headers=headers)
        assert response.status_code == 411
        assert list(response.json()) == ["detail"]


class TestTooLarge:
    @pytest.mark.parametrize(("size", "expected"), [(MIB, 201), (MIB + 1, 413)])
    def test_the_limit_is_one_mebibyte(self, phone: Api, size: int, expected: int) -> None:
        response = phone.post("/v1/products", body_of(size))
        assert response.status_code == expected
        assert Product.objects.across_devices().count() == (expected == 201)

    def test_it_is_not_read(self, phone: Api) -> None:
        headers = {"Content-Type": "application/json", "Content-Length": str(10**12)}
        response = phone.request("POST", "/v1/products", headers=headers)
        assert response.status_code == 413
        assert list(response.json()) == ["detail"]


class TestUnsupportedMediaType:
    @pytest.mark.parametrize(
        "media_type",
        [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "application/vnd.api+json",
            "json",
            "*/*",
        ],
    )
    def test_anything_but_json(self, phone: Api, media_type: str) -> None:
        headers = {"Content-Type": media_type}
        response = phone.request("POST", "/v1/products", json.dumps(RICE).encode(), headers)
        assert response.status_code == 415
        assert list(response.json()) == ["detail"]

    @pytest.mark.parametrize(
        "media_type",
        [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "application/json ; x=y",
        ],
    )
    def test_json_however_it_is_spelt(self, phone: Api, media_type: str) -> None:
        headers = {"Content-Type": media_type}
        response = phone.request("POST", "/v1/products", json.dumps(RICE).encode(), headers)
        assert response.status_code == 201

    @pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "deflate", "gzip, identity", "x"])
    @pytest.mark.parametrize("path", ["/v1/products", "/v1/sync?last_pulled_at=1"])
    def test_a_content_encoding_is_told_apart(self, phone: Api, path: str, coding: str) -> None:
        body = gzip.compress(json.dumps(RICE).encode())
        response = phone.request("POST", path, body, {"Content-Encoding": coding})
        assert response.status_code == 415
        assert "Content-Encoding" in response.json()["detail"]
        assert response.headers["Accept-Encoding"] == "identity"

    @pytest.mark.parametrize("coding", ["identity", "Identity", ""])
    def test_no_content_encoding_however_it_is_spelt(self, phone: Api, coding: str) -> None:
        response = phone.post("/v1/products", RICE, **{"Content-Encoding": coding})
        assert response.status_code == 201


class TestOrder:
    """What makes a body unacceptable comes before what makes it unreadable."""

    @pytest.mark.parametrize(
        ("size", "headers", "expected"),
        [
            (MIB + 1, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, 413),
            (5, {"Content-Type": "text/plain"}, 415),
            (5, {"Content-Encoding": "gzip"}, 415),
            (0, {"Content-Encoding": "gzip"}, 415),
            (5, {}, 400),
        ],
    )
    def test_the_first_of_413_415_400_is_answered(
        self, phone: Api, size: int, headers: dict[str, str], expected: int
    ) -> None:
        response = phone.request("POST", "/v1/products", b"x" * size, headers)
        assert response.status_code == expected


class TestValidation:
    def test_every_offending_field_is_listed(self, phone: Api) -> None:
        body = {"kcal_100g": 1001, "protein_100g": -1, "fat_100g": "1", "barcode": "123"}
        assert sorted(errors(phone.post("/v1/products", body))) == [
            (["body", "barcode"], "invalid"),
            (["body", "fat_100g"], "invalid"),
            (["body", "kcal_100g"], "max_value"),
            (["body", "name"], "required"),
            (["body", "protein_100g"], "min_value"),
        ]

    def test_a_rule_over_several_fields_stands_at_the_body_itself(self, phone: Api) -> None:
        body = RICE | {"protein_100g": 50, "carbs_100g": 50, "fat_100g": 5.01}
        assert errors(phone.post("/v1/products", body)) == [(["body"], "max_value")]

    def test_a_parameter_stands_in_the_query(self, phone: Api) -> None:
        assert errors(phone.get("/v1/products?limit=x&offset=-1")) == [
            (["query", "limit"], "invalid"),
            (["query", "offset"], "min_value"),
        ]

    def test_a_rule_over_several_parameters_stands_at_the_query_itself(self, phone: Api) -> None:
        response = phone.get("/v1/food-entries?from=2025-02-06&to=2025-02-05")
        assert errors(response) == [(["query"], "invalid")]


class TestServerError:
    def test_a_crash_says_nothing_more(self, phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        def crash(*_: Any) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(DeviceView, "get", crash)
        response = phone.get("/v1/auth/device")
        assert response.status_code == 500
        assert response.json() == {"detail": "Internal server error"}

    def test_a_crash_while_the_answer_is_written(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(DeviceView, "get", lambda *_: Response({"detail": object()}))
        response = phone.get("/v1/auth/device")
        assert response.status_code == 500
        assert response.json() == {"detail": "Internal server error"}

    def test_a_crash_outside_of_the_views(
        self, nobody: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(docs, "document", lambda: 1 / 0)
        response = nobody.get("/openapi.json")
        assert response.status_code == 500
        assert response.json() == {"detail": "Internal server error"}

    def test_it_is_logged_with_its_traceback(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(DeviceView, "get", lambda *_: 1 / 0)
        phone.get("/v1/auth/device")
        assert [bool(record.exc_info) for record in caplog.records] == [True]
        assert phone.token not in caplog.text

    def test_a_write_that_crashed_leaves_nothing(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            ProductViewSet, "perform_create", lambda self, values: (Product(**values), 1 / 0)
        )
        assert phone.post("/v1/products", RICE).status_code == 500
        assert phone.get("/v1/products").json() == []

    def test_a_broken_constraint_is_one(self, phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ProductViewSet, "perform_create", lambda *_: raise_in_database("23514"))
        assert phone.post("/v1/products", RICE).status_code == 500


class TestUnavailable:
    @pytest.fixture
    def no_database(self, phone: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """The database's port refuses connections."""
        with monkeypatch.context() as patch:
            patch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
            patch.setitem(connection.settings_dict, "PORT", "1")
            connection.close()
            yield
        connection.close()

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("GET", "/v1/products", None),
            ("POST", "/v1/products", RICE),
            ("POST", "/v1/auth/rotate", None),
            ("DELETE", "/v1/auth/device", None),
            ("POST", "/v1/auth/register", {"device_id": "0b7a1f3e-5a57-4c5e-9f4b-0d7b8e1c2a3f"}),
        ],
    )
    def test_the_database_cannot_be_reached(
        self, phone: Api, no_database: None, method: str, path: str, body: Any
    ) -> None:
        response = phone.request(method, path, body)
        assert response.status_code == 503
        assert response.json() == {"detail": "Service temporarily unavailable"}
        assert int(response.headers["Retry-After"]) >= 1
        assert response.headers["Cache-Control"] == "no-store"

    @pytest.mark.django_db(transaction=True)
    def test_it_is_one_line_in_the_log(
        self, phone: Api, no_database: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        phone.get("/v1/products")
        (line,) = caplog.messages
        assert line.startswith("Database unavailable")

    @pytest.mark.django_db(transaction=True)
    def test_a_refused_connection_is_tried_once(
        self, phone: Api, no_database: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connect = Mock(side_effect=connection.get_new_connection)
        monkeypatch.setattr(connection, "get_new_connection", connect)
        assert phone.get("/v1/products").status_code == 503
        assert connect.call_count == 1

    @pytest.mark.django_db(transaction=True)
    def test_it_heals(self, phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as refused:
            refused.setitem(connection.settings_dict, "HOST", "127.0.0.1")
            refused.setitem(connection.settings_dict, "PORT", "1")
            connection.close()
            assert phone.post("/v1/products", RICE).status_code == 503
        assert phone.post("/v1/products", RICE).status_code == 201

    @pytest.mark.django_db(transaction=True)
    def test_a_connection_lost_under_way_heals_with_the_next_call(
        self, phone: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def lose(*_: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        with monkeypatch.context() as once:
            once.setattr(ProductViewSet, "perform_create", lose)
            assert phone.post("/v1/products", RICE).status_code == 503
        # As Django does after every request; its test client leaves it out.
        close_old_connections()
        assert phone.post("/v1/products", RICE).status_code == 201

    @pytest.mark.parametrize(
        "sqlstate",
        ["08006", "25006", "25P03", "40001", "53300", "55P03", "57014", "57P01"],
    )
    def test_what_passes_is_503(
        self, phone: Api, sqlstate: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            ProductViewSet, "perform_create", lambda *_: raise_in_database(sqlstate)
        )
        response = phone.post("/v1/products", RICE)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1


class TestDeadlock:
    @pytest.fixture
    def deadlocks(self, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
        """Whether each attempt at adding a product, one after the other, ends in a deadlock."""
        add = ProductViewSet.perform_create
        attempts: list[bool] = []

        def attempt(self: ProductViewSet, values: dict[str, Any]) -> Any:
            added = add(self, values)
            if attempts.pop(0):
                raise_in_database("deadlock_detected")
            return added

        monkeypatch.setattr(ProductViewSet, "perform_create", attempt)
        return attempts

    def test_the_write_is_tried_again(self, phone: Api, deadlocks: list[bool]) -> None:
        deadlocks += [True, False]
        response = phone.post("/v1/products", RICE)
        assert response.status_code == 201
        assert phone.get("/v1/products").json() == [response.json()]

    def test_after_the_second_it_is_503(self, phone: Api, deadlocks: list[bool]) -> None:
        deadlocks += [True, True, False]
        response = phone.post("/v1/products", RICE)
        assert response.status_code == 503
        assert int(response.headers["Retry-After"]) >= 1
        assert deadlocks == [False]
        assert phone.get("/v1/products").json() == []

    def test_nothing_else_is_tried_again(self, phone: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        attempts: list[str] = []

        def attempt(*_: Any) -> None:
            attempts.append("once")
            raise_in_database("serialization_failure")

        monkeypatch.setattr(ProductViewSet, "perform_create", attempt)
        assert phone.post("/v1/products", RICE).status_code == 503
        assert attempts == ["once"]


def test_an_id_that_the_device_takes_twice_in_the_same_moment_is_409(
    phone: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = phone.product()["id"]
    monkeypatch.setattr(Product, "existing", lambda *_: None)
    response = phone.post("/v1/products", RICE | {"id": taken})
    assert response.status_code == 409
    assert response.json() == {"detail": "ID already in use"}
