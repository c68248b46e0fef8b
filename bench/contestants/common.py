"""What contestants need to answer as the project does, without any of the project's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata
import uuid

KEY = hmac.digest(os.environ["SECRET_KEY"].encode(), b"countonme device token", "sha256")
KEY_ID = hashlib.sha256(KEY).hexdigest()[:8]
UNDECOMPOSED = str.maketrans(
    dict(zip("łøđħŧıæœ", ["l", "o", "d", "h", "t", "i", "ae", "oe"], strict=True))
)
# The nutrients of an entry; a product has each per 100 g. All except kcal may be unknown.
NUTRIENTS = ("kcal", "protein", "carbs", "fat", "fiber", "sugars", "saturated_fat", "salt")
OPTIONAL = NUTRIENTS[1:]
MAX_PRODUCTS, MAX_ENTRIES_PER_DAY = 5000, 500


def device_of(authorization: str) -> uuid.UUID | None:
    """Return the id of the device that `Bearer <token>` names, or None where it is malformed."""
    try:
        named = base64.urlsafe_b64decode(authorization[7:].partition(".")[0] + "==")
        return uuid.UUID(bytes=named)
    except ValueError:
        return None


def is_signed(authorization: str, signature: str) -> bool:
    """Return whether the token of `Bearer <token>` has this HMAC."""
    right = f"{KEY_ID}:{hmac.digest(KEY, authorization[7:].encode(), 'sha256').hex()}"
    return hmac.compare_digest(right, signature)


def folded(name: str) -> str:
    """Return the copy of a name that lists are sorted by."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    kept = (c for c in text if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    return "".join(kept).translate(UNDECOMPOSED)


def words(name: str) -> str:
    """Return the copy of a name that searches read."""
    text = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in folded(name))
    return "".join(f" {word}" for word in text.split())
