"""What `deploy/nginx.conf` does to requests and answers, and what it answers itself."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.helpers.nginx import NGINX, Deployed, Nginx
from tests.helpers.processes import copy_of, wait_until
from tests.helpers.wire import HEALTH, REGISTER, Wire, register

MIB = 1024 * 1024

pytestmark = [
    pytest.mark.skipif(not NGINX, reason="nginx is not installed"),
    pytest.mark.long,
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run(
        [*request, "-keyout", "privkey.pem", "-out", "fullchain.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def server(
    first: Path, tmp_path_factory: pytest.TempPathFactory, certificate: Path
) -> Iterator[Deployed]:
    with copy_of(first, tmp_path_factory.mktemp("nginx")) as data_dir:
        deployed = Deployed(data_dir, certificate, REGISTER_THROTTLE="2/day")
        try:
            yield deployed.wait_until_ready()
        finally:
            deployed.kill()


@pytest.fixture
def wire(server: Deployed) -> Iterator[Wire]:
    with closing(Wire(server.port)) as wire:
        yield wire


def get(path: bytes, *headers: bytes) -> bytes:
    lines = (b"GET %b HTTP/1.1" % path, b"Host: localhost", *headers, b"", b"")
    return b"\r\n".join(lines)


SYNC = REGISTER.replace(b"/auth/register", b"/sync")
SYNC += b"Content-Length: %d\r\n\r\n" % (2 * MIB) + b" " * 2 * MIB


def test_it_works(wire: Wire) -> None:
    for _ in range(3):
        wire.send(HEALTH)
        assert wire.answer()[0::2] == (200, b'{"ok": true}')


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"no HTTP at all\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (get(b"/health", b"Content-Length: 1", b"Content-Length: 2"), 400),
        (get(b"/error"), 404),
        (b"TRACE /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (REGISTER + b"Content-Length: %d\r\n\r\n" % (MIB + 1), 413),
        (get(b"/v1/products?search=" + b"a" * 9000), 414),
        (get(b"/health", b"X-Padding: " + b"a" * 9000), 431),
        # A few bytes less than nginx accepts by default, and more than gunicorn accepts.
        (get(b"/v1/products?search=" + b"a" * 8155), 414),
        (get(b"/health", b"X-Padding: " + b"a" * 8178), 431),
        (get(b"/health", *[b"X-Padding: " + b"a" * 7000] * 20), 431),
        (REGISTER + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    ],
)
def test_what_nginx_refuses_is_json(wire: Wire, request_: bytes, status: int) -> None:
    wire.send(request_)
    answered, headers, body = wire.answer()
    assert answered == status
    assert headers["content-type"] == "application/json"
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert "retry-after" not in headers
    assert set(json.loads(body)) == {"detail"}


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Nginx]:
    """nginx without gunicorn, which takes the client's address from a header."""
    believing = "server_tokens off; set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;"
    nginx = Nginx(tmp_path, "unix:nowhere", changes={"server_tokens off;": believing})
    yield nginx
    nginx.stop()


@pytest.mark.parametrize("request_", [get(b"/v1/products"), SYNC])
def test_without_gunicorn_the_answer_is_503(alone: Nginx, request_: bytes) -> None:
    with closing(Wire(alone.port)) as wire:
        wire.send(request_)
        status, headers, body = wire.answer()
    assert (status, headers["retry-after"]) == (503, "2")
    assert json.loads(body) == {"detail": "Service temporarily unavailable"}


