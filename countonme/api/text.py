"""Text: how it is cleaned before it is kept, and folded for order and search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from django.core.exceptions import ValidationError

# Unicode's property White_Space. This and the other tables of characters go into the brackets of a
# regular expression, Python's or PostgreSQL's.
WHITE_SPACE = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Control characters that are no white space, and halves of surrogate pairs.
FORBIDDEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
# What is typed for an apostrophe (Unicode's confusables.txt has most of them under U+0027).
APOSTROPHES = (
    r"'\u0060\u00b4\u02b9\u02bb-\u02bf\u02c8\u02ca\u02cb\u055a\u05f3\u1fbd\u1fbf\u1ffd"
    r"\u2018-\u201b\u2032\u2035\ua78c\uff07\uff40"
)
# Unicode's properties Hyphen and Dash, without the soft hyphen, which is not seen.
HYPHENS = (
    r"\-\u058a\u05be\u1400\u1806\u2010-\u2015\u2053\u207b\u208b\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40"
    r"\u2e5d\u301c\u3030\u30a0\u30fb\ufe31\ufe32\ufe58\ufe63\uff0d\uff65\U00010ead"
)
# Scripts that set no blanks between words, and Hangul with its compounds: what may be broken
# between any two letters, or by a dictionary alone (Unicode Standard Annex 14), by blocks.
UNSPACED = (
    r"\u0e00-\u0eff"  # Thai, Lao
    r"\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Myanmar
    r"\u1780-\u17ff"  # Khmer
    r"\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    r"\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    r"\u2e80-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Han, Hiragana, Katakana, Bopomofo
    r"\U00016fe0-\U0001b2ff\U00020000-\U0003ffff"
)
APOSTROPHE = re.compile(f"[{APOSTROPHES}]")
HYPHEN = re.compile(f"[{HYPHENS}]")
# Kana with a mark that makes another letter of them, as NFKD writes them.
VOICED = re.compile(r"[\u3046-\u30fd][\u3099\u309a]")
# What chooses between glyphs of one character, or keeps characters apart.
SELECTORS = re.compile(r"[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Letters whose stroke or ligature Unicode does not decompose, after case folding.
UNDECOMPOSED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"}
)
# In a folded text: what is no part of a word, and words with what joins their pieces.
SEPARATOR = re.compile(r"[^0-9a-z'&-]+")
JOINERS = re.compile(r"['&-]+")
JOINER = r"(?:'+|(?<!\d)'*[&-]'*(?!\d))"
WORD = re.compile(
    "|".join(
        f"{letters}+(?:{JOINER}{letters}+)*"
        for letters in (rf"[^ '&\-{UNSPACED}]", f"[{UNSPACED}]")
    )
)
IN_UNSPACED_SCRIPT = re.compile(f"[{UNSPACED}]")


def clean(text: str) -> str:
    """Return a text as it is kept: stripped, each run of white space one blank, in NFC.

    Raises:
        ValidationError: it holds a control character that is no white space, or half a pair of
            surrogates.
    """
    if FORBIDDEN.search(text):
        raise ValidationError("Control characters are not allowed.", code="invalid")
    # str.split() takes U+001C to U+001F for white space, which Unicode does not; none is left.
    return unicodedata.normalize("NFC", " ".join(text.split()))


def fold(text: str) -> str:
    """Return a text without case and accents, so that "Crème" and "creme" are the same.

    Compatibility decomposition (NFKD) and full case folding, as Unicode's section 5.18 compares
    without case; then without combining marks, but for those of kana, and without format characters
    such as soft hyphens. All apostrophes and hyphens are `'` and `-`, each run of white space is a
    blank.
    """
    if text.isascii():
        return " ".join(text.lower().replace("`", "'").split())
    # First the apostrophes: NFKD makes a blank with an accent of some.
    text = unicodedata.normalize("NFKD", APOSTROPHE.sub("'", text)).casefold()
    text = SELECTORS.sub("", unicodedata.normalize("NFKD", text))
    text = VOICED.sub(lambda pair: unicodedata.normalize("NFC", pair[0]), text)
    text = HYPHEN.sub("-", APOSTROPHE.sub("'", text))
    bare = "".join(
        c
        for c in text
        if not unicodedata.combining(c) and unicodedata.category(c) not in ("Cf", "Me")
    )
    return " ".join(unicodedata.normalize("NFC", bare.translate(UNDECOMPOSED)).split())


def compounds(text: str) -> Iterator[list[str]]:
    """Yield the folded words of a text, each as a list of its pieces.

    The one word of "Coca-Cola's" has the pieces `coca`, `cola` and `s`.

    A word is a run of letters, digits and marks, with apostrophes in it, and hyphens and ampersands
    between letters. It ends where a script without blanks begins or ends.
    """
    folded = fold(text)
    if folded.isascii():
        folded = SEPARATOR.sub(" ", folded)
    else:
        folded = "".join(
            c if c in "'&-" or unicodedata.category(c)[0] in "LNM" else " " for c in folded
        )
    for word in WORD.findall(folded):
        pieces = [piece for piece in JOINERS.split(word) if any(map(str.isalnum, piece))]
        if pieces:
            yield pieces


def words(text: str) -> list[str]:
    """Return the words that a name is found by the start of.

    Of Coca-Cola these are `coca` and `cola`, and joined `cocacola`: each piece, and all from it to
    the end.
    """
    found = []
    for pieces in compounds(text):
        for start, piece in enumerate(pieces):
            found.append(piece)
            if pieces[start + 1 :]:
                found.append("".join(pieces[start:]))
    return found


def is_unspaced(word: str) -> bool:
    """Return whether a word of `compounds()` is of a script without blanks: found anywhere."""
    return IN_UNSPACED_SCRIPT.match(word) is not None
