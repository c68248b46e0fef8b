"""Send calls with one wrong token at a steady rate, until there is something to read on stdin.

`python -m attacks.flood PORT TOKEN RATE`, with the rate in calls a second. It is a process of its
own, so that it does not slow down the process that measures. It prints how many were answered.
"""

from __future__ import annotations

import select
import socket
import sys
import time

CONNECTIONS = 4


def main(port: int, token: str, rate: float) -> None:
    """Send at the rate over a few connections, with at most one request in flight on each."""
    call = b"GET /v1/products HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"
    request = call % token.encode()
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    by_number = {connection.fileno(): connection for connection in connections}
    idle, answered, due = list(connections), 0, time.monotonic()
    with select.epoll() as readable:
        # Registered once, because the server needs the CPU more than the flood.
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
                # Headers and body may arrive separately.
                if by_number[number].recv(65536).endswith(b'"Invalid or expired token"}'):
                    idle.append(by_number[number])
                    answered += 1


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
