"""Device tokens: `device id . secret`, each base64url.

The secret is 32 random bytes, 43 characters of text. Stored are its bcrypt hash, which outlives
every key of ours, and an HMAC of the whole token under a key derived from SECRET_KEY, which is
cheap enough for every request. The HMAC is tagged with its key's id, so that a token checked under
a fallback key, or one whose key is gone, is told from a wrong one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from functools import lru_cache

import bcrypt
from django.conf import settings

SECRET_BYTES = 32


def generate(device_id: uuid.UUID) -> str:
    """Return a new token for a device: 66 URL-safe characters."""
    return f"{_encode(device_id.bytes)}.{_encode(secrets.token_bytes(SECRET_BYTES))}"


def parse(token: str) -> uuid.UUID | None:
    """Return the id of the device that a token names, or None where it is malformed.

    Only the canonical spelling passes: base64url has several for the same bytes.
    """
    device, _, secret = token.partition(".")
    try:
        raw_device, raw_secret = _decode(device), _decode(secret)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        return None
    if len(raw_device) != 16 or len(raw_secret) != SECRET_BYTES:
        return None
    if (device, secret) != (_encode(raw_device), _encode(raw_secret)):
        return None
    return uuid.UUID(bytes=raw_device)


def hash_secret(token: str) -> str:
    """Return the bcrypt hash of a token's secret part; takes about a quarter of a second."""
    return bcrypt.hashpw(_secret(token), bcrypt.gensalt(settings.BCRYPT_ROUNDS)).decode()


def check_secret(token: str, hashed: str) -> bool:
    """Return whether a token's secret part has this bcrypt hash; as slow as making one."""
    return bcrypt.checkpw(_secret(token), hashed.encode())


def sign(token: str) -> str:
    """Return `key id:HMAC` of a token under the current key."""
    return _sign(token, _known_keys()[0])


def check_signature(token: str, signature: str) -> bool:
    """Return whether a token has this signature; compares in constant time.

    A signature of a key that is known no more fits no token.
    """
    key_id = signature.partition(":")[0]
    return any(
        key[0] == key_id and hmac.compare_digest(_sign(token, key), signature)
        for key in _known_keys()
    )


def is_known(signature: str) -> bool:
    """Return whether the key that made a signature is the current one or a fallback."""
    return signature.partition(":")[0] in {key_id for key_id, _ in _known_keys()}


def is_current(signature: str) -> bool:
    """Return whether a signature was made with the current key."""
    return signature.partition(":")[0] == _known_keys()[0][0]


def _known_keys() -> list[tuple[str, bytes]]:
    return _keys(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=8)
def _keys(*secret_keys: str) -> list[tuple[str, bytes]]:
    """Derive the signing keys, each with its id."""
    derived = [
        hmac.digest(key.encode(), b"countonme device token", "sha256") for key in secret_keys
    ]
    return [(hashlib.sha256(key).hexdigest()[:8], key) for key in derived]


def _sign(token: str, key: tuple[str, bytes]) -> str:
    key_id, secret = key
    return f"{key_id}:{hmac.digest(secret, token.encode(), 'sha256').hex()}"


def _secret(token: str) -> bytes:
    return token.partition(".")[2].encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
