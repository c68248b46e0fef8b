"""How products, portions and recipes are synced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import Q
from rest_framework.serializers import ValidationError

from countonme.scope.exceptions import Missing
from products.models import IS_INGREDIENT, IS_NESTED, Portion, Product, Recipe, RecipeItem
from products.nutrients import COLUMNS_100G, REQUIRED_100G
from products.recipes import SERVING, serving_id
from products.serializers import (
    ITEM,
    PORTION,
    PRODUCT,
    PortionSerializer,
    ProductSerializer,
    RecipeItemSerializer,
)
from sync.changes import TableChanges, sentence
from sync.registry import register
from sync.tables import parse_phone_id, record_serializer

OTHER_PRODUCT = "A portion stays with its product"
OTHER_RECIPE = "An item stays with its recipe"
TANGLED = "Too many recipes of this push depend on each other"
# How often recipes are checked again after something was rejected.
MAX_PASSES = 20
# What a recipe's values depend on beside its items.
MEASURES = ("servings", "cooked_grams")


@register
class ProductChanges(TableChanges):
    """A recipe's values are worked out by `RecipeItemChanges`, whatever the phone wrote."""

    serializer = record_serializer(ProductSerializer, read_only_fields=[])
    example = PRODUCT

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # By id, what is wrong with the values of a new recipe, in case it becomes none.
        self.unread: dict[UUID, str] = {}

    def read(self, key: UUID, record: dict[str, Any]) -> dict[str, Any]:
        """Ignore the unit of a stored product, which can't change."""
        values = super().read(key, record)
        if key in self.stored:
            values.pop("unit", None)
        return values

    def build(self, key: UUID, record: dict[str, Any]) -> Product:
        """Ignore a recipe's values, unless it is new: then they are those of the product."""
        stored = self.stored.get(key)
        servings = record.get("servings", getattr(stored, "servings", None))
        if servings is None or key not in self.push[RecipeItem].owners:
            row: Product = super().build(key, record)
            if any(getattr(row, name) != getattr(stored, name, None) for name in COLUMNS_100G):
                row.plain_100g = None
            return row
        without = {name: value for name, value in record.items() if name not in COLUMNS_100G}
        if stored is not None:
            row = super().build(key, without)
            return row
        try:
            row = super().build(key, record)
        except (ValidationError, ModelValidationError) as error:
            row = super().build(key, without | dict.fromkeys(REQUIRED_100G, 0))
            self.unread[key] = sentence(error)
        return row

    def undo(self, ids: Iterable[UUID], columns: Iterable[str], why: str) -> bool:
        """Reject records of stored products that change some columns; return whether any does."""
        changed = [
            key
            for key in ids
            if key in self.rows and key in self.stored and self.is_changed(key, columns)
        ]
        for key in changed:
            self.reject(key, why)
        return bool(changed)

    def decided(self, key: UUID) -> Iterable[str]:
        """A recipe's values are not the phone's to decide."""
        follows = COLUMNS_100G if key in self.push[RecipeItem].recipes else ()
        return (name for name in self.table.columns if name not in follows)


