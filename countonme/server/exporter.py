"""The process that serves the figures of all workers to Prometheus; gunicorn starts it.

`python -m countonme.server.exporter` reads the folder that PROMETHEUS_MULTIPROC_DIR names. It is a
process of its own, because gunicorn forks its workers, which a thread beside could disturb.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import django
from django.conf import settings
from django.db import Error, connection
from prometheus_client import CollectorRegistry, multiprocess, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

# How long the numbers of rows are kept, in seconds.
ROWS_EVERY = 3600
# PostgreSQL's own estimates, which autovacuum keeps: to count would read every table.
ROWS = """
SELECT pg_class.relname, CASE WHEN reltuples < 0 THEN n_live_tup ELSE reltuples END::bigint
FROM pg_stat_user_tables JOIN pg_class ON pg_class.oid = relid WHERE schemaname = 'public'
"""


class Rows(Collector):
    """How many rows the tables have, asked at most once an hour."""

    def __init__(self) -> None:
        self.asked_at = -float(ROWS_EVERY)
        self.rows: list[tuple[str, int]] = []
        self.lock = threading.Lock()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self.lock:
            if time.monotonic() - self.asked_at >= ROWS_EVERY:
                self.asked_at = time.monotonic()
                self.rows = self.ask()
        family = GaugeMetricFamily(
            "countonme_rows", "Rows by table, as PostgreSQL estimates them.", labels=["table"]
        )
        for table, rows in self.rows:
            family.add_metric([table], rows)
        yield family

    @staticmethod
    def ask() -> list[tuple[str, int]]:
        """Ask on a connection of its own, which ends with the question."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(ROWS)
                return list(cursor.fetchall())
        except Error:
            return []
        finally:
            connection.close()


def serve() -> None:
    """Serve the figures until gunicorn, which started this process, is gone."""
    assert settings.METRICS_ADDRESS is not None
    host, port = settings.METRICS_ADDRESS
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # of theirs
    registry.register(Rows())
    parent = os.getppid()
    start_http_server(port, host, registry)
    while os.getppid() == parent:
        time.sleep(1)


if __name__ == "__main__":
    # Ctrl-C reaches this process, too; it ends with gunicorn.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countonme.settings")
    django.setup()
    serve()
