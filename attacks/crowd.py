"""Requests at the same moment, each over its own connection, in many rounds."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

from attacks.client import LOST, Answer, Phone
from attacks.servers import Report

SEED = 20250205
THREADS = 16
RICE = {"name": "Rice", "kcal_100g": 130}

# Token, method, path, body.
Call = tuple[str, str, str, Any]


class Crowd:
    """Threads that wait for each other and then send at once, each over its own connection."""

    def __init__(self, port: int) -> None:
        self.own = Phone(port)
        self.calls: list[Call] = []
        self.answers: list[Answer] = []
        # One more than the threads: the test's own thread.
        self.begun, self.done = (threading.Barrier(THREADS + 1, timeout=60) for _ in range(2))
        for number in range(THREADS):
            threading.Thread(target=self.work, args=(number, Phone(port)), daemon=True).start()

    def work(self, number: int, phone: Phone) -> None:
        while True:
            self.begun.wait()
            if not self.calls:
                return
            if number < len(self.calls):
                phone.token, *call = self.calls[number]
                self.answers[number] = phone.request(*call)
            self.done.wait()

    def at_once(self, calls: list[Call]) -> list[Answer]:
        """Send these calls at the same moment, and return their answers."""
        assert len(calls) <= THREADS
        self.calls = calls
        self.answers = [LOST] * len(calls)
        self.begun.wait()
        self.done.wait()
        for call, answer in zip(calls, self.answers, strict=True):
            assert 200 <= answer.status < 500, (call, answer)
        return self.answers

    def leave(self) -> None:
        self.calls = []
        self.begun.wait()

    def send(self, token: str, method: str, path: str, body: Any = None) -> Answer:
        """Send one request alone."""
        self.own.token = token
        answer = self.own.request(method, path, body)
        assert 200 <= answer.status < 500, answer
        return answer

    def get(self, token: str, path: str) -> Any:
        answer = self.send(token, "GET", path)
        assert answer.status == 200, answer
        return answer.json()

    def register(self) -> str:
        """Return the token of a new device."""
        token: str = self.create("", "/v1/auth/register", {"device_id": new_id()})["token"]
        return token

    def create(self, token: str, path: str, body: Any) -> Any:
        answer = self.send(token, "POST", path, body)
        assert answer.status in (200, 201), answer
        return answer.json()

    def code(self, token: str, *, move: bool = False) -> str:
        """Return a new pairing code."""
        code: str = self.create(token, "/v1/auth/pairing-code", {"move": move})["code"]
        return code

    def key(self, token: str) -> str:
        """Return a new recovery key."""
        key: str = self.create(token, "/v1/auth/recovery-key", None)["recovery_key"]
        return key

    def join(self, code: str) -> str:
        """Return the token of a phone that joins by a code or a key; it has not called yet."""
        _, _, path, body = pairing(code)
        token: str = self.create("", path, body)["token"]
        return token

    def add_phone(self, token: str) -> str:
        """Return the token of another phone of the same device."""
        added = self.join(self.code(token))
        self.get(added, "/v1/auth/device")
        return added

    def is_good(self, token: str) -> bool:
        return self.send(token, "GET", "/v1/auth/device").status == 200

    def phones(self, token: str) -> set[str]:
        """Return the ids of the phones that are signed in."""
        return {phone["id"] for phone in self.get(token, "/v1/auth/phones")}

    def product(self, token: str) -> str:
        """Return the id of a new product."""
        product: str = self.create(token, "/v1/products", RICE)["id"]
        return product


def rounds(count: int, report: Report) -> Iterator[random.Random]:
    """Yield a random generator for each round, always the same; report how long all took."""
    began = time.monotonic()
    for number in range(count):
        yield random.Random(SEED + number)
    report(f"{count} rounds in {time.monotonic() - began:.1f} s")


def pairing(code: str, phone_id: str = "", **body: Any) -> Call:
    """Return the call by which a phone joins, a new one if no id is given."""
    return "", "POST", "/v1/auth/pair", {"code": code, "phone_id": phone_id or new_id()} | body


def new_id() -> str:
    return str(uuid.uuid4())


def shuffled(rng: random.Random, calls: list[Call]) -> list[Call]:
    return rng.sample(calls, len(calls))


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)
