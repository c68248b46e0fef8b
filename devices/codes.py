"""Pairing codes and recovery keys: how people write them, and what of them is stored.

A pairing code is twelve letters of the twenty consonants of RFC 8628 (section 6.1), which make no
words and are hard to mistake: 20^12 codes, 52 bits. Its HMAC is stored.

A recovery key is 26 characters of Crockford's base 32 (https://www.crockford.com/base32.html): 25
random ones, 125 bits, and a check character. Its SHA-256 is stored, which outlives SECRET_KEY; 125
random bits can't be guessed from it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata

from devices.signing import Signer

CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"
CODE_LENGTH = 12
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
KEY_LENGTH = 26
LOOKALIKES = str.maketrans("OIL", "011")
# White space, hyphens and what keyboards make of two hyphens.
SEPARATORS = re.compile(r"[\s\-\u00ad\u2010-\u2015\u2212]+")

signer = Signer("countonme pairing code")


def new_code() -> str:
    """Return a new pairing code, without hyphens."""
    return "".join(secrets.choice(CONSONANTS) for _ in range(CODE_LENGTH))


def new_key() -> str:
    """Return a new recovery key, without hyphens."""
    random = "".join(secrets.choice(CROCKFORD) for _ in range(KEY_LENGTH - 1))
    return random + check_character(random)


def check_character(text: str) -> str:
    """Return the last character of a recovery key for those before it.

    It is the sum of their values times 1, 3, 5, …, modulo 32. Odd factors have inverses modulo 32,
    so every single wrong character changes it, and so does nearly every swap of neighbours.
    """
    total = sum((2 * place + 1) * CROCKFORD.index(c) for place, c in enumerate(text))
    return CROCKFORD[total % 32]


def printed_code(code: str) -> str:
    """Return a pairing code as people read it: `BCDF-GHJK-LMNP`."""
    return "-".join(code[start : start + 4] for start in range(0, CODE_LENGTH, 4))


def printed_key(key: str) -> str:
    """Return a recovery key as people read it, in four groups of five characters and one of six."""
    return "-".join([*(key[start : start + 5] for start in range(0, 20, 5)), key[20:]])


def digests(text: str) -> list[str]:
    """Return what could be stored of the code or key that was typed; nothing where it is neither.

    Case, white space and hyphens don't matter. In a key, `O` is 0, `I` and `L` are 1. Of a code
    there is one digest for each known key of ours.
    """
    typed = _without_separators(text)
    if len(typed) == CODE_LENGTH and set(typed) <= set(CONSONANTS):
        return signer.signatures(typed)
    digest = key_digest(typed)
    return [digest] if digest else []


def is_key(text: str) -> bool:
    """Return whether a text is written as a recovery key, with a right check character or not."""
    return len(_without_separators(text)) == KEY_LENGTH


def key_digest(text: str) -> str | None:
    """Return the SHA-256 of the recovery key that was typed, or None where it is none."""
    typed = _without_separators(text).translate(LOOKALIKES)
    if len(typed) != KEY_LENGTH or not set(typed) <= set(CROCKFORD):
        return None
    if check_character(typed[:-1]) != typed[-1]:
        return None
    return hashlib.sha256(typed.encode()).hexdigest()


def _without_separators(text: str) -> str:
    """Return the characters that count of what was typed, in upper case and in their usual width.

    Some keyboards write letters and hyphens of another width.
    """
    return SEPARATORS.sub("", unicodedata.normalize("NFKC", text).upper())
