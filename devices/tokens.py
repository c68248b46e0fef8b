"""Device tokens: `device id . secret`, each base64url.

The secret is 32 random bytes, 43 characters of text. Stored are its bcrypt hash, which outlives
every key of ours, and an HMAC of the whole token under a key derived from SECRET_KEY, which is
cheap enough for every request. The HMAC is tagged with its key's id, so that a token checked under
a fallback key, or one whose key is gone, is told from a wrong one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import uuid
from functools import lru_cache

import bcrypt
from django.conf import settings

SECRET_BYTES = 32
# 16 and 32 bytes. The last character of each has bits to spare, and they are zero.
CANONICAL = re.compile(r"[\w-]{21}[AQgw]\.[\w-]{42}[AEIMQUYcgkosw048]", re.ASCII)


def generate(device_id: uuid.UUID) -> str:
    """Return a new token for a device: 66 URL-safe characters."""
    return f"{_encode(device_id.bytes)}.{_encode(secrets.token_bytes(SECRET_BYTES))}"


def parse(token: str) -> uuid.UUID | None:
    """Return the id of the device that a token names, or None where it is malformed.

    Only the canonical spelling passes: base64url has several for the same bytes.
    """
    if not CANONICAL.fullmatch(token):
        return None
    return uuid.UUID(bytes=base64.urlsafe_b64decode(token.partition(".")[0] + "=="))


def hash_secret(token: str) -> str:
    """Return the bcrypt hash of a token's secret part; takes about a quarter of a second."""
    return bcrypt.hashpw(_secret(token), bcrypt.gensalt(settings.BCRYPT_ROUNDS)).decode()


def check_secret(token: str, hashed: str) -> bool:
    """Return whether a token's secret part has this bcrypt hash; as slow as making one."""
    return bcrypt.checkpw(_secret(token), hashed.encode())


def sign(token: str) -> str:
    """Return `key id:HMAC` of a token under the current key."""
    keys = _known_keys()
    key_id = next(iter(keys))
    return f"{key_id}:{_hmac(token, keys[key_id])}"


def check_signature(token: str, signature: str) -> bool:
    """Return whether a token has this signature; compares in constant time.

    A signature of a key that is known no more fits no token.
    """
    key_id, _, mac = signature.partition(":")
    key = _known_keys().get(key_id)
    return key is not None and hmac.compare_digest(_hmac(token, key), mac)


def is_known(signature: str) -> bool:
    """Return whether the key that made a signature is the current one or a fallback."""
    return signature.partition(":")[0] in _known_keys()


def is_current(signature: str) -> bool:
    """Return whether a signature was made with the current key."""
    return signature.partition(":")[0] == next(iter(_known_keys()))


def _known_keys() -> dict[str, hmac.HMAC]:
    """Return by id the keys, the current one first: HMACs that have taken in nothing else."""
    return _keys(settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=8)
def _keys(*secret_keys: str) -> dict[str, hmac.HMAC]:
    derived = [
        hmac.digest(key.encode(), b"countonme device token", "sha256") for key in secret_keys
    ]
    return {hashlib.sha256(key).hexdigest()[:8]: hmac.new(key, None, "sha256") for key in derived}


def _hmac(token: str, key: hmac.HMAC) -> str:
    # A copy of what has taken the key in already: half the work.
    mac = key.copy()
    mac.update(token.encode())
    return mac.hexdigest()


def _secret(token: str) -> bytes:
    return token.partition(".")[2].encode()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