@pytest.mark.parametrize(
    ("addresses", "status"),
    [
        (["192.0.2.1"] * 101, 429),
        ([f"2001:db8::{n:x}" for n in range(1, 102)], 429),
        ([f"192.0.2.{n}" for n in range(1, 102)], 503),
        ([f"2001:db8:0:{n:x}::1" for n in range(1, 102)], 503),
    ],
)
def test_a_line_has_at_most_100_requests_under_way(
    alone: Nginx, addresses: list[str], status: int
) -> None:
    """A line is an IPv4 address or an IPv6 /64."""
    *many, last = addresses
    with ExitStack() as ends:
        for address in many:
            wire = ends.enter_context(closing(Wire(alone.port)))
            head = REGISTER + b"X-Real-IP: %b\r\nContent-Length: 9\r\n\r\n" % address.encode()
            wire.send(head)
        wire = ends.enter_context(closing(Wire(alone.port)))
        time.sleep(0.2)  # nginx has several processes; all have read their headers by then
        wire.send(get(b"/v1/products", b"X-Real-IP: " + last.encode()))
        answered, headers, body = wire.answer()
    assert (answered, headers["retry-after"]) == (status, "2")
    assert set(json.loads(body)) == {"detail"}


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/v1/sync", 2 * MIB, 401),
        ("/v1/sync", 33 * MIB, 413),
        ("/v1/import", 2 * MIB, 401),
        ("/v1/import", 33 * MIB, 413),
        ("/v1/products", 2 * MIB, 413),
    ],
)
def test_a_sync_and_an_import_alone_may_be_larger(
    server: Deployed, path: str, size: int, status: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with closing(connection):
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        if status == 401:
            connection.send(b" " * size)
        response = connection.getresponse()
        assert response.status == status
        assert set(json.load(response)) == {"detail"}


def test_a_large_body_that_is_refused_unread_gets_the_apps_own_answer(server: Deployed) -> None:
    """If gunicorn closed while nginx is sending, some of the answers would be nginx's 503."""
    headers, seen = {"Content-Type": "application/json"}, set()
    for _ in range(60):
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as phone:
            phone.request("POST", "/v1/sync?last_pulled_at=0", b" " * 2 * MIB, headers)
            seen.add(phone.getresponse().status)
    assert seen == {401}


def test_nginx_gives_a_body_of_unknown_length_a_length(wire: Wire) -> None:
    wire.send(REGISTER + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    assert wire.answer()[0] in (422, 429)


def test_an_answer_has_the_id_that_stands_in_the_logs(server: Deployed, wire: Wire) -> None:
    wire.send(get(b"/health?secret", b"X-Request-ID: chosen-by-the-client"))
    request_id = wire.answer()[1]["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    wait_until(lambda: request_id in server.nginx.log and request_id in server.output)
    [line] = [line for line in server.nginx.log.splitlines() if request_id in line]
    assert re.fullmatch(rf'\S+ 127\.0\.0\.1 {request_id} "GET /health" 200 12 B [\d.]+ s', line)
    assert f'{request_id} "GET /health" 200 ' in server.output
    assert "secret" not in server.nginx.log


def test_addresses_that_a_client_names_do_not_count(server: Deployed) -> None:
    """Registrations are counted by the address that nginx sees."""
    statuses = []
    for number in range(4):
        with closing(Wire(server.port)) as wire:
            body = json.dumps({"device_id": str(uuid.uuid4())}).encode()
            named = b"X-Forwarded-For: 192.0.2.%d\r\n" % number
            wire.send(register(body).replace(b"Host:", named + b"Host:", 1))
            statuses.append(wire.answer()[0])
    assert statuses[-1] == 429


def test_no_header_moves_a_request_to_another_path(server: Deployed) -> None:
    """gunicorn trusts all headers that come over its Unix socket; nginx must not pass these."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(server.socket))
        client.sendall(get(b"/health", b"SCRIPT_NAME: /health", b"PATH_INFO: /docs"))
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
    with closing(Wire(server.port)) as wire:
        wire.send(get(b"/health", b"SCRIPT_NAME: /health"))
        assert wire.answer()[0] == 200


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("kind", ["nginx", "gunicorn"])
def test_expect_100_continue_is_answered_once_and_in_http_1_0_never(
    server: Deployed, kind: str, version: bytes
) -> None:
    head = REGISTER.replace(b"HTTP/1.1", b"HTTP/" + version)
    head += b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    if kind == "gunicorn":
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(server.socket))
    else:
        client = socket.create_connection(("127.0.0.1", server.port))
    with client:
        client.settimeout(10)
        client.sendall(head)
        told = client.recv(4096) if version == b"1.1" else b""
        assert told == (b"HTTP/1.1 100 Continue\r\n\r\n" if version == b"1.1" else b"")
        client.sendall(b"{}")
        rest = b"".join(iter(lambda: client.recv(4096), b""))
    assert re.match(rb"HTTP/1\.[01] 4(22|29) ", rest)
    assert b" 100 " not in rest


class OverTls(Wire):
    def __init__(self, port: int) -> None:
        super().__init__(port)
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")


def test_https_is_what_nginx_says_it_is(prepared: Path, certificate: Path) -> None:
    deployed = Deployed(prepared, certificate, HTTPS="true").wait_until_ready()
    try:
        with closing(OverTls(deployed.nginx.tls_port)) as secure:
            secure.send(get(b"/v1/products", b"X-Forwarded-Proto: http"))
            status, headers, _ = secure.answer()
            assert (status, "strict-transport-security" in headers) == (401, True)
        with closing(Wire(deployed.port)) as plain:
            plain.send(get(b"/v1/products", b"X-Forwarded-Proto: https"))
            status, headers, _ = plain.answer()
            assert (status, headers["location"]) == (301, "https://localhost/v1/products")
    finally:
        deployed.kill()
