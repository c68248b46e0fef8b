"""How text is cleaned before it is stored, and folded for sorting and search."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from django.core.exceptions import ValidationError

# Unicode's property White_Space. This and the tables below go into the brackets of a regular
# expression, in Python or PostgreSQL.
WHITE_SPACE = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Control characters that are no white space, and halves of surrogate pairs.
FORBIDDEN = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
# Characters typed for an apostrophe (Unicode's confusables.txt has most of them under U+0027).
APOSTROPHES = (
    r"'\u0060\u00b4\u02b9\u02bb-\u02bf\u02c8\u02ca\u02cb\u055a\u05f3\u1fbd\u1fbf\u1ffd"
    r"\u2018-\u201b\u2032\u2035\ua78c\uff07\uff40"
)
# Unicode's properties Hyphen and Dash, without the soft hyphen, which is invisible.
HYPHENS = (
    r"\-\u058a\u05be\u1400\u1806\u2010-\u2015\u2053\u207b\u208b\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40"
    r"\u2e5d\u301c\u3030\u30a0\u30fb\ufe31\ufe32\ufe58\ufe63\uff0d\uff65\U00010ead"
)
# Scripts without spaces between words, and Hangul, which has compounds: a line of them may break
# between any two letters, or only a dictionary knows where (Unicode Standard Annex 14). By blocks.
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
# Kana with a mark that makes them another letter, as NFKD decomposes them.
VOICED = re.compile(r"[\u3046-\u30fd][\u3099\u309a]")
# Variation selectors, and the combining grapheme joiner.
SELECTORS = re.compile(r"[\u034f\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Letters with a stroke, and ligatures, that Unicode does not decompose; after case folding.
UNDECOMPOSED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"}
)
# In a folded text: what separates words, what joins the pieces of a word, and a whole word.
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
    """Return a text as it is stored: stripped, each run of white space one space, in NFC.

    Raises:
        ValidationError: it has a control character that is not white space, or half of a surrogate
            pair.
    """
    if FORBIDDEN.search(text):
        raise ValidationError("Control characters are not allowed.", code="invalid")
    # str.split() also splits at U+001C to U+001F, which are refused above.
    return unicodedata.normalize("NFC", " ".join(text.split()))


def fold(text: str) -> str:
    """Return a text without case and accents, so that "Crème" and "creme" are the same.

    It is decomposed (NFKD) and its case is folded in full, as section 5.18 of the Unicode Standard
    compares texts without case. Combining marks are removed, except those of kana, and so are
    format characters such as soft hyphens. Every apostrophe becomes `'`, every hyphen `-`, and each
    run of white space one space.
    """
    if text.isascii():
        return " ".join(text.lower().replace("`", "'").split())
    # Apostrophes come first, because NFKD turns some of them into a space with an accent.
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
    between letters. A word also ends where a script without spaces begins or ends.
    """
    folded = fold(text)
    if folded.isascii():
        folded = SEPARATOR.sub(" ", folded)
        if not JOINERS.search(folded):
            # By far the most names: the same as below, in a third of the time.
            yield from ([word] for word in folded.split())
            return
    else:
        folded = "".join(
            c if c in "'&-" or unicodedata.category(c)[0] in "LNM" else " " for c in folded
        )
    for word in WORD.findall(folded):
        pieces = [piece for piece in JOINERS.split(word) if any(map(str.isalnum, piece))]
        if pieces:
            yield pieces


def words(text: str) -> list[str]:
    """Return the words of a name. A search finds the name by the start of any of them.

    They are each piece of a word, and each piece joined with all that follow it: `coca`, `cocacola`
    and `cola` for Coca-Cola.
    """
    return words_of(compounds(text))


def words_of(found_compounds: Iterable[list[str]]) -> list[str]:
    """Return the same of what `compounds()` yields."""
    found = []
    for pieces in found_compounds:
        for start, piece in enumerate(pieces):
            found.append(piece)
            if pieces[start + 1 :]:
                found.append("".join(pieces[start:]))
    return found


def is_unspaced(word: str) -> bool:
    """Return whether a word is in a script without spaces. Searches find it anywhere in a name."""
    return IN_UNSPACED_SCRIPT.match(word) is not None
