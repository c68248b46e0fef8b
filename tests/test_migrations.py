"""Every migration runs forwards and backwards on a database with rows of every kind."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection

from tests.helpers.databases import new_database, schema
from tests.helpers.migrations import own_migrations
from tests.helpers.world import fill

THIRD_PARTY = ("auth_", "axes_", "django_")


def migrate(*target: str) -> None:
    call_command("migrate", *target, verbosity=0)


def roles() -> list[tuple[Any, ...]]:
    """Return the permissions of each role."""
    found = Group.objects.values_list("name", "permissions__codename")
    return sorted(found, key=str)


def test_every_migration_goes_back_and_forth_over_data(
    django_db_setup: None, django_db_blocker: Any
) -> None:
    with django_db_blocker.unblock(), new_database("migrated"):
        migrate()
        new = schema(), roles()
        fill()
        migrations = own_migrations()
        without_tables = {"countonme", "sync", "transfer"}
        assert {app for app, _ in migrations} == set(settings.OWN_APPS) - without_tables
        for number, (app, name) in reversed(list(enumerate(migrations))):
            before = [other for label, other in migrations[:number] if label == app]
            with_it = schema()
            migrate(app, before[-1] if before else "zero")
            without_it = schema()
            migrate(app, name)
            assert schema() == with_it, f"{app}.{name}"
            migrate(app, before[-1] if before else "zero")
            assert schema() == without_it, f"{app}.{name}"
        tables = connection.introspection.table_names()
        assert not [table for table in tables if not table.startswith(THIRD_PARTY)]
        assert not [text for text in schema() if text.startswith(("CREATE", "trigger"))]
        migrate()
        assert (schema(), roles()) == new
