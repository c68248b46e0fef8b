"""The words of foods: what a search compares, and the fields that keep it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.db import models

from countonme.api.text import compounds, is_unspaced, words, words_of
from countonme.scope.derived import DerivedField


def name_key(text: str) -> str:
    """Return the letters and digits of a name, folded, by which names are compared as a whole."""
    return "".join(piece for pieces in compounds(text) for piece in pieces)


def name_key_and_words(name: str, brand: str | None) -> tuple[str, str]:
    """Return a food's `name_key()`, and its words as PostgreSQL reads a `tsvector`.

    A search finds the start of a word. In a script without blanks it finds a word anywhere, so each
    of its ends is a word as well.
    """
    typed = list(compounds(name))
    found = set(_brand_lexemes(brand)) if brand else set()
    for word in words_of(typed):
        found.update(_lexemes(word))
    return "".join(map("".join, typed)), " ".join(sorted(found))


# Foods have the same brands again and again.
@lru_cache(maxsize=2**14)
def _brand_lexemes(brand: str) -> tuple[str, ...]:
    return tuple(lexeme for word in words(brand) for lexeme in _lexemes(word))


# And the same words.
@lru_cache(maxsize=2**15)
def _lexemes(word: str) -> tuple[str, ...]:
    """Return a word, and each end of one in a script without blanks, as PostgreSQL reads them."""
    starts = range(len(word)) if is_unspaced(word) else (0,)
    return tuple(quoted(word[start:]) for start in starts)


def quoted(word: str) -> str:
    """Return a word as PostgreSQL reads it in a `tsvector` or `tsquery`."""
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


class WordsVector(DerivedField):
    """The words of name and brand, as a `tsvector` without positions."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.db_collation = None

    def db_type(self, connection: Any) -> str:
        return "tsvector"

    def derived(self, row: models.Model) -> str:
        food: Any = row
        return name_key_and_words(food.name, food.brand)[1]


class NameKeyField(DerivedField):
    """See `name_key()`."""

    def derive(self, value: str) -> str:
        return name_key(value)
