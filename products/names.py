"""Names: their model fields, how they are sorted and found, and their CHECK in the database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django import forms
from django.core.validators import MinLengthValidator
from django.db import models
from django.db.models import Q

from countonme.api.text import WHITE_SPACE, clean, compounds, fold, is_unspaced, words
from countonme.scope.derived import DerivedField

MAX_NAME_LENGTH = 100


class FoldedField(DerivedField):
    """A name without case and accents, to sort by."""

    def derive(self, value: str) -> str:
        return fold(value)


class WordsField(DerivedField):
    """The words of a name, each after a space, so that ` chick` finds the start of a word."""

    def derive(self, value: str) -> str:
        return "".join(f" {word}" for word in words(value))


def search_condition(search: str, *columns: str) -> Q:
    """Return the condition for the rows that a search finds.

    Every word of the search must be the start of a word in some column; a word of a script without
    blanks may stand anywhere. A compound matches either joined or piece by piece: `coca-cola` finds
    Coca-Cola, CocaCola and Coca Cola. A search without a letter or digit finds nothing.

    Args:
        search: the text as it was typed.
        columns: names of fields of the type `WordsField`. The words may be in different ones.
    """

    def has(word: str) -> Q:
        start = word if is_unspaced(word) else f" {word}"
        return Q(*((f"{column}__contains", start) for column in columns), _connector=Q.OR)

    found = []
    for pieces in compounds(search):
        joined = has("".join(pieces))
        found.append(joined | Q(*map(has, pieces)) if pieces[1:] else joined)
    return Q(*found) if found else Q(pk__in=[])


class CleanFormField(forms.CharField):
    """A form field whose text is cleaned before it is validated.

    Args:
        clean: the function that cleans it.
    """

    def __init__(self, clean: Callable[[str], str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clean_text = clean

    def to_python(self, value: Any) -> Any:
        return super().to_python(self.clean_text(value) if value else value)


class CleanField(models.CharField):  # type: ignore[type-arg]  # generic in the stubs only
    """A CharField whose text is cleaned wherever Django parses it: forms, `clean_fields()`."""

    def clean_text(self, text: str) -> str:
        return clean(text)

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        return None if value is None else self.clean_text(value)

    def get_prep_value(self, value: Any) -> Any:
        """Use a value in a query as it is; Django's own method would clean it first."""
        return models.Field.get_prep_value(self, value)

    def formfield(self, **kwargs: Any) -> Any:
        """Leave the length to the model's validators: a browser would count the uncleaned text."""
        form_class = partial(CleanFormField, self.clean_text)
        return super().formfield(**{"form_class": form_class} | kwargs | {"max_length": None})


class NameField(CleanField):
    """A name: 1 to 100 characters."""

    default_validators = [MinLengthValidator(1)]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": MAX_NAME_LENGTH} | kwargs)


def name_constraint(table: str, column: str = "name") -> models.CheckConstraint:
    """Return the CHECK that a name is clean: words with single blanks between them.

    The column's type limits the length.
    """
    word = rf"[^\u0001-\u001f\u007f-\u009f{WHITE_SPACE}]+"
    return models.CheckConstraint(
        name=f"{table}_{column}_is_clean",
        condition=Q(**{f"{column}__regex": f"^{word}( {word})*$"}),
    )
