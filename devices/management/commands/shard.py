from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from countonme.scope.models import device_scoped_models
from devices.models import Device, PairingCode, Phone, RecoveryKey

# Tables that are distributed already; only Citus has this one.
DISTRIBUTED = "SELECT logicalrelid::regclass::text FROM pg_dist_partition WHERE partmethod = 'h'"


class Command(BaseCommand):
    help = (
        "Print the statements that have Citus shard by device all that devices own, each device's "
        "rows on one node. With --run, run them: on the coordinator, in one transaction, leaving "
        "out the tables that are sharded already. See docs/scaling.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", action="store_true", help="run the statements")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["run"]:
            self.stdout.write("\n".join(f"{sql};" for sql in statements().values()))
            return
        with transaction.atomic(), connection.cursor() as cursor:
            self._require_citus(cursor)
            cursor.execute(DISTRIBUTED)
            done = {table for (table,) in cursor.fetchall()}
            for table, sql in statements().items():
                if table not in done:
                    cursor.execute(sql)
                    self.stdout.write(f"{table} is sharded.")
        self.stdout.write("Every table of devices is sharded.")

    @staticmethod
    def _require_citus(cursor: Any) -> None:
        cursor.execute("SELECT FROM pg_extension WHERE extname = 'citus'")
        if cursor.fetchone() is None:
            raise CommandError(
                "This database lacks the extension citus: install Citus on every node, and run "
                "CREATE EXTENSION citus."
            )
        # Revisions and soft deletion rest on triggers, which only read and write their device.
        cursor.execute("SELECT current_setting('citus.enable_unsafe_triggers')::boolean")
        if cursor.fetchone() != (True,):
            raise CommandError(
                "Citus allows no triggers on sharded tables as yet: set "
                "citus.enable_unsafe_triggers = on in the configuration of every node."
            )


def statements() -> dict[str, str]:
    """Return by table the statement that shards it, each after the tables that it refers to."""
    owned: list[Any] = [Phone, PairingCode, RecoveryKey, *device_scoped_models()]
    devices = Device._meta.db_table
    found = {devices: f"SELECT create_distributed_table('{devices}', 'id')"}
    for model in owned:
        table = model._meta.db_table
        arguments = f"'{table}', 'device_id', colocate_with => '{devices}'"
        found[table] = f"SELECT create_distributed_table({arguments})"
    return found
