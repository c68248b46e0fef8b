"""Entries by chance, and what they add up to."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from products.nutrients import NAMES, OPTIONAL

NOTHING = dict.fromkeys(NAMES, 0)


def amounts(limit: str) -> st.SearchStrategy[Decimal]:
    """Numbers of two decimals from 0 to a limit."""
    return st.decimals(0, Decimal(limit), places=2)


ENTRIES = st.fixed_dictionaries(
    {
        "meal_type": st.sampled_from(["breakfast", "lunch", "dinner", "snacks"]),
        "kcal": amounts("10000"),
        **{name: st.none() | amounts("1000") for name in OPTIONAL},
    }
)


def sums(entries: list[dict[str, Any]]) -> dict[str, float]:
    """Return what entries add up to, exactly."""
    return {
        name: float(sum((entry[name] or Decimal(0) for entry in entries), Decimal(0)))
        for name in NAMES
    }
