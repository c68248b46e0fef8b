"""The catalog: foods that everybody may look up, where they come from, and what is said of them."""

from catalog.models.corrections import Correction, plain
from catalog.models.foods import (
    CORRECTABLE,
    POPULAR_SCANS,
    Food,
    PopularFood,
    Word,
    food_digits,
    food_id,
)
from catalog.models.reports import Report
from catalog.models.sources import Seen, Source

__all__ = [
    "CORRECTABLE",
    "POPULAR_SCANS",
    "Correction",
    "Food",
    "PopularFood",
    "Report",
    "Seen",
    "Source",
    "Word",
    "food_digits",
    "food_id",
    "plain",
]
