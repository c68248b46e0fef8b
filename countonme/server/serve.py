"""What `make run` runs: prepare everything, then become gunicorn.

gunicorn inherits the listening socket and the share in the embedded PostgreSQL across the `exec`.
The hooks in gunicorn.conf.py take over from there.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import os
import secrets
import signal
import socket
import sys
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import django
import environ
from django.core.exceptions import ImproperlyConfigured

from countonme.server import embedded, environment, timeouts

BASE_DIR = Path(__file__).resolve().parent.parent.parent
ADDRESS = "address"  # the file in DATA_DIR with the URL of the latest server
SHARE = "EMBEDDED_SHARE"  # the environment variable that names the share's descriptor to gunicorn
# Workers of a killed master hold the port until they notice, which takes about a second.
BIND_SECONDS = 5.0
# Addresses by which Android's own emulator and Genymotion reach the loopback of their host.
EMULATORS = ["10.0.2.2", "10.0.3.2"]
STOPPING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
# Signals received. `_exit()` notes them because Python drops exceptions raised in a finalizer.
received: list[int] = []


class ServeError(Exception):
    """The server can't start; the message is one sentence for the operator."""


def read_environment() -> Path:
    """Read `.env` into the environment, and return DATA_DIR as the settings will read it."""
    environ.Env.read_env(BASE_DIR / ".env")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countonme.settings")
    return (BASE_DIR / os.environ.get("DATA_DIR", ".data")).resolve()


def exit_on_signals() -> None:
    """Make SIGTERM and SIGHUP raise SystemExit, so that what was started is stopped."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, _exit)


def _exit(number: int, frame: FrameType | None = None) -> NoReturn:
    received.append(number)
    sys.exit(128 + number)


def ensure_secret_key(data_dir: Path) -> None:
    """Write a random key to DATA_DIR, which the settings read if SECRET_KEY is not set.

    Raises:
        ServeError: it can't be written.
    """
    path = data_dir / "secret_key"
    if os.environ.get("SECRET_KEY") or path.exists():
        return
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        new = data_dir / f"secret_key.{os.getpid()}"
        new.touch(mode=0o600)
        new.write_text(secrets.token_urlsafe(64))
        # A hard link never replaces a file, so two first starts at once use the same key.
        with suppress(FileExistsError):
            path.hardlink_to(new)
        new.unlink()
    except OSError as error:
        raise ServeError(f"The secret key can't be written: {error}.") from error


def serve() -> NoReturn:
    """Prepare and exec gunicorn.

    Raises:
        ServeError, EmbeddedError, ImproperlyConfigured: with a sentence that says what is missing.
            What had been started is stopped by then.
    """
    data_dir = read_environment()
    os.environ["HTTPS"] = os.environ.get("HTTPS") or "false"
    # gunicorn.conf.py reads these two, and would answer with a traceback.
    for name in ("WEB_CONCURRENCY", "THREADS"):
        environment.whole_number(name, 1, 1)
    host = os.environ.get("HOST") or "127.0.0.1"
    # Bound first, so that a taken port is found at once. Early requests wait in its queue.
    with listen(host, os.environ.get("PORT") or "8000") as listener:
        address, port = listener.getsockname()[:2]
        allow_host(host, address)
        ensure_secret_key(data_dir)
        own = not os.environ.get("DATABASE_URL")
        with embedded.running(data_dir) if own else nullcontext() as share:
            with timeouts.lifted(locks=False):
                prepare()
            name = f"[{address}]" if ":" in address else address
            url = f"http://{name}:{port}"
            data_dir.mkdir(parents=True, exist_ok=True)
            (data_dir / ADDRESS).write_text(url)
            print(
                f"CountOnMe serves on {url} (Ctrl-C stops it).\n"
                f"The API is described at {url}/docs, operators work at {url}/admin/.",
                flush=True,
            )
            # Until gunicorn has its own handlers, a signal would leave the database running.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
            if received:
                _exit(received[0])
            listener.set_inheritable(True)
            os.environ["DATA_DIR"] = str(data_dir)
            if share is not None:
                os.set_inheritable(share, True)
                os.environ[SHARE] = str(share)
            command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}"]
            config = ["--config", str(BASE_DIR / "gunicorn.conf.py"), "--chdir", str(BASE_DIR)]
            os.execv(sys.executable, [*command, *config, "countonme.wsgi"])


def served_at(data_dir: Path) -> str:
    """Return the URL of the latest server with this DATA_DIR, or the default one."""
    try:
        return (data_dir / ADDRESS).read_text()
    except FileNotFoundError:
        return f"http://127.0.0.1:{os.environ.get('PORT') or 8000}"


def listen(host: str, port: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        ServeError: the port is not a number from 0 to 65535, or the address can't be bound.
    """
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ServeError(f"PORT must be a number from 0 to 65535, not {port}.")
    deadline = time.monotonic() + BIND_SECONDS
    while True:
        try:
            family, *_, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            return socket.create_server(address[:2], family=family, backlog=2048)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                # create_server() appends the address, which the sentence has already.
                reason = str(error.strerror).partition(" (while")[0]
                raise ServeError(f"{host}:{port} can't be served: {reason}.") from error
            time.sleep(0.1)


