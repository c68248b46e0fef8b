"""gunicorn's settings, for `make run`, the image and a bare machine alike."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker

# Each thread keeps one connection to PostgreSQL, which allows 100 unless told otherwise: hence no
# more than 12 workers of 4 threads by default, however many cores there are.
workers = int(os.environ.get("WEB_CONCURRENCY") or min(max(os.cpu_count() or 2, 2), 12))
threads = int(os.environ.get("THREADS") or 4)
# A thread is a request's from its first byte to the last of its answer: nginx keeps that short.
worker_class = "gthread"
# Not preloaded: a reload (SIGHUP) takes new code, and code that can't be imported ends in on_exit.
preload_app = False

# The timeout is the worker's heartbeat, not a request's time.
timeout = 30
graceful_timeout = 30
# Longer than a proxy keeps its idle connections (nginx: 60 s), so that the proxy closes first and
# never sends a request into a connection that is just being closed here.
keepalive = 75

# And not a faster one where that happens to be installed, which the tests would not have seen.
http_parser = "python"
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190

# Heartbeat files in memory: on a disk that stalls they would make the master kill good workers.
MEMORY = "/dev/shm"  # noqa: S108 - gunicorn makes its files there safely
worker_tmp_dir = MEMORY if os.access(MEMORY, os.W_OK) else None
# gunicorn would else write a socket into the home folder.
control_socket_disable = True

# No header changes what the request is: Django alone reads X-Forwarded-Proto, only with HTTPS=true,
# and X-Forwarded-For, as far as NUM_PROXIES says. Who calls over a Unix socket gunicorn believes in
# any case, but then only what these lists name.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

loglevel = os.environ.get("LOG_LEVEL", "info").lower()
accesslog = "-"
access_log_format = '%(t)s %(h)s %({x-request-id}o)s "%(m)s %(U)s" %(s)s %(B)s B %(M)s ms'


class OneLineLogger(Logger):
    """An access log of one line a request: no query string, no header but the request's id."""

    def atoms(
        self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: Any
    ) -> Any:
        """Give what the format names and nothing else: gunicorn's own collects every header.

        The path is as it was sent: decoded, a `%0A` in it would break the line.
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
        """Give the time as Django's own log lines have it."""
        return time.strftime("%Y-%m-%d %H:%M:%S%z")


logger_class = OneLineLogger


def when_ready(server: Arbiter) -> None:
    """Let signals in again, which `server/serve.py` holds back until gunicorn's handlers stand."""
    if sys.stdin is not None and sys.stdin.isatty():
        # Started from a terminal: that it closes means stop, not reload.
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())


def post_fork(server: Arbiter, worker: Worker) -> None:
    """Only the master holds the share of the embedded PostgreSQL: it alone can give it back."""
    if "EMBEDDED_SHARE" in os.environ:
        os.close(int(os.environ["EMBEDDED_SHARE"]))


def post_worker_init(worker: Worker) -> None:
    """Leave a terminal's Ctrl-C to the master, which tells its workers: told twice, some hang.

    What is loaded by now stays, and need not be looked through by each collection of garbage.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()


def on_exit(server: Arbiter) -> None:
    """Give the share back: the last user of the embedded PostgreSQL stops it."""
    if "EMBEDDED_SHARE" in os.environ:
        from countonme.server import embedded

        embedded.leave(Path(os.environ["DATA_DIR"]), int(os.environ["EMBEDDED_SHARE"]))
