"""Replicas for tests: diaries of the TypeScript package under Node, over a pipe."""

from __future__ import annotations

import json
import select
import subprocess
from dataclasses import dataclass
from typing import Any

from attacks.client import Phone
from tests.helpers.node import NODE_PROJECT
from tests.helpers.processes import ROOT

PAGE = ROOT / "docs" / "sync.md"
TABLES = (
    *("products", "portions", "recipe_items", "food_entries"),
    *("goals", "body_weights", "water_entries"),
)

Rows = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True)
class Synced:
    """How a sync ended, and the requests that it made."""

    rejected: dict[str, dict[str, str]]
    error: dict[str, Any] | None
    requests: list[dict[str, Any]]

    @property
    def pushes(self) -> list[int]:
        return [sent["status"] for sent in self.requests if sent["method"] == "POST"]

    @property
    def strategies(self) -> list[str | None]:
        return [sent["strategy"] for sent in self.requests if sent["method"] == "GET"]


class Replicas:
    """One Node process, and in it any number of replicas that sync with one server."""

    def __init__(self, node: str, server: str) -> None:
        self.process = subprocess.Popen(
            [node, NODE_PROJECT / "test" / "replicas.mjs", server],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.installed = 0
        self.complaints: list[str] = []

    def stop(self) -> None:
        self.process.communicate(timeout=10)

    def tell(self, do: str, **command: Any) -> Any:
        """Give a command, and return what came of it."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"do": do, **command}) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 60)
        assert ready, f"no answer to {do}"
        answer = json.loads(self.process.stdout.readline())
        self.complaints += answer["complaints"]
        assert "failed" not in answer, answer["failed"]
        return answer["result"]

    def install(self, phone: Phone, **version: Any) -> Replica:
        """Return an app that was just installed on a phone.

        Args:
            version: what its diary has otherwise than the package's.
        """
        self.installed += 1
        replica = Replica(self, f"replica {self.installed}", phone)
        replica.tell("install", token=phone.token, device=phone.device_id, **version)
        return replica


@dataclass
class Replica:
    """An app on a phone: a database of its own, and what the phone's owner does with it."""

    replicas: Replicas
    name: str
    phone: Phone

    def tell(self, do: str, **command: Any) -> Any:
        return self.replicas.tell(do, replica=self.name, **command)

    def create(self, table: str, id: str = "", **values: Any) -> str:
        """Create a record, under an id of the app's own making where none is given."""
        created: str = self.tell("create", table=table, id=id, values=values)
        return created

    def update(self, table: str, id: str, **values: Any) -> None:
        self.tell("update", table=table, id=id, values=values)

    def delete(self, table: str, id: str) -> None:
        self.tell("delete", table=table, id=id)

    def call(self, table: str, id: str, method: str, *args: Any) -> Any:
        """Call a method of a record's model."""
        return self.tell("call", table=table, id=id, method=method, args=list(args))

    def set_goal(self, targets: dict[str, int] | None = None, **values: Any) -> str:
        """Set a goal as an app does it."""
        goal: str = self.tell("set_goal", values=values, targets=targets)
        return goal

    def aim(self, id: str, **targets: int) -> None:
        """Change the targets of a goal as an app does it."""
        self.tell("aim", id=id, targets=targets)

    def try_sync(self, push: str = "") -> Synced:
        """Sync, with an accident to the first push: "lost", "leaves" (it fails to)."""
        return Synced(**self.tell("sync", push=push))

    def sync(self) -> Synced:
        """Sync, which must succeed with nothing rejected."""
        synced = self.try_sync()
        assert (synced.error, synced.rejected) == (None, {}), synced
        return synced

    def pull_and_wait(self) -> None:
        """Begin to sync, up to just before the push."""
        assert self.tell("sync", push="waits") == "waiting"

    def go_on(self) -> Synced:
        """Push, and end the sync."""
        return Synced(**self.replicas.tell("go_on"))

    def rows(self) -> Rows:
        """Return what the app shows, by table and id."""
        rows: Rows = self.tell("dump")
        return rows

    def unsynced(self) -> dict[str, list[str]]:
        """Return the ids of what is still to be pushed, by table."""
        found: dict[str, list[str]] = self.tell("unsynced")
        return found

    def upgrade(self, **version: Any) -> None:
        """Put another version of the app in the place of this one."""
        self.tell("upgrade", **version)

    def go_on_as(self, phone: Phone) -> None:
        """Use the token of a phone with the database as it is."""
        self.phone = phone
        self.tell("set_token", token=phone.token, device=phone.device_id)

    def join(self, phone: Phone) -> None:
        """Take the rows along to the device of a phone, whose token is used from then on."""
        self.phone = phone
        self.tell("join", token=phone.token, device=phone.device_id)

    def discard(self, rejected: dict[str, dict[str, str]]) -> None:
        self.tell("give_up", rejected=rejected)
