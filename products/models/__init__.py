"""Foods, the measures in which they are eaten, and what is in recipes."""

from products.models.fields import (
    CENT,
    Unit,
    check_macros,
    grams_field,
    quantity_field,
    rounded,
    unit_constraint,
    unit_field,
)
from products.models.making import NO_RECIPE, items_of, make_recipe, unmake_recipe
from products.models.portion import Portion
from products.models.product import SEARCHED, UNIT_IS_KEPT, Product, ProductQuerySet
from products.models.recipe import IS_INGREDIENT, IS_NESTED, Find, Recipe, RecipeItem

__all__ = [
    "CENT",
    "IS_INGREDIENT",
    "IS_NESTED",
    "NO_RECIPE",
    "SEARCHED",
    "UNIT_IS_KEPT",
    "Find",
    "Portion",
    "Product",
    "ProductQuerySet",
    "Recipe",
    "RecipeItem",
    "Unit",
    "check_macros",
    "grams_field",
    "items_of",
    "make_recipe",
    "quantity_field",
    "rounded",
    "unit_constraint",
    "unit_field",
    "unmake_recipe",
]