@register
class PortionChanges(TableChanges):
    """Every product keeps at least one portion, and exactly one default, whatever is pushed."""

    serializer = record_serializer(PortionSerializer)
    example = PORTION

    def load(self) -> None:
        """Also read the products' other portions: one of them may have to become the default."""
        super().load()
        recipe_ids = self.push[RecipeItem].ids_in("product_id")
        if recipe_ids:
            self.stored |= self.for_device(Portion.all_objects).of_ids(map(serving_id, recipe_ids))
        owners = {*self.push[Product].records, *self.ids_in("product_id"), *recipe_ids}
        if owners:
            rows = self.for_device(Portion.objects).filter(product_id__any_of=owners)
            self.stored |= {row.pk: row for row in rows}

    def build(self, key: UUID, record: dict[str, Any]) -> Portion:
        values, row = self.read(key, record), self.current(key)
        if key in self.stored:
            if values.get("product_id", row.product_id) != row.product_id:
                raise ValidationError(OTHER_PRODUCT)
        else:
            self.push.find(Product, values["product_id"])
        self.assign(row, values)
        portion: Portion = row
        return portion

    def cascade(self) -> None:
        """Delete the portions of products that this push deletes, even if it updates them.

        A new portion of a product that is not live is rejected.
        """
        products = self.push[Product]
        for key, row in list(self.rows.items()):
            if row.product_id in products.to_delete:
                self.to_delete.add(key)
            elif not products.is_live(row.product_id) and key not in self.stored:
                self.reject(key, str(Missing(Product)))

    def decided(self, key: UUID) -> Iterable[str]:
        """The grams of a recipe's serving are not the phone's to decide."""
        row = self.find(key)
        is_followed = row.is_serving and row.product_id in self.push[RecipeItem].recipes
        return (name for name in self.table.columns if name != "grams" or not is_followed)

    def is_changed(self, key: UUID, columns: Iterable[str] | None = None) -> bool:
        """A deleted serving may come back."""
        old, new = self.stored.get(key), self.rows[key]
        is_back = old is not None and old.deleted_at is not None and new.deleted_at is None
        return is_back or super().is_changed(key, columns)

    def finish(self) -> None:
        """Choose each product's default portion; a product without portions gets its first.

        The serving of a recipe that this push makes is the default.
        """
        products = self.push[Product]
        of_product: dict[UUID, list[Portion]] = {key: [] for key in products.rows}
        for key in {**self.stored, **self.rows}:
            listed = of_product.setdefault(self.find(key).product_id, [])
            if self.is_live(key):
                listed.append(self.rows.get(key) or copy(self.stored[key]))
        sent = {key: self.rows[key].is_default for key in self.records if key in self.rows}
        chosen = {key: place for place, key in enumerate(sent, 1) if sent[key]}
        made = self.push[RecipeItem].servings - sent.keys()
        chosen |= dict.fromkeys(made, len(sent) + 1)
        for product_id, portions in of_product.items():
            if not products.is_live(product_id):
                continue
            if {row.pk for row in portions} <= made:
                portions.append(Portion.first_of(products.find(product_id)))
            Portion.choose_default(portions, chosen)
            self.rows |= {row.pk: row for row in portions}

    def delete(self, now: datetime) -> None:
        """Unset the defaults that move to other portions, and delete.

        A unique index allows one default, so the old one is unset before the new one is saved.
        Deleting chooses no new defaults here: `finish()` has chosen them.
        """
        lost = [
            key
            for key, row in self.rows.items()
            if self.was_live(key) and self.stored[key].is_default and not row.is_default
        ]
        self._update(lost, is_default=False)
        self._update((key for key in self.to_delete if self.was_live(key)), deleted_at=now)

    def _update(self, ids: Iterable[UUID], **values: Any) -> None:
        if listed := list(ids):
            self.of_ids(listed).update(**values)


