"""Calls with one wrong token, so many a second, until stdin ends.

`python -m attacks.flood PORT TOKEN RATE`. A process of its own, so that it takes no turn from
whoever measures. It prints how many were answered.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

CONNECTIONS = 4


def main(port: int, token: str, rate: float) -> None:
    """Send at a pace, on some connections, one request in flight on each; read what comes."""
    call = b"GET /v1/products HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"
    request = call % token.encode()
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    answered, due = 0, time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            while idle and time.monotonic() >= due:
                connection = idle.pop()
                connection.sendall(request)
                selector.register(connection, selectors.EVENT_READ)
                due += 1 / rate
            for key, _ in selector.select(max(0.0, due - time.monotonic()) if idle else None):
                if key.fileobj is sys.stdin:
                    print(answered)
                    return
                assert isinstance(key.fileobj, socket.socket)
                # Head and body may come apart.
                if not key.fileobj.recv(65536).endswith(b'"Invalid or expired token"}'):
                    continue
                selector.unregister(key.fileobj)
                idle.append(key.fileobj)
                answered += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
