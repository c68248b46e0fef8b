"""The phones of one device, which repeat each call until it is answered."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

from attacks.client import LOST, Phone

MOST = 6


class Household(threading.Thread):
    """Phones that join, move, rotate, recover and sign out all the time.

    It records which of them are signed in, and every unexpected answer.
    """

    def __init__(self, phone: Phone, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.device_id = phone.device_id
        self.phones = [phone]
        self.random = random.Random(seed)
        self.stop = stop
        # How many phones ever joined, and how many calls were answered or repeated.
        self.joined = 1
        self.answered = 0
        self.repeated = 0
        self.surprises: list[str] = []

    def run(self) -> None:
        actions = [self.add, self.add, self.move, self.rotate, self.sign_out, self.recover]
        try:
            while not self.stop.is_set():
                self.random.choice(actions)()
        except Exception as error:
            self.surprises.append(repr(error))

    def call(
        self, phone: Phone, method: str, path: str, body: Any, first: int, *repeated: int
    ) -> Any:
        """Send a request until it is answered, and check the status.

        Args:
            first: the status for the first attempt.
            repeated: what later attempts may be answered besides `first`.
        """
        deadline = time.monotonic() + 60
        expected = {first}
        while time.monotonic() < deadline:
            answer = phone.request(method, path, body)
            if answer.status in expected:
                self.answered += 1
                return answer.json() if answer.body else None
            if answer != LOST and (answer.status != 503 or "Retry-After" not in answer.headers):
                raise AssertionError(f"{method} {path}: {answer}")
            expected = {first, *repeated}
            self.repeated += 1
            self.stop.wait(0.02)
        raise AssertionError(f"{method} {path} was never answered")

    def any_phone(self) -> Phone:
        return self.random.choice(self.phones)

    def pair(self, code: str, **body: Any) -> Phone:
        """Have a new phone join, which sometimes repeats what was answered, and then call."""
        phone = Phone(self.phones[0].connection.port)
        body |= {"code": code, "phone_id": phone.phone_id}
        for _ in range(self.random.choice([1, 1, 2])):
            phone.token = self.call(phone, "POST", "/v1/auth/pair", body, 200)["token"]
        me = self.call(phone, "GET", "/v1/auth/device", None, 200)
        assert me["phone_id"] == phone.phone_id, me
        self.joined += 1
        return phone

    def code(self, phone: Phone, *, move: bool) -> str:
        answer = self.call(phone, "POST", "/v1/auth/pairing-code", {"move": move}, 201)
        return str(answer["code"])

    def add(self) -> None:
        if len(self.phones) < MOST:
            self.phones.append(self.pair(self.code(self.any_phone(), move=False)))

    def move(self) -> None:
        old = self.any_phone()
        self.phones.append(self.pair(self.code(old, move=True)))
        self.call(old, "GET", "/v1/auth/device", None, 401)
        self.phones.remove(old)

    def rotate(self) -> None:
        phone = self.any_phone()
        phone.token = self.call(phone, "POST", "/v1/auth/rotate", None, 200)["token"]
        if self.random.random() < 0.5:
            self.call(phone, "GET", "/v1/products", None, 200)

    def sign_out(self) -> None:
        if len(self.phones) > 1:
            phone, by = self.random.sample(self.phones, 2)
            path = f"/v1/auth/phones/{phone.phone_id}"
            # A repeated one finds nothing if the first was done but its answer was lost.
            self.call(by, "DELETE", path, None, 204, 404)
            self.call(phone, "GET", "/v1/auth/device", None, 401)
            self.phones.remove(phone)

    def recover(self) -> None:
        answer = self.call(self.any_phone(), "POST", "/v1/auth/recovery-key", None, 201)
        self.phones = [self.pair(answer["recovery_key"], revoke_others=True)]

    def assert_as_expected(self) -> None:
        """The phones are those that are signed in, and no other ever was."""
        for phone in self.phones:
            listed = self.call(phone, "GET", "/v1/auth/phones", None, 200)
            assert {row["id"] for row in listed} == {phone.phone_id for phone in self.phones}
