"""Exactly the seed's authentication: bcrypt against one device after another until one fits."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import bcrypt

ROUNDS = 12  # what `passlib.hash.bcrypt`, which the seed calls, takes by default


def register() -> tuple[str, str]:
    """Return a new token and its hash."""
    token = secrets.token_urlsafe(32)
    return token, bcrypt.hashpw(token.encode(), bcrypt.gensalt(ROUNDS)).decode()


def verify_token(token: str, hashes: Iterable[str]) -> bool:
    """Return whether a token is any device's; `hashes` are those of all devices."""
    return any(bcrypt.checkpw(token.encode(), hashed.encode()) for hashed in hashes)
