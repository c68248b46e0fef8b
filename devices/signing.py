"""HMACs under keys derived from SECRET_KEY, each tagged with its key's id.

The tag says under which key a signature was made: the current one, one of SECRET_KEY_FALLBACKS, or
one that is gone.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

from django.conf import settings


class Signer:
    """Signs texts for one purpose. A signature for one purpose is worth nothing for another."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose

    def sign(self, text: str) -> str:
        """Return `key id:HMAC-SHA256` of a text under the current key: 73 characters."""
        return self.signatures(text)[0]

    def signatures(self, text: str) -> list[str]:
        """Return the signatures of a text under all known keys, the current one first."""
        return [f"{key_id}:{_hmac(text, key)}" for key_id, key in self._keys().items()]

    def check(self, text: str, signature: str) -> bool:
        """Return whether a text has this signature; compares in constant time.

        A signature under a key that is gone fits no text.
        """
        key_id, _, mac = signature.partition(":")
        key = self._keys().get(key_id)
        return key is not None and hmac.compare_digest(_hmac(text, key), mac)

    def is_known(self, signature: str) -> bool:
        """Return whether a signature was made under the current key or a fallback."""
        return signature.partition(":")[0] in self._keys()

    def is_current(self, signature: str) -> bool:
        """Return whether a signature was made under the current key."""
        return signature.partition(":")[0] == next(iter(self._keys()))

    def _keys(self) -> dict[str, hmac.HMAC]:
        return _keys(self.purpose, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=8)
def _keys(purpose: str, *secret_keys: str) -> dict[str, hmac.HMAC]:
    """Return the keys by their ids: HMACs that have taken in nothing but the key."""
    derived = [hmac.digest(key.encode(), purpose.encode(), "sha256") for key in secret_keys]
    return {hashlib.sha256(key).hexdigest()[:8]: hmac.new(key, None, "sha256") for key in derived}


def _hmac(text: str, key: hmac.HMAC) -> str:
    # A copy has taken in the key already, which is half of the work.
    mac = key.copy()
    mac.update(text.encode())
    return mac.hexdigest()
