"""The catalog on its way out: the foods of a source, as they stand here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from catalog.importing import slices
from catalog.models import Food


def live_foods(source: str, columns: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield columns of a source's live foods, in the order of their ids.

    Each query answers a small part of them and ends before its foods are yielded. So no cursor
    stays open, however long the caller takes over them.
    """
    foods = Food.objects.filter(source=source, is_live=True).order_by("id").values(*columns)
    for slice_ in slices("id"):
        yield from list(foods.filter(**slice_))
