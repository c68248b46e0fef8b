"""What bounds a statement, and for whom the bounds are lifted."""

from __future__ import annotations

import os
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection

from countonme.server import timeouts
from tests.helpers.api import new_phone

SHOWN = """
    SELECT current_setting('statement_timeout'), current_setting('lock_timeout'),
        current_setting('idle_in_transaction_session_timeout')
"""
SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}


def another_connection() -> psycopg.Connection[Any]:
    return psycopg.connect(**connection.get_connection_params())


def shown() -> Any:
    with another_connection() as fresh:
        return fresh.execute(SHOWN).fetchone()


@pytest.mark.django_db
def test_it_works() -> None:
    assert shown() == ("10s", "3s", "30s")


@pytest.mark.django_db(transaction=True)
def test_migrate_sets_what_the_settings_say(settings: Any) -> None:
    settings.DATABASE_TIMEOUTS = django_settings.DATABASE_TIMEOUTS | {"lock_timeout": 7}
    call_command("migrate", verbosity=0)
    assert shown() == ("10s", "7s", "30s")
    settings.DATABASE_TIMEOUTS = settings.DATABASE_TIMEOUTS | {"lock_timeout": 3}
    call_command("migrate", verbosity=0)
    assert shown() == ("10s", "3s", "30s")


@pytest.mark.django_db
def test_commands_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=5MB")
    with timeouts.lifted(locks=True):
        assert shown() == ("0", "0", "0")
        with another_connection() as fresh:
            assert fresh.execute("SHOW work_mem").fetchone() == ("5MB",)
    assert os.environ["PGOPTIONS"] == "-c work_mem=5MB"


@pytest.mark.django_db
def test_a_migration_does_not_wait_for_locks_without_end() -> None:
    with timeouts.lifted(locks=False):
        assert shown() == ("0", "3s", "0")
    assert "PGOPTIONS" not in os.environ


@pytest.mark.django_db(transaction=True)
def test_a_write_that_waits_for_a_lock_is_503() -> None:
    phone = new_phone()
    assert phone.device is not None
    with another_connection() as fresh, connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")
        fresh.execute("SELECT FROM devices WHERE id = %s FOR UPDATE", [phone.device.pk])
        response = phone.post("/v1/food-entries", SOUP)
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "2"
        assert phone.get("/v1/products").status_code == 200
        fresh.rollback()
        assert phone.post("/v1/food-entries", SOUP).status_code == 201
        cursor.execute("RESET lock_timeout")
