"""`GET /health` and `GET /health/ready`."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from tests.helpers.api import Api


def refuse_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the database's port refuse connections."""
    monkeypatch.setitem(connection.settings_dict, "HOST", "127.0.0.1")
    monkeypatch.setitem(connection.settings_dict, "PORT", "1")
    connection.close()


class TestLive:
    def test_it_works(self, nobody: Api) -> None:
        response = nobody.get("/health")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        assert response.json() == {"ok": True}

    def test_it_asks_nothing_of_the_database(
        self, nobody: Api, django_assert_num_queries: Any
    ) -> None:
        with django_assert_num_queries(0):
            nobody.get("/health")

    @pytest.mark.django_db(transaction=True)
    def test_it_does_not_matter_whether_there_is_one(
        self, nobody: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as refused:
            refuse_connections(refused)
            assert nobody.get("/health").status_code == 200


class TestReady:
    def test_it_works(self, nobody: Api) -> None:
        response = nobody.get("/health/ready")
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "application/json"
        assert response.json() == {"ok": True}

    @pytest.mark.django_db(transaction=True)
    def test_a_database_that_cannot_be_reached_is_missing(
        self, nobody: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as refused:
            refuse_connections(refused)
            response = nobody.get("/health/ready")
        assert response.status_code == 503
        assert "database" in response.json()["detail"].lower()
        assert int(response.headers["Retry-After"]) >= 1
        assert nobody.get("/health/ready").status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_it_recovers_from_a_connection_that_died(self, nobody: Api) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (backend,) = cursor.fetchone()
        operator = connection.copy()
        with operator.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        operator.close()
        assert nobody.get("/health/ready").status_code in (200, 503)
        assert nobody.get("/health/ready").status_code == 200

    def test_a_migration_that_is_not_applied_is_missing(self, nobody: Api) -> None:
        recorder = MigrationRecorder(connection)
        applied = list(recorder.migration_qs.filter(app="entries").values_list("name", flat=True))
        recorder.migration_qs.filter(app="entries").delete()
        response = nobody.get("/health/ready")
        assert response.status_code == 503
        assert "migration" in response.json()["detail"]
        for name in applied:
            recorder.record_applied("entries", name)
        assert nobody.get("/health/ready").status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_it_tells_strangers_nothing_of_the_database(
        self, nobody: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as refused:
            refuse_connections(refused)
            said = nobody.get("/health/ready").content.decode()
        for secret in ("127.0.0.1", "port", "postgres", "refused"):
            assert secret not in said


@pytest.mark.parametrize("path", ["/health", "/health/ready"])
class TestBoth:
    def test_no_token_is_needed_and_none_matters(self, path: str, phone: Api, nobody: Api) -> None:
        for caller in (phone, nobody, Api(token="nonsense")):
            assert caller.get(path).status_code == 200

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_only_get_and_head_are_allowed(self, path: str, method: str, nobody: Api) -> None:
        # Django's test client leaves the check of CSRF tokens out; a server does not.
        nobody.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        response = nobody.request(method, path)
        assert response.status_code == 405
        assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}

    def test_head_has_no_body(self, path: str, nobody: Api) -> None:
        response = nobody.request("HEAD", path)
        assert (response.status_code, response.content) == (200, b"")

    def test_the_answer_is_json_whatever_accept_says(self, path: str, nobody: Api) -> None:
        response = nobody.get(path, Accept="text/html")
        assert response.headers["Content-Type"] == "application/json"

    def test_balancers_ask_without_https(self, path: str, nobody: Api, settings: Any) -> None:
        settings.SECURE_SSL_REDIRECT = True
        assert Api().get(path).status_code == 200
        assert Api().get("/v1/products").status_code == 301
