"""The server as it is deployed: nginx with `deploy/nginx.conf` before gunicorn on a Unix socket."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
from contextlib import suppress
from pathlib import Path

from countonme.server import embedded
from tests.helpers.processes import ROOT, Run, alive, children, wait_until

NGINX = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
CONFIG = ROOT / "deploy" / "nginx.conf"
SOCKET = "unix:/run/countonme/gunicorn.sock"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class Nginx:
    """nginx on a port of 127.0.0.1. It writes only into a folder, and needs no privileges.

    Args:
        folder: where to create that folder.
        upstream: the address of gunicorn, in nginx's notation.
        certificate: the folder of `fullchain.pem` and `privkey.pem`; without it there is no TLS.
        changes: further replacements in the configuration, old text by new.
    """

    def __init__(
        self,
        folder: Path,
        upstream: str,
        certificate: Path | None = None,
        changes: dict[str, str] | None = None,
    ) -> None:
        self.port = free_port()
        self.tls_port = free_port() if certificate else 0
        self.folder = folder / f"nginx.{self.port}"
        self.folder.mkdir()
        config = CONFIG.read_text()
        for old, new in self._changes(upstream, certificate, changes or {}).items():
            assert old in config, f"{CONFIG} has no {old}"
            config = config.replace(old, new)
        (self.folder / "nginx.conf").write_text(config)
        command = [str(NGINX), "-e", "error.log", "-p", str(self.folder), "-c", "nginx.conf"]
        # Messages from before nginx has read the path of its log.
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "-g", "daemon off; pid nginx.pid;"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        wait_until(self._serves)

    def _changes(
        self, upstream: str, certificate: Path | None, more: dict[str, str]
    ) -> dict[str, str]:
        temporary = "".join(f"{name}_temp_path {name};" for name in TEMPORARY)
        listen = "listen {};\n        listen [::]:{};"
        plain = {listen.format(80, 80): f"listen 127.0.0.1:{self.port};"}
        if certificate:
            tls = {
                listen.format("443 ssl http2", "443 ssl http2"): (
                    f"listen 127.0.0.1:{self.tls_port} ssl http2;"
                ),
                "/etc/nginx/tls": str(certificate),
            }
        else:
            lines = re.findall(r"^.*(?: ssl http2|ssl_certificate).*\n", CONFIG.read_text(), re.M)
            tls = dict.fromkeys(lines, "")
        return {
            **more,
            # A temporary folder may be closed to other users, so root's workers run as root.
            "user www-data;": "user root;" if os.geteuid() == 0 else "",
            "http {": f"http {{ {temporary}",
            "/var/log/nginx/": "",
            SOCKET: upstream,
            **plain,
            **tls,
        }

    def _serves(self) -> bool:
        assert self.process.poll() is None, (self.folder / "output").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    @property
    def log(self) -> str:
        """The access log."""
        return (self.folder / "access.log").read_text()

    def stop(self) -> None:
        """End nginx and its workers at once."""
        started = children(self.process.pid)
        self.process.terminate()
        self.process.wait(10)
        wait_until(lambda: not any(map(alive, started - {self.process.pid})))


class Deployed(Run):
    """A server as the guide deploys it, but on the embedded PostgreSQL; TLS is optional.

    `port` is nginx's.

    Args:
        certificate, changes: those of `Nginx`.
        values: settings, as environment variables.
    """

    def __init__(
        self,
        data_dir: Path,
        certificate: Path | None = None,
        changes: dict[str, str] | None = None,
        **values: str,
    ) -> None:
        self.socket = data_dir.parent / "gunicorn.sock"
        self.share = embedded.join(data_dir)
        self.nginx = Nginx(data_dir.parent, f"unix:{self.socket}", certificate, changes)
        super().__init__(
            data_dir,
            [sys.executable, "-m", "gunicorn", "--bind", f"unix:{self.socket}", "countonme.wsgi"],
            **{
                "DATABASE_URL": embedded.database_url(data_dir),
                "ALLOWED_HOSTS": "localhost,127.0.0.1",
                "HTTPS": "false",
                "NUM_PROXIES": "1",
            }
            | values,
        )

    @property
    def port(self) -> int:
        return self.nginx.port

    def wait_until_ready(self) -> Deployed:
        """Wait until gunicorn answers through nginx."""
        wait_until(self._is_ready, 60)
        return self

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.output
        with suppress(urllib.error.HTTPError):
            return bool(self.get("/health/ready"))
        return False

    def kill(self) -> None:
        """End gunicorn and nginx, and stop using PostgreSQL."""
        super().kill()
        self.nginx.stop()
        embedded.leave(self.data_dir, self.share)
