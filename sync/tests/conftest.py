"""A live server, and WatermelonDB on phones of one device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from attacks.client import Phone
from sync.tests.phones import join
from sync.tests.replicas import Replica, Replicas
from tests.helpers.node import built_package
from tests.helpers.processes import SERVE, Run, copy_of, first_start

SETTINGS = {
    "REGISTER_THROTTLE": "",
    "PAIR_THROTTLE": "",
    "DEVICE_THROTTLE": "",
    "BCRYPT_ROUNDS": "4",
    "LOG_LEVEL": "WARNING",
}


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the TypeScript package built."""
    return built_package()


@pytest.fixture(scope="session")
def server(node: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A live server on a PostgreSQL of its own."""
    with ExitStack() as ends:
        folder = tmp_path_factory.mktemp("synced")
        data_dir = ends.enter_context(copy_of(first_start(tmp_path_factory), folder))
        run = Run(data_dir, SERVE, **SETTINGS)
        ends.callback(run.kill)
        yield run.wait_until_ready()


@pytest.fixture(scope="session")
def node_process(node: str, server: Run) -> Iterator[Replicas]:
    replicas = Replicas(node, f"http://127.0.0.1:{server.port}")
    yield replicas
    replicas.stop()


@pytest.fixture
def replicas(node_process: Replicas) -> Iterator[Replicas]:
    """The library, which must not complain about anything that a test did not take out."""
    node_process.complaints.clear()
    yield node_process
    assert node_process.complaints == []


@pytest.fixture
def rest(server: Run) -> Phone:
    """A device that was registered now, as its first phone calls it over REST."""
    return Phone(server.port).register()


@pytest.fixture
def one(replicas: Replicas, rest: Phone) -> Replica:
    """The app on the first phone."""
    return replicas.install(rest)


@pytest.fixture
def two(replicas: Replicas, rest: Phone) -> Replica:
    """The app on a second phone of the device."""
    return replicas.install(join(rest))


@pytest.fixture
def three(replicas: Replicas, rest: Phone) -> Replica:
    """The app on a third phone of the device."""
    return replicas.install(join(rest))