@register
class RecipeItemChanges(TableChanges):
    """Works out the recipes that the push changes, or whose ingredients it changes.

    Of a recipe that would break a rule, no change is applied: not half of it.
    """

    serializer = record_serializer(
        RecipeItemSerializer,
        fields=["id", "product_id", *RecipeItemSerializer.Meta.fields[1:]],
        extra_kwargs={"grams": {"required": False, "allow_null": True}},
    )
    example = ITEM | {"product_id": "7c1e4b2a-5d6f-4a8b-9c3d-2e1f0a9b8c7d"}

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # The ids of the products that were worked out as recipes.
        self.recipes: set[UUID] = set()
        # The ids of the servings of those that this push makes recipes.
        self.servings: set[UUID] = set()

    def load(self) -> None:
        """Also read all items of the recipes that may change, and where else products are used."""
        super().load()
        items = self.for_device(RecipeItem.objects)
        owners = {
            *self.ids_in("product_id"),
            *self.push[Product].records,
            *self.push[Portion].ids_in("product_id"),
        }
        if not owners:
            return
        of_products = Q(product_id__any_of=owners | self.ids_in("ingredient_id"))
        found = list(items.filter(of_products | Q(ingredient_id__any_of=owners)))
        others = {row.product_id for row in found} - owners
        if others:
            found += items.filter(product_id__any_of=others)
        self.stored |= {row.pk: row for row in found}

    @cached_property
    def owners(self) -> set[UUID]:
        """The products that will have items, as far as these are not rejected."""
        sent = (parse_phone_id(record.get("product_id")) for record in self.records.values())
        kept = (row.product_id for key, row in self.stored.items() if self.is_live(key))
        return {key for key in (*sent, *kept) if key is not None}

    def build(self, key: UUID, record: dict[str, Any]) -> RecipeItem:
        item: RecipeItem = self.current(key)
        values = self.read(key, self._without_unknown(record))
        if key in self.stored and values.get("product_id", item.product_id) != item.product_id:
            raise ValidationError(OTHER_RECIPE)
        item.product_id = values.get("product_id", item.product_id)
        self.push.find(Product, item.product_id)
        if values.get("ingredient_id", item.ingredient_id) == item.product_id:
            raise ValidationError(IS_NESTED)
        self.assign(item, item.resolve_columns(values, self.push.find))
        return item

    def _without_unknown(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record without a portion that the server never had; its grams stay."""
        portion = parse_phone_id(record.get("portion_id"))
        if portion and self.push[Portion].find(portion) is None and record.get("grams") is not None:
            return record | {"portion_id": None, "quantity": None}
        return record

    def cascade(self) -> None:
        """Delete the items of products that this push deletes, even if it updates them.

        A new item of a product that is not live is rejected.
        """
        products = self.push[Product]
        for key in [*self.stored, *self.rows]:
            row = self.find(key)
            if row is not None and row.product_id in products.to_delete:
                self.to_delete.add(key)
            elif (
                row is not None and key not in self.stored and not products.is_live(row.product_id)
            ):
                self.reject(key, str(Missing(Product)))

    def work_out(self) -> None:
        """Reject what would nest recipes or break a rule, then set values of 100 g and servings."""
        for _ in range(MAX_PASSES):
            # What is rejected may leave another recipe wrong.
            if not self._reject_nested() | self._reject_excess() | self._reject_unread():
                break
        else:
            self._reject_all()
            self._reject_unread()
        products, portions = self.push[Product], self.push[Portion]
        for recipe in self._recipes():
            product = recipe.product
            if recipe.excess():
                # Nothing pushed is to blame, so what is stored stays.
                continue
            self.recipes.add(product.pk)
            recipe.work_out()
            products.rows[product.pk] = product
            key = serving_id(product.pk)
            serving = copy(portions.find(key))
            if self._is_made(product.pk) and key not in portions.to_delete:
                self.servings.add(key)
                serving = serving or Portion(
                    id=key, device_id=product.device_id, product=product, name=SERVING
                )
                serving.deleted_at = None
                serving.is_default = serving.is_default or key not in portions.records
            if serving is not None and serving.product_id == product.pk:
                recipe.work_out_serving(serving)
                portions.rows[key] = serving

    def delete(self, now: datetime) -> None:
        """Delete items. What follows from that is worked out already."""
        if live := [key for key in self.to_delete if self.was_live(key)]:
            self.of_ids(live).update(deleted_at=now)

    def _is_made(self, product_id: UUID) -> bool:
        """Return whether the phone made a product a recipe with this push, also if it is repeated.

        A phone that did not get the answer sends its items as new ones once more.
        """
        before = (
            key
            for key in self._keys[product_id]
            if self.was_live(key) or (key in self.stored and key in self.to_delete)
        )
        stored = self.push[Product].stored.get(product_id)
        was_one = stored is not None and stored.servings is not None
        return not was_one or all(key in self.created for key in before)

    def _items(self) -> dict[UUID, list[RecipeItem]]:
        """Return the items that will be live, by product."""
        found: dict[UUID, list[RecipeItem]] = {}
        for key in {**self.stored, **self.rows}:
            if self.is_live(key):
                found.setdefault(self.find(key).product_id, []).append(self.find(key))
        return found

    def _recipes(self) -> Iterator[Recipe]:
        """Yield the live recipes as they will be; each has a copy of its product."""
        products = self.push[Product]
        for product_id, items in self._items().items():
            product = products.find(product_id)
            if products.is_live(product_id) and product.servings is not None:
                yield self._recipe(copy(product), items)

    def _recipe(self, product: Product, items: Iterable[RecipeItem]) -> Recipe:
        find = self.push[Product].find
        return Recipe(product, [(find(item.ingredient_id), item.grams) for item in items])

    def _reject_nested(self) -> bool:
        """Reject items by which a recipe would be in a recipe; stored ones come first."""
        owners, ingredients = set(), set()
        later = []
        for key in {**self.stored, **self.rows}:
            if not self.is_live(key):
                continue
            row, old = self.find(key), self.stored.get(key)
            if old is None or old.ingredient_id != row.ingredient_id or not self.was_live(key):
                later.append(key)
            else:
                owners.add(row.product_id)
                ingredients.add(row.ingredient_id)
        rejected = False
        for key in later:
            row = self.rows[key]
            if row.ingredient_id in owners or row.product_id in ingredients:
                self.reject(key, IS_NESTED if row.ingredient_id in owners else IS_INGREDIENT)
                rejected = True
            else:
                owners.add(row.product_id)
                ingredients.add(row.ingredient_id)
        return rejected

    def _reject_excess(self) -> bool:
        """Reject the changes by which a recipe would break a rule of a product.

        These are the recipe's own if it keeps the rules without them, else those of its
        ingredients, and both if neither is enough.
        """
        products = self.push[Product]
        rejected = False
        for recipe in self._recipes():
            if (why := recipe.excess()) is None:
                continue
            product_id, foods = recipe.product.pk, [food for food, _ in recipe.amounts]
            before = self._stored_recipe(product_id)
            are_foods_right = before is None or before.excess() is None
            uncorrected = [(products.stored.get(f.pk, f), g) for f, g in recipe.amounts]
            is_own_right = Recipe(recipe.product, uncorrected).excess() is None
            if are_foods_right or not is_own_right:
                rejected |= self._undo_items(product_id, why)
                rejected |= products.undo([product_id], MEASURES, why)
            if not are_foods_right:
                rejected |= products.undo((food.pk for food in foods), COLUMNS_100G, why)
        return rejected

    def _stored_recipe(self, product_id: UUID) -> Recipe | None:
        """Return a recipe as it was before the push, with its ingredients as they will be."""
        product = self.push[Product].stored.get(product_id)
        items = self._stored_items.get(product_id)
        if product is None or product.servings is None or items is None:
            return None
        return self._recipe(product, items)

    @cached_property
    def _keys(self) -> dict[UUID, list[UUID]]:
        """The ids of items before and after the push, by product."""
        found: dict[UUID, list[UUID]] = {}
        for key in {**self.stored, **self.rows}:
            found.setdefault(self.find(key).product_id, []).append(key)
        return found

    @cached_property
    def _stored_items(self) -> dict[UUID, list[RecipeItem]]:
        found: dict[UUID, list[RecipeItem]] = {}
        for key, row in self.stored.items():
            if self.was_live(key):
                found.setdefault(row.product_id, []).append(row)
        return found

    def _undo_items(self, product_id: UUID, why: str) -> bool:
        """Reject the changes of a recipe's items, deletions too; return whether there are any."""
        changed = []
        for key in self._keys.get(product_id, ()):
            if key in self.to_delete:
                is_one = self.was_live(key)
            else:
                is_one = key in self.rows and self.is_changed(key)
            if is_one:
                changed.append(key)
        for key in changed:
            self.to_delete.discard(key)
            self.reject(key, why)
        return bool(changed)

    def _reject_unread(self) -> bool:
        """Reject new products with wrong values that become no recipe, and what is of them.

        Returns:
            Whether items of other recipes are rejected with them.
        """
        products, portions = self.push[Product], self.push[Portion]
        owners = self._items().keys() if products.unread else ()
        rejected = {key for key in products.unread if key in products.rows and key not in owners}
        for key in rejected:
            products.reject(key, products.unread[key])
        named = False
        for table, column in ((portions, "product_id"), (self, "ingredient_id")):
            for key, row in list(table.rows.items()) if rejected else ():
                if getattr(row, column) in rejected:
                    table.reject(key, str(Missing(Product)))
                    named |= table is self
        return named

    def _reject_all(self) -> None:
        """Reject all changes of recipes: too many of them depend on each other."""
        for product_id in self._keys:
            self._undo_items(product_id, TANGLED)
        self.push[Product].undo(list(self.push[Product].rows), (*MEASURES, *COLUMNS_100G), TANGLED)
