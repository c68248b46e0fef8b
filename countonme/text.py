"""Names: how they are folded for order and search, and what the database holds of the rules."""

from __future__ import annotations

import unicodedata
from typing import Any

from django.core.validators import MaxLengthValidator, MinLengthValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Trim

MAX_NAME_LENGTH = 100
# Letters whose stroke or ligature Unicode does not decompose, after case folding.
UNDECOMPOSED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"}
)


def fold(text: str) -> str:
    """Return a text without case and accents, so that "Crème" and "creme" are the same.

    Compatibility decomposition (NFKD) and full case folding, as Unicode's section 5.18 compares
    without case; then without combining marks, and without format characters such as soft hyphens.
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    bare = "".join(
        c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c) != "Cf"
    )
    return bare.translate(UNDECOMPOSED)


def words(text: str) -> list[str]:
    """Return the folded words of a text: its runs of letters, digits and marks."""
    kept = (c if unicodedata.category(c)[0] in "LNM" else " " for c in fold(text))
    return "".join(kept).split()


class DerivedField(models.TextField):  # type: ignore[type-arg]  # generic in the stubs only
    """A copy of another field in another form, made anew at every save and bulk insert.

    Collation C: sorted by code point, alike on every machine.
    """

    def __init__(self, source: str = "name", **kwargs: Any) -> None:
        self.source = source
        super().__init__(**kwargs | {"editable": False, "blank": True, "db_collation": "C"})

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        return name, path, args, kwargs | {"source": self.source}

    def derive(self, value: str) -> str:
        """Return what is stored for a value of the source."""
        raise NotImplementedError

    def derived(self, row: models.Model) -> str | None:
        """Return what a row is to have here."""
        value = getattr(row, self.source)
        return None if value is None else self.derive(value)

    def is_current(self, row: models.Model) -> bool:
        """Return whether a row has it."""
        return bool(getattr(row, self.attname) == self.derived(row))

    def pre_save(self, model_instance: models.Model, add: bool) -> str | None:
        setattr(model_instance, self.attname, self.derived(model_instance))
        return getattr(model_instance, self.attname)


class FoldedField(DerivedField):
    """A name without case and accents, to sort by."""

    def derive(self, value: str) -> str:
        return fold(value)


class WordsField(DerivedField):
    """The words of a name, each after a space, so that ` chick` finds the start of a word."""

    def derive(self, value: str) -> str:
        return "".join(f" {word}" for word in words(value))


def name_field() -> models.CharField[str, str]:
    """Return the field of a name."""
    return models.CharField(
        max_length=MAX_NAME_LENGTH,
        validators=[MinLengthValidator(1), MaxLengthValidator(MAX_NAME_LENGTH)],
    )


def name_constraint(table: str) -> models.CheckConstraint:
    """Return what the database holds of a name's rules: not blank, trimmed, no control characters.

    Its length at most stands in the column's type.
    """
    return models.CheckConstraint(
        name=f"{table}_name_is_clean",
        condition=Q(name__regex="^[^\\u0001-\\u001f\\u007f-\\u009f]+$") & Q(name=Trim(F("name"))),
    )
