"""HAProxy with `deploy/haproxy.cfg`, before two cells on ports of 127.0.0.1."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.helpers.nginx import free_port
from tests.helpers.processes import ROOT, wait_until

HAPROXY = shutil.which("haproxy", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
CONFIG = ROOT / "deploy" / "haproxy.cfg"


@contextmanager
def haproxy(folder: Path, *ports: int) -> Iterator[int]:
    """Run HAProxy before these two cells, without TLS, and yield its port."""
    port, config = free_port(), CONFIG.read_text()
    for old, new in {
        "bind :443 ssl crt /etc/haproxy/tls alpn h2,http/1.1": f"bind 127.0.0.1:{port}",
        "maxconn 20000": "maxconn 200",
        "10.0.0.1:80 check": f"127.0.0.1:{ports[0]}",
        "10.0.0.2:80 check": f"127.0.0.1:{ports[1]}",
    }.items():
        assert old in config, f"{CONFIG} has no {old}"
        config = config.replace(old, new)
    path = folder / "haproxy.cfg"
    path.write_text(config)
    with (folder / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(
            [str(HAPROXY), "-db", "-f", str(path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def serves() -> bool:
        assert process.poll() is None, (folder / "haproxy.log").read_text()
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return False

    try:
        wait_until(serves)
        yield port
    finally:
        process.terminate()
        process.wait(10)
