"""Foods, and the measures in which they are eaten."""

from products.models.fields import (
    CENT,
    Unit,
    check_macros,
    grams_field,
    rounded,
    unit_constraint,
    unit_field,
)
from products.models.portion import Portion
from products.models.product import SEARCHED, UNIT_IS_KEPT, Product, ProductQuerySet

__all__ = [
    "CENT",
    "SEARCHED",
    "UNIT_IS_KEPT",
    "Portion",
    "Product",
    "ProductQuerySet",
    "Unit",
    "check_macros",
    "grams_field",
    "rounded",
    "unit_constraint",
    "unit_field",
]
