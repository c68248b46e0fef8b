"""A phone that calls a live server over HTTP."""

from __future__ import annotations

import http.client
import json
import uuid
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A response. Its status is 0 if the connection was refused, or closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


LOST = Answer(0, {}, b"")


class Phone:
    """A phone with one connection, which is kept alive, and reopened if it was closed."""

    def __init__(self, port: int, token: str = "", timeout: float = 30) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self.token = token
        self.device_id = ""
        self.phone_id = str(uuid.uuid4())

    def __del__(self) -> None:
        self.connection.close()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one request, without retries. Bytes are sent as they are, other bodies as JSON."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            sent["Content-Type"] = "application/json"
        try:
            self.connection.request(method, path, data, sent | (headers or {}))
            response = self.connection.getresponse()
            return Answer(response.status, dict(response.headers.items()), response.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return LOST

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def post(self, path: str, body: Any = None) -> Answer:
        return self.request("POST", path, body)

    def put(self, path: str, body: Any) -> Answer:
        return self.request("PUT", path, body)

    def patch(self, path: str, body: Any) -> Answer:
        return self.request("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    def register(self) -> Phone:
        """Get a token for a new device."""
        self.device_id = self.phone_id
        answer = self.post("/v1/auth/register", {"device_id": self.device_id})
        assert answer.status == 200, answer
        self.token = answer.json()["token"]
        return self

    def get_code(self, *, move: bool = False) -> str:
        """Ask for a pairing code."""
        answer = self.post("/v1/auth/pairing-code", {"move": move})
        assert answer.status == 201, answer
        return str(answer.json()["code"])

    def get_key(self, shown: str | None = None) -> str:
        """Make the device's recovery key, in place of the one that is shown."""
        answer = self.post("/v1/auth/recovery-key", {"recovery_key": shown})
        assert answer.status == 201, answer
        return str(answer.json()["recovery_key"])

    def pair(self, code: str, **body: Any) -> Answer:
        """Try to join a device by a code or a key."""
        answer = self.post("/v1/auth/pair", {"code": code, "phone_id": self.phone_id} | body)
        if answer.status == 200:
            self.token, self.device_id = answer.json()["token"], answer.json()["device_id"]
        return answer

    def on_new_connection(self) -> Phone:
        """Return the same phone with a new connection."""
        phone = Phone(self.connection.port, self.token, self.connection.timeout or 30)
        phone.device_id, phone.phone_id = self.device_id, self.phone_id
        return phone
