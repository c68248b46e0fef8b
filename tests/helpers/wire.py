"""HTTP over a plain socket, to send requests that no client library would send."""

from __future__ import annotations

import select
import socket
from typing import IO

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
REGISTER = (
    b"POST /v1/auth/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)


def register(body: bytes = b"{}") -> bytes:
    return REGISTER + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Wire:
    """A connection that sends and receives bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.file: IO[bytes] = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers in lower case, body."""
        status = int(self.file.readline().split()[1])
        headers = {}
        while line := self.file.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self.file.read(int(headers.get("content-length", 0)))

    def is_closed(self) -> bool:
        return self.file.read() == b""

    def has_answer(self) -> bool:
        return bool(select.select([self.socket], [], [], 0)[0])

    def close(self) -> None:
        self.file.close()
        self.socket.close()
