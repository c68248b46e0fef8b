"""gunicorn's settings, for `make run`, the image and a bare machine alike."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http import parser
from gunicorn.workers.base import Worker

# Each thread keeps one connection to PostgreSQL, which allows 100 unless told otherwise: hence no
# more than 12 workers of 4 threads by default, however many cores there are.
workers = int(os.environ.get("WEB_CONCURRENCY") or min(max(os.cpu_count() or 2, 2), 12))
threads = int(os.environ.get("THREADS") or 4)
# A request has its thread from its first byte to the last of its answer; nginx keeps this short.
worker_class = "gthread"
# Not preloaded: a reload (SIGHUP) loads new code, and on_exit() runs if code can't be imported.
preload_app = False

# The timeout is for the heartbeat of a worker, not for a request.
timeout = 30
graceful_timeout = 30
# Longer than a proxy keeps its idle connections (nginx: 60 s), so that the proxy closes first and
# never sends a request into a connection that is just being closed here.
keepalive = 75

# Not a faster parser that happens to be installed: the tests don't cover it.
http_parser = "python"
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190

# Heartbeat files in memory: if their disk stalled, the master would kill good workers.
MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes its files there safely
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None
# Otherwise gunicorn would write a socket into the home folder.
control_socket_disable = True

# So much of a body that was not read, as where a token is wrong, gunicorn reads before it closes,
# for at most 5 seconds. By default it is 64 KiB. Then nginx may still be sending: it answers 503.
vars(parser)["_DRAIN_MAX_BYTES"] = 32 * 1024 * 1024

# gunicorn reads no proxy headers. Only Django does: X-Forwarded-Proto with HTTPS=true, and
# X-Forwarded-For as far as NUM_PROXIES says. gunicorn always trusts a client on a Unix socket, but
# only for the headers that these lists name.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# Each worker writes its figures into this folder, from which the exporter reads them.
METRICS = "METRICS_ADDRESS"
FIGURES = "PROMETHEUS_MULTIPROC_DIR"
if os.environ.get(METRICS) and FIGURES not in os.environ:
    os.environ[FIGURES] = tempfile.mkdtemp(prefix="countonme-metrics-", dir=worker_tmp_dir)

loglevel = os.environ.get("LOG_LEVEL", "info").lower()
accesslog = "-"
access_log_format = '%(t)s %(h)s %({x-request-id}o)s "%(m)s %(U)s" %(s)s %(B)s B %(M)s ms'


class OneLineLogger(Logger):
    """An access log with a line for each request, without query and headers, but with its id."""

    def atoms(
        self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: Any
    ) -> Any:
        """Return only what the format names: gunicorn's own method collects every header.

        The path is not decoded, because a `%0A` in it would break the line.
        """
        return {
            "t": self.now(),
            "h": environ["REMOTE_ADDR"] or "-",
            "{x-request-id}o": next((v for k, v in resp.headers if k == "X-Request-ID"), "-"),
            "m": environ["REQUEST_METHOD"],
            "U": environ["RAW_URI"].partition("?")[0],
            "s": resp.status.partition(" ")[0],
            "B": resp.sent,
            "M": request_time // timedelta(milliseconds=1),
        }

    def now(self) -> str:
        """Return the time in the format of Django's log lines."""
        return time.strftime("%Y-%m-%d %H:%M:%S%z")


logger_class = OneLineLogger


def when_ready(server: Arbiter) -> None:
    """Unblock the signals, which `server/serve.py` blocked until gunicorn has its handlers."""
    if sys.stdin is not None and sys.stdin.isatty():
        # Started from a terminal: when that is closed, stop; don't reload.
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    if os.environ.get(METRICS):
        # Kept there, because a reload runs this file again.
        vars(server)["exporter"] = subprocess.Popen(
            [sys.executable, "-m", "countonme.server.exporter"]
        )


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Forget what a worker that ended has under way."""
    if os.environ.get(METRICS):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # theirs


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Close the share in the embedded PostgreSQL: only the master keeps it and gives it back."""
    if "EMBEDDED_SHARE" in os.environ:
        os.close(int(os.environ["EMBEDDED_SHARE"]))


def post_worker_init(worker: Worker) -> None:
    """Ignore a terminal's Ctrl-C: the master stops the workers, and stopped twice, some hang.

    What is loaded by now stays in memory, so garbage collections need not look through it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()


def on_exit(server: Arbiter) -> None:
    """Give the share back: the last user of the embedded PostgreSQL stops it."""
    if exporter := vars(server).get("exporter"):
        exporter.terminate()
        exporter.wait()
        shutil.rmtree(os.environ[FIGURES], ignore_errors=True)
    if "EMBEDDED_SHARE" in os.environ:
        from countonme.server import embedded

        embedded.leave(Path(os.environ["DATA_DIR"]), int(os.environ["EMBEDDED_SHARE"]))
