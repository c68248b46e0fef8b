"""A later version migrates the database of a live server and back, and no call fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attacks.client import Phone
from tests.helpers.processes import ROOT, Run, environment, query, wait_until

PHONES = 4
RICE = {"name": "Rice", "kcal_100g": 130}
SOUP = {"name": "Soup", "kcal": 250, "date": "2025-02-05", "meal_type": "lunch"}

# Migrations of a later version: a column, an index on a table in use, and a table.
LATER_MIGRATIONS = {
    "products/migrations/9001_colour.py": """
from django.db import migrations, models

class Migration(migrations.Migration):
    dependencies = [("products", %(products)r)]
    operations = [
        migrations.AddField("product", "colour", models.CharField(max_length=50, null=True)),
    ]
""",
    "products/migrations/9002_by_colour.py": """
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("products", "9001_colour")]
    operations = [
        AddIndexConcurrently("product", models.Index("device", "colour", name="by_colour")),
    ]
""",
    "entries/migrations/9001_note.py": """
import uuid
from django.db import migrations, models
from countonme.scope import keys
from countonme.scope.migrations import DeviceScopedTable

class Migration(migrations.Migration):
    dependencies = [("entries", %(entries)r), ("products", "9002_by_colour")]
    operations = [
        migrations.CreateModel("Note", [
            ("id", models.UUIDField(default=uuid.uuid4, primary_key=True)),
            ("revision", models.BigIntegerField(default=0)),
            ("created_at", models.DateTimeField()),
            ("updated_at", models.DateTimeField(null=True)),
            ("deleted_at", models.DateTimeField(null=True)),
            ("device", keys.ScopedForeignKey("devices.device")),
            ("product", keys.ScopedForeignKey("products.product")),
        ], options={"db_table": "notes"}),
        DeviceScopedTable("Note"),
    ]
""",
    # Alone: a foreign key also locks the table that it refers to, and writers lock in any order.
    "entries/migrations/9002_note_product.py": """
from django.db import migrations
from countonme.scope.migrations import DeviceScopedForeignKey

class Migration(migrations.Migration):
    dependencies = [("entries", "9001_note")]
    operations = [DeviceScopedForeignKey("Note", ["product"])]
""",
}


def last_migration(app: str) -> str:
    return sorted((ROOT / app / "migrations").glob("[0-9]*.py"))[-1].stem


def later_version(folder: Path) -> Path:
    """Copy the project and add migrations to it."""
    copied = folder / "later"
    left = shutil.ignore_patterns(".*", "__pycache__", "docs", "attacks", "staticfiles")
    shutil.copytree(ROOT, copied, ignore=left)
    last = {app: last_migration(app) for app in ("products", "entries")}
    for path, text in LATER_MIGRATIONS.items():
        (copied / path).write_text(text % last)
    return copied


def manage(project: Path, data_dir: Path, *arguments: str) -> None:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(
        command, cwd=project, env=environment(data_dir), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Load:
    """Phones that write and read all the time, each with one request after the other."""

    def __init__(self, port: int) -> None:
        self.phones = [Phone(port).register() for _ in range(PHONES)]
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.rounds = 0
        self.stop = threading.Event()

    def note(self, what: str, answer: Any) -> Any:
        self.statuses[what, answer.status] += 1
        return answer

    def call(self, phone: Phone) -> None:
        while not self.stop.is_set():
            product = self.note("POST product", phone.post("/v1/products", RICE))
            entry = self.note("POST entry", phone.post("/v1/food-entries", SOUP))
            if product.status == entry.status == 201:
                product_path = f"/v1/products/{product.json()['id']}"
                entry_path = f"/v1/food-entries/{entry.json()['id']}"
                self.note("PATCH", phone.patch(product_path, {"kcal_100g": 131}))
                self.note("DELETE", phone.delete(entry_path))
                self.note("DELETE", phone.delete(product_path))
            self.note("GET", phone.get("/v1/products?include=portions"))
            self.note("ready", phone.get("/health/ready"))
            self.rounds += 1

    def wait_for_rounds(self) -> None:
        """Wait for two more rounds of calls per phone, on average."""
        enough = self.rounds + 2 * PHONES
        wait_until(lambda: self.rounds >= enough)


@contextmanager
def under_load(port: int) -> Iterator[Load]:
    load = Load(port)
    threads = [threading.Thread(target=load.call, args=[phone]) for phone in load.phones]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


def test_the_old_version_keeps_serving_while_a_later_one_migrates_and_goes_back(
    server: Run, tmp_path: Path
) -> None:
    later = later_version(tmp_path)
    with under_load(server.port) as load:
        load.wait_for_rounds()
        manage(later, server.data_dir, "migrate")
        assert query(server.data_dir, "SELECT to_regclass('notes')::text") == [("notes",)]
        load.wait_for_rounds()
        manage(later, server.data_dir, "migrate", "products", last_migration("products"))
        assert query(server.data_dir, "SELECT to_regclass('notes')::text") == [(None,)]
        load.wait_for_rounds()
    failed = {call: n for call, n in load.statuses.items() if call[1] not in (200, 201, 204)}
    assert not failed, load.statuses
    manage(ROOT, server.data_dir, "check_integrity")
