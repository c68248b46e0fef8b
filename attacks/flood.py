"""Calls with one wrong token, so many a second, until stdin ends.

`python -m attacks.flood PORT TOKEN RATE`. A process of its own, so that it takes no turn from
whoever measures. It prints how many were answered.
"""

from __future__ import annotations

import select
import socket
import sys
import time

CONNECTIONS = 4


def main(port: int, token: str, rate: float) -> None:
    """Send at a pace, on some connections, one request in flight on each; read what comes."""
    call = b"GET /v1/products HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"
    request = call % token.encode()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    by_number = {connection.fileno(): connection for connection in connections}
    idle, answered, due = list(connections), 0, time.monotonic()
    with select.epoll() as readable:
        # Registered once: what the flood itself costs is taken from whom it floods.
        for number in (sys.stdin.fileno(), *by_number):
            readable.register(number, select.EPOLLIN)
        while True:
            while idle and time.monotonic() >= due:
                idle.pop().sendall(request)
                due += 1 / rate
            for number, _ in readable.poll(max(0.0, due - time.monotonic()) if idle else None):
                if number not in by_number:
                    print(answered)
                    return
                # Head and body may come apart.
                if by_number[number].recv(65536).endswith(b'"Invalid or expired token"}'):
                    idle.append(by_number[number])
                    answered += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
