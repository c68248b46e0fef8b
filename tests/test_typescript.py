"""The app developer's package, clients/typescript: its own tests, its examples, its guides."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from playwright.sync_api import Route

from tests.helpers.chromium import needs_chromium, started_chromium
from tests.helpers.node import NODE_PROJECT, built_package
from tests.helpers.processes import ROOT, SERVE, Run, copy_of

pytestmark = pytest.mark.long

GUIDES = [ROOT / "docs" / "sync.md", ROOT / "docs" / "phones.md", NODE_PROJECT / "README.md"]
# A page with the package in it. Browsers have Web Locks on localhost, and else with HTTPS alone.
ORIGIN = "http://localhost"
PAGE = """<!doctype html><script type="importmap">
{"imports": {"openapi-fetch": "/node_modules/openapi-fetch/dist/index.mjs"}}
</script><script type="module">
import { CountOnMe } from '/dist/index.js'
import { indexedDbStore } from '/build/examples/indexeddb-store.js'
window.client = new CountOnMe({ server: 'SERVER', store: indexedDbStore })
</script>"""
NO_THROTTLES = {"REGISTER_THROTTLE": "", "PAIR_THROTTLE": "", "BCRYPT_ROUNDS": "4"}


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with package, tests and examples compiled: so their types are checked."""
    program = built_package()
    compiled = subprocess.run(
        ["npm", "run", "--silent", "check"],
        cwd=NODE_PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert compiled.returncode == 0, compiled.stdout
    return program


@pytest.fixture(scope="module")
def server(node: str, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a live server."""
    with copy_of(first, tmp_path_factory.mktemp("typescript")) as data_dir:
        run = Run(data_dir, SERVE, **NO_THROTTLES).wait_until_ready()
        yield f"http://127.0.0.1:{run.port}"
        run.terminate()


def run_node(node: str, server: str, *arguments: str) -> str:
    """Run a program of the package against the server, and return its output."""
    done = subprocess.run(
        [node, *arguments],
        cwd=NODE_PROJECT,
        env=os.environ | {"COUNTONME_URL": server},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests_pass(node: str, server: str) -> None:
    files = sorted(str(path) for path in (NODE_PROJECT / "build" / "test").glob("*.test.js"))
    report = run_node(node, server, "--test", "--test-timeout=60000", *files)
    counts = dict(re.findall(r"^# (\w+) (\d+)$", report, re.M))
    assert int(counts["pass"]) == int(counts["tests"]) >= len(files) > 0, report


def test_the_example_comes_from_nothing_to_a_synced_meal(node: str, server: str) -> None:
    *_, said = run_node(node, server, "build/examples/diary.js").splitlines()
    assert re.fullmatch(r"Chicken .*: 247\.5 kcal\. The server has 247\.5 kcal today\.", said), said


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_code_in_a_guide_stands_in_an_example(guide: Path) -> None:
    """Examples are checked by the compiler, and one of them runs: so is what guides print."""
    examples = NODE_PROJECT.glob("examples/**/*.ts*")
    lines = {line.strip() for path in examples for line in path.read_text().splitlines()}
    for code in re.findall(r"^ *```tsx?\n(.*?)^ *```$", guide.read_text(), re.M | re.S):
        for line in dedent(code).splitlines():
            assert line.strip() in lines | {""}, f"{guide.name}: {line}"


@needs_chromium
def test_two_tabs_register_one_device_and_follow_each_others_rotation(
    node: str, server: str
) -> None:
    def serve(route: Route) -> None:
        path = NODE_PROJECT / route.request.url.removeprefix(f"{ORIGIN}/")
        if path == NODE_PROJECT:
            route.fulfill(body=PAGE.replace("SERVER", server), content_type="text/html")
        else:
            route.fulfill(path=path, content_type="text/javascript")

    with started_chromium() as browser:
        # Chromium asks the person before a page calls this machine, but for one that it has served.
        context = browser.new_context(permissions=["local-network-access"])
        context.route(f"{ORIGIN}/**", serve)
        calls: list[str] = []
        context.on("request", lambda request: calls.append(request.url))
        tabs = [context.new_page() for _ in range(2)]
        for tab in tabs:
            tab.goto(f"{ORIGIN}/")
            tab.wait_for_function("window.client")
        # Both tabs wait for the lock, so that both have seen that nothing is stored.
        tabs[0].evaluate(
            """server => new Promise(held => navigator.locks.request(
                `countonme ${server}`, () => new Promise(release => held(window.release = release))
            )).then(() => null)""",
            server,
        )
        for tab in tabs:
            tab.evaluate("() => { window.phone = client.phone() }")
        tabs[0].evaluate("() => release()")
        phones = [tab.evaluate("() => phone") for tab in tabs]
        assert phones[0] == phones[1]
        assert phones[0].get("data"), phones
        assert calls.count(f"{server}/v1/auth/register") == 1

        for tab in tabs:
            tab.evaluate("() => { window.rotated = client.rotate() }")
        answers = [tab.evaluate("() => rotated.then(({ error }) => error)") for tab in tabs]
        statuses = "() => client.api.GET('/v1/auth/device').then(({ response }) => response.status)"
        assert (answers, [tab.evaluate(statuses) for tab in tabs]) == ([None] * 2, [200] * 2)
