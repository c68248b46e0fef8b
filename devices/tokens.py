"""Tokens: `device id . secret` of a device's first phone, `device id, phone id . secret` of others.

Both parts are base64url. The secret is 32 random bytes, 43 characters of text. Two things of it are
stored: its bcrypt hash, which does not depend on SECRET_KEY, and a signature of the whole token,
which is cheap enough to check at every request.
"""

from __future__ import annotations

import base64
import re
import secrets
import uuid

import bcrypt
from django.conf import settings

from devices.signing import Signer

SECRET_BYTES = 32
# 16 or 32 bytes, then 32. The last character of each part has bits to spare, which are zero.
CANONICAL = re.compile(
    r"(?:[\w-]{21}[AQgw]|[\w-]{42}[AEIMQUYcgkosw048])\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII
)

signer = Signer("countonme device token")


def generate(device_id: uuid.UUID, phone_id: uuid.UUID) -> str:
    """Return a new token for a phone of a device: 66 or 87 URL-safe characters."""
    ids = device_id.bytes if phone_id == device_id else device_id.bytes + phone_id.bytes
    return f"{_encode(ids)}.{_encode(secrets.token_bytes(SECRET_BYTES))}"


def parse(token: str) -> tuple[uuid.UUID, uuid.UUID] | None:
    """Return the ids of the device and the phone that a token names; None where it is malformed.

    Only the canonical spelling passes: base64url has several for the same bytes, and a first
    phone's id is not written out.
    """
    if not CANONICAL.fullmatch(token):
        return None
    ids = base64.urlsafe_b64decode(token.partition(".")[0] + "==")
    device_id = uuid.UUID(bytes=ids[:16])
    if len(ids) == 16:
        return device_id, device_id
    phone_id = uuid.UUID(bytes=ids[16:])
    return None if phone_id == device_id else (device_id, phone_id)


def hash_secret(token: str) -> str:
    """Return the bcrypt hash of a token's secret part; takes about a quarter of a second."""
    return bcrypt.hashpw(_secret(token), bcrypt.gensalt(settings.BCRYPT_ROUNDS)).decode()


def check_secret(token: str, hashed: str) -> bool:
    """Return whether a token's secret part has this bcrypt hash; as slow as making one."""
    return bcrypt.checkpw(_secret(token), hashed.encode())


def _secret(token: str) -> bytes:
    return token.partition(".")[2].encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
