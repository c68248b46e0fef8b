"""A model of the phones of one device, in plain Python: who may call, and who may join.

It implements what the contract promises, shares no code with the project, and knows no time:
nothing expires.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

MAX_PHONES = 8


class Refused(Exception):
    """A call that the contract refuses: a status and the `detail` of the answer."""


def unknown_code() -> Refused:
    return Refused(404, "Code not found or expired")


@dataclass
class Phone:
    """A phone that is or was signed in."""

    id: str
    name: str | None
    token: str = ""
    # The one before the last rotation, until the new one is used.
    previous: str = ""
    is_live: bool = True
    # Until its first token is used: the code or key by which it joined, and the phone that goes.
    joined_by: str = ""
    replaces: str = ""


@dataclass
class Household:
    """A device with its phones, the oldest first, its code and its recovery keys."""

    id: str
    phones: dict[str, Phone] = dataclasses.field(default_factory=dict)
    code: str = ""
    asked_by: str = ""
    is_move: bool = False
    # All are good, the oldest first; the present one is `present`.
    keys: list[str] = dataclasses.field(default_factory=list)
    present: str = ""

    def live(self) -> list[Phone]:
        return [phone for phone in self.phones.values() if phone.is_live]

    def phone(self, id: str) -> Phone:
        found = self.phones.get(id)
        if found is None or not found.is_live:
            raise Refused(404, "Phone not found")
        return found

    def of_token(self, token: str, *, rotates: bool = False) -> Phone | None:
        """Return the phone that may call with a token; as it rotates, with the one before too."""
        for phone in self.live():
            if token == phone.token or (rotates and token == phone.previous):
                return phone
        return None

    def called(self, phone: Phone, token: str) -> None:
        """Note a call: the token before ends with it, and so does joining."""
        if token == phone.token:
            phone.previous = ""
        if phone.joined_by:
            gone, phone.joined_by, phone.replaces = phone.replaces, "", ""
            if gone and self.phones[gone].is_live:
                self.sign_out(self.phones[gone])

    def rotated(self, phone: Phone, used: str, new: str) -> None:
        phone.token, phone.previous = new, used

    def sign_out(self, phone: Phone) -> None:
        phone.is_live = False
        phone.token = phone.previous = phone.joined_by = phone.replaces = ""
        if self.asked_by == phone.id:
            self.code = ""

    def rename(self, id: str, name: str | None) -> Phone:
        phone = self.phone(id)
        phone.name = name
        return phone

    def leave(self, id: str) -> None:
        phone = self.phone(id)
        if self.live() == [phone]:
            raise Refused(409, "Erase the device instead")
        self.sign_out(phone)

    def ask_for_code(self, phone: Phone, code: str, *, is_move: bool) -> None:
        self.code, self.asked_by, self.is_move = code, phone.id, is_move

    def withdraw_key(self, shown: str | None) -> None:
        if shown:
            if shown not in self.keys:
                raise Refused(409, "Not the device's recovery key")
            del self.keys[self.keys.index(shown) :]
        self.present = ""

    def has_key(self, key: str) -> None:
        self.keys.append(key)
        self.present = key

    def admits(self, secret: str, phone_id: str) -> bool:
        """Return whether a code or a key is any good here, for a phone of this id."""
        return bool(secret) and (
            secret == self.code or secret in self.keys or self.is_joining(secret, phone_id)
        )

    def is_joining(self, secret: str, phone_id: str) -> bool:
        phone = self.phones.get(phone_id)
        return phone is not None and phone.joined_by == secret

    def join(self, secret: str, phone_id: str, name: str | None, *, revoke_others: bool) -> Phone:
        """Have a phone join by a code or a key that is any good; it has no token yet."""
        again = self.is_joining(secret, phone_id)
        if revoke_others and secret not in self.keys:
            raise unknown_code()
        if not again and phone_id in self.phones:
            raise Refused(409, "ID already in use")
        if revoke_others:
            for other in self.live():
                if other.id != phone_id:
                    self.sign_out(other)
            self.code = ""
            del self.keys[self.keys.index(secret) + 1 :]
            self.present = secret
        if not again:
            if len(self.live()) >= MAX_PHONES:
                raise Refused(409, "A device has at most 8 phones")
            self.phones[phone_id] = Phone(phone_id, name, joined_by=secret)
            if secret == self.code:
                self.phones[phone_id].replaces = self.asked_by if self.is_move else ""
                self.code = ""
        self.phones[phone_id].name = name
        return self.phones[phone_id]

    def listed(self, caller: Phone) -> list[dict[str, object]]:
        """Return the answer to a phone that lists the phones, without times."""
        return [
            {"id": phone.id, "name": phone.name, "is_current": phone is caller}
            for phone in self.live()
        ]