def allow_host(host: str, address: str) -> None:
    """Set ALLOWED_HOSTS to the host that is served, unless it is set already.

    Args:
        host: the host as HOST gives it.
        address: the address that the socket is bound to.
    """
    if os.environ.get("ALLOWED_HOSTS"):
        return
    local = ["localhost", "127.0.0.1", "[::1]"]
    if ipaddress.ip_address(address).is_loopback:
        local += EMULATORS
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - the operator asked for it
        own = socket.gethostname()
        local += [own, own + ".local"]
    elif host not in {*local, "::1"}:
        local.append(f"[{host}]" if ":" in host else host)
    os.environ["ALLOWED_HOSTS"] = ",".join(local)


def prepare() -> None:
    """Migrate, collect the static files, create the first operator and start the catalog."""
    django.setup()
    from django.core.management import call_command
    from django.db import OperationalError, connections

    try:
        call_command("migrate", interactive=False, verbosity=0)
    except OperationalError as error:
        if timeouts.is_refused(error):
            raise ServeError(timeouts.THROUGH_A_POOLER) from error
        reason = str(error).strip().partition("\n")[0]
        raise ServeError(f"The database can't be used: {reason}.") from error
    collect_static()
    create_admin()
    call_command("start_catalog")
    connections.close_all()


def collect_static() -> None:
    """Run collectstatic, unless its source files are unchanged since its last complete run."""
    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders
    from django.core.management import call_command

    digest = hashlib.sha256(repr((settings.STATIC_URL, settings.STORAGES)).encode())
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda found: found[0]):
            status = os.stat(storage.path(name))
            digest.update(
                f"{storage.path(name)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode()
            )
    stamp = Path(settings.STATIC_ROOT, "collected")
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(digest.hexdigest())


def create_admin() -> None:
    """Create the superuser `admin` if there is no operator; print a generated password once."""
    from django.contrib.auth import get_user_model

    given = os.environ.pop("ADMIN_PASSWORD", "")
    users = get_user_model()._default_manager
    if users.filter(is_superuser=True).exists() or users.filter(username="admin").exists():
        return
    password = given or secrets.token_urlsafe(12)
    users.create_superuser("admin", password=password)
    if not given:
        print(f"Operator of /admin/: admin, password: {password} (shown this once)", flush=True)


def main() -> NoReturn:
    """Entry point. A failure ends with one sentence on stderr and exit status 1."""
    exit_on_signals()
    signal.signal(signal.SIGINT, _exit)
    try:
        serve()
    except (ServeError, embedded.EmbeddedError, ImproperlyConfigured) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
