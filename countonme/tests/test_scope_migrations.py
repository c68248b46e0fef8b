"""One operation makes a device-scoped table, and takes it back; what it makes is written down here.

Once this was released, what fails here calls for another operation: an applied migration did what
it did.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader

from countonme.scope.keys import ScopedForeignKey
from countonme.scope.migrations import DeviceScopedForeignKey, DeviceScopedTable
from tests.helpers.databases import schema

pytestmark = pytest.mark.django_db

FIELDS: list[tuple[str, models.Field[Any, Any]]] = [
    ("id", models.UUIDField(primary_key=True)),
    ("device", ScopedForeignKey("devices.device")),
    ("product", ScopedForeignKey("products.product", related_name="+")),
    ("portion", ScopedForeignKey("products.portion", related_name="+")),
    ("revision", models.BigIntegerField()),
    ("created_at", models.DateTimeField()),
    ("deleted_at", models.DateTimeField(null=True)),
]
CREATED = migrations.CreateModel(
    "Note",
    FIELDS,
    options={
        "db_table": "notes",
        "default_permissions": ("view", "change", "soft_delete", "restore", "hard_delete"),
    },
)
PRODUCT, PORTION = ["product"], ["product", "portion"]
PRODUCT_KEY = (
    "constraint notes notes_product_id_fk"
    " FOREIGN KEY (device_id, product_id) REFERENCES products(device_id, id)"
)
PORTION_KEY = (
    "constraint notes notes_portion_id_fk FOREIGN KEY (device_id, product_id, portion_id)"
    " REFERENCES portions(device_id, product_id, id)"
)
MADE = {
    "constraint notes notes_device_id_fk FOREIGN KEY (device_id) REFERENCES devices(id)",
    "constraint notes notes_pkey PRIMARY KEY (device_id, id)",
    "index CREATE INDEX notes_by_revision ON public.notes USING btree (device_id, revision) t",
    "index CREATE INDEX notes_created ON public.notes USING btree (created_at, id) t",
    "index CREATE INDEX notes_deleted ON public.notes USING btree (deleted_at)"
    " WHERE (deleted_at IS NOT NULL) t",
    "index CREATE UNIQUE INDEX notes_pkey ON public.notes USING btree (device_id, id) t",
    "table notes r p {fillfactor=90}",
    "table notes_by_revision i p",
    "table notes_created i p",
    "table notes_deleted i p",
    "table notes_pkey i p",
    "trigger CREATE TRIGGER guard_hard_delete AFTER DELETE ON public.notes"
    " REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION guard_hard_delete() O",
    "trigger CREATE TRIGGER stamp_revision_insert BEFORE INSERT ON public.notes"
    " FOR EACH ROW EXECUTE FUNCTION stamp_revision() O",
    "trigger CREATE TRIGGER stamp_revision_update BEFORE UPDATE ON public.notes"
    " FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION stamp_revision() O",
}


class Later:
    """An app's migrations after all that there are, run one operation at a time."""

    def __init__(self) -> None:
        self.state = MigrationLoader(connection).project_state()
        self.done: list[tuple[Any, Any, Any]] = []

    def run(self, operation: Any) -> None:
        before, after = self.state, self.state.clone()
        operation.state_forwards("entries", after)
        with connection.schema_editor(atomic=False) as editor:
            operation.database_forwards("entries", editor, before, after)
        self.state = after
        self.done.append((operation, before, after))

    def take_back(self) -> None:
        operation, before, after = self.done.pop()
        with connection.schema_editor(atomic=False) as editor:
            operation.database_backwards("entries", editor, after, before)
        self.state = before


@pytest.fixture
def later() -> Later:
    return Later()


def of_notes() -> set[str]:
    """Return what the database has of the new table, but for its columns."""
    found = {text for text in schema() if "notes" in text}
    without_columns = {text for text in found if not text.startswith("column")}
    # PostgreSQL 18 lists them as constraints, too.
    return {text for text in without_columns if " NOT NULL " not in text}


def test_it_works(later: Later) -> None:
    later.run(CREATED)
    later.run(DeviceScopedTable("Note", foreign_keys=[PRODUCT, PORTION]))
    assert of_notes() == MADE | {PRODUCT_KEY, PORTION_KEY}


def test_it_is_taken_back(later: Later) -> None:
    later.run(CREATED)
    before = of_notes()
    later.run(DeviceScopedTable("Note", foreign_keys=[PRODUCT, PORTION]))
    later.take_back()
    assert of_notes() == before


def test_a_foreign_key_may_come_later(later: Later) -> None:
    later.run(CREATED)
    later.run(DeviceScopedTable("Note"))
    assert of_notes() == MADE
    later.run(DeviceScopedForeignKey("Note", PRODUCT))
    assert of_notes() == MADE | {PRODUCT_KEY}
    later.take_back()
    assert of_notes() == MADE


def test_the_roles_get_their_permissions(later: Later) -> None:
    later.run(CREATED)
    later.run(DeviceScopedTable("Note"))
    found = {
        role.name: set(
            role.permissions.filter(codename__endswith="_note").values_list("codename", flat=True)
        )
        for role in Group.objects.all()
    }
    assert found == {
        "Moderator": {"view_note", "soft_delete_note", "restore_note"},
        "Support": {"view_note"},
    }


def test_operations_say_what_they_do() -> None:
    assert "Note" in DeviceScopedTable("Note").describe()
    assert "product of Note" in DeviceScopedForeignKey("Note", PRODUCT).describe()
