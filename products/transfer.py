"""What an import of products, portions and recipes has to look after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q

from products.models import IS_NESTED, UNIT_IS_KEPT, Portion, Product, Recipe, RecipeItem
from products.nutrients import COLUMNS_100G
from products.recipes import serving_id
from products.sync import OTHER_PRODUCT, OTHER_RECIPE
from transfer.tables import TableImport, imports

OTHER_VALUES = "A recipe that is here has it with other values"
OTHER_GRAMS = "Its grams follow from the recipe that is here"
OTHER_RESULT = "Its recipe would have other values here"


@imports(Product)
class ProductImport(TableImport):
    fixed = {"unit": UNIT_IS_KEPT}

    def load(self) -> None:
        """Also leave out what would come back with other values, and change a recipe by that."""
        super().load()
        if not (deleted := self.deleted & self.rows.keys()):
            return
        items = self.for_device(RecipeItem.objects).filter(ingredient_id__any_of=deleted)
        used = set(items.values_list("ingredient_id", flat=True))
        for stored in self.for_device(Product.all_objects).filter(pk__any_of=used) if used else ():
            row = self.rows[stored.pk]
            if any(getattr(row, name) != getattr(stored, name) for name in COLUMNS_100G):
                self.reject(stored.pk, OTHER_VALUES)


@imports(Portion)
class PortionImport(TableImport):
    """Every product keeps at least one portion, and exactly one default."""

    fixed = {"product_id": OTHER_PRODUCT}

    def settle(self) -> None:
        """Choose the defaults of products that have none: those that come in with this import.

        A product that was here before keeps its own.
        """
        coming: dict[UUID, list[Portion]] = defaultdict(list)
        for row in self.rows.values():
            coming[row.product_id].append(row)
        products = self.importing[Product]
        self._refuse_servings(coming.keys() - products.rows.keys())
        owners = {*products.rows, *coming}
        here = self._with_portions(owners) if owners else set()
        for product_id in owners:
            portions = coming[product_id]
            if product_id in here:
                for portion in portions:
                    portion.is_default = False
                continue
            if not portions:
                portions = [Portion.first_of(products.rows[product_id])]
                self.rows |= {row.pk: row for row in portions}
            Portion.choose_default(portions, {})

    def _refuse_servings(self, products: Iterable[UUID]) -> None:
        """Leave out servings of recipes that are here, if they have other grams."""
        ids = {serving_id(key): key for key in products}
        owners = {owner for key, owner in ids.items() if key in self.rows}
        if not owners:
            return
        for recipe in (
            self.for_device(RecipeItem.objects).filter(product_id__any_of=owners).recipes()
        ):
            key = serving_id(recipe.product.pk)
            if self.rows[key].grams != recipe.serving_grams():
                self.reject(key, OTHER_GRAMS)

    def _with_portions(self, products: Iterable[Any]) -> set[UUID]:
        """Return which of these products have live portions already."""
        rows = self.for_device(Portion.objects).filter(product_id__any_of=products)
        return set(rows.values_list("product_id", flat=True))


@imports(RecipeItem)
class RecipeItemImport(TableImport):
    """A recipe comes in whole, with its values as they are; or its product is a plain one."""

    fixed = {"product_id": OTHER_RECIPE}
    goes_with = {"portion_id": ("quantity",)}
    belongs_to = {"portion_id": "ingredient_id"}

    def settle(self) -> None:
        """Leave out the items of recipes that would nest, or whose values don't follow from them.

        They don't where an ingredient has other values here, or another item was left out.
        """
        coming: dict[UUID, list[RecipeItem]] = defaultdict(list)
        for row in self.rows.values():
            coming[row.product_id].append(row)
        for product_id, why in list(self._wrong(coming)) if coming else ():
            for row in coming[product_id]:
                self.reject(row.pk, why)

    def _wrong(self, coming: dict[UUID, list[RecipeItem]]) -> Iterator[tuple[UUID, str]]:
        owners, ingredients = set(coming), self.ids_in("ingredient_id")
        items = self.for_device(RecipeItem.objects)
        of_products = Q(product_id__any_of=owners | ingredients)
        here = list(items.filter(of_products | Q(ingredient_id__any_of=owners)))
        named = owners | ingredients | {row.ingredient_id for row in here}
        rows = self.for_device(Product.all_objects).filter(pk__any_of=named)
        products = {row.pk: row for row in rows}
        servings = self.for_device(Portion.objects).of_ids(map(serving_id, owners))
        have_items = owners | {row.product_id for row in here}
        in_recipes = ingredients | {row.ingredient_id for row in here}
        for product_id, listed in coming.items():
            if product_id in in_recipes or any(row.ingredient_id in have_items for row in listed):
                yield product_id, IS_NESTED
                continue
            if products[product_id].servings is None:
                continue
            all_items = [*listed, *(row for row in here if row.product_id == product_id)]
            amounts = [(products[row.ingredient_id], row.grams) for row in all_items]
            recipe = Recipe(products[product_id], amounts)
            serving = servings.get(serving_id(product_id))
            if recipe.work_out() or recipe.work_out_serving(serving):
                yield product_id, OTHER_RESULT
