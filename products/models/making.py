"""How a product becomes a recipe, is changed as one, and becomes a plain product again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from copy import copy
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone

from countonme.scope.exceptions import ID_IN_USE, Conflict, Missing, NotFound
from countonme.scope.models import DeviceScoped
from products import recipes
from products.models.portion import Portion
from products.models.product import Product
from products.models.recipe import IS_INGREDIENT, IS_NESTED, Recipe, RecipeItem
from products.nutrients import COLUMNS_100G

NO_RECIPE = "Recipe not found"
AMOUNT = ("ingredient_id", "portion_id", "quantity", "grams", "position")


def items_of(product: Product) -> list[RecipeItem]:
    """Return what is in a recipe, in order.

    Raises:
        NotFound: the product is no recipe.
    """
    items = list(product.items.in_order()) if product.servings is not None else []
    if not items:
        raise NotFound(NO_RECIPE)
    return items


def make_recipe(
    product: Product,
    *,
    servings: Decimal,
    items: Sequence[dict[str, Any]],
    cooked_grams: Decimal | None = None,
) -> list[RecipeItem]:
    """Make a product a recipe of these items, or its recipe into that; return the items.

    Call it within a transaction that has locked the device. A repeated request changes nothing.

    Args:
        items: values as `RecipeItem.resolve_columns()` takes them, with the `id` that a client
            chose. `position` is the place in this list where it is left out.

    Raises:
        Conflict: the product is an ingredient, or an id is in use.
        Missing: an ingredient or a portion is not there. Items may keep a deleted one.
        ValidationError: an amount is wrong, a recipe would be in a recipe, or the result breaks a
            rule of a product.
    """
    others = RecipeItem.objects.for_device(product.device_id)
    if others.filter(ingredient_id=product.pk).exists():
        raise Conflict(IS_INGREDIENT)
    named = {values["ingredient_id"] for values in items}
    if product.pk in named or others.filter(product_id__any_of=named).exists():
        raise ValidationError({"items": ValidationError(IS_NESTED, code="invalid")})
    stored = {item.pk: item for item in product.items.in_order()}
    is_made = product.servings is None or not stored
    rows = _rows(product, stored, items)
    recipe = Recipe(copy(product), [(row.ingredient, row.grams) for row in rows])
    recipe.product.servings, recipe.product.cooked_grams = servings, cooked_grams
    _refuse_excess(recipe)
    recipe.work_out()
    columns = ("servings", "cooked_grams", "plain_100g", *COLUMNS_100G)
    product.follow(**{name: getattr(recipe.product, name) for name in columns})
    _save(product, stored, rows)
    Portion.keep_serving(product, recipe.serving_grams(), is_made=is_made)
    return sorted(rows, key=lambda row: (row.position, row.pk))


def unmake_recipe(product: Product) -> None:
    """Make a recipe a plain product again, with the values that it had. Its serving stays.

    Call it within a transaction that has locked the device.

    Raises:
        NotFound: the product is no recipe.
    """
    items = items_of(product)
    columns = {field.name: field for field in product._meta.concrete_fields}
    rows = RecipeItem.objects.for_device(product.device_id)
    rows.filter(pk__any_of=[item.pk for item in items]).update(deleted_at=timezone.now())
    plain = {} if product.plain_100g is None else product.plain_100g
    values = {name: columns[name].to_python(value) for name, value in plain.items()}
    product.follow(servings=None, cooked_grams=None, plain_100g=None, **values)


def _rows(
    product: Product, stored: dict[uuid.UUID, RecipeItem], items: Sequence[dict[str, Any]]
) -> list[RecipeItem]:
    """Return the rows of the items, unsaved: changed copies of stored rows, or new ones.

    An item without an id takes the place of a stored one of the same ingredient.
    """
    device_id = product.device_id
    given = {values["id"] for values in items if values.get("id")}
    known = RecipeItem.all_objects.for_device(device_id).of_ids(given) if given else {}
    if known.keys() - stored.keys():
        raise Conflict(ID_IN_USE)
    unclaimed = [row for key, row in stored.items() if key not in given]
    found: dict[type[DeviceScoped], dict[uuid.UUID, Any]] = {}
    for model, column in ((Product, "ingredient_id"), (Portion, "portion_id")):
        ids = [values[column] for values in items if values.get(column)]
        found[model] = model.all_objects.for_device(device_id).of_ids(ids) if ids else {}
    rows = []
    for place, values in enumerate(items):
        old = stored.get(values["id"]) if values.get("id") else None
        if not values.get("id"):
            same = (row for row in unclaimed if row.ingredient_id == values["ingredient_id"])
            old = next(same, None)
            if old is not None:
                unclaimed.remove(old)
        key = old.pk if old else values.get("id") or uuid.uuid4()
        row = copy(old) if old else RecipeItem(id=key, device_id=device_id, product=product)

        def find(model: type[DeviceScoped], id: uuid.UUID, row: RecipeItem = row) -> Any:
            one: Any = found[model].get(id)
            is_known = id in (row.ingredient_id, row.portion_id)
            if one is None or (one.deleted_at is not None and not is_known):
                raise Missing(model)
            return one

        whole = {"portion_id": None, "position": place} | {
            name: value for name, value in values.items() if value is not None
        }
        for name, value in row.resolve_columns(whole, find).items():
            setattr(row, name, value)
        row.ingredient = found[Product][row.ingredient_id]
        rows.append(row)
    return rows


def _refuse_excess(recipe: Recipe) -> None:
    too_much = recipes.excess(recipe.per_100g())
    if too_much and recipe.product.cooked_grams is not None:
        why = f"The cooked weight is too low: the recipe would have {too_much}."
        raise ValidationError({"cooked_grams": ValidationError(why, code="max_value")})
    if too_much:
        raise ValidationError(f"The recipe would have {too_much}.", code="max_value")


def _save(product: Product, stored: dict[uuid.UUID, RecipeItem], rows: list[RecipeItem]) -> None:
    now, live = timezone.now(), RecipeItem.objects.for_device(product.device_id)
    if gone := stored.keys() - {row.pk for row in rows}:
        live.filter(pk__any_of=gone).update(deleted_at=now)
    new, changed = [], []
    for place, row in enumerate(rows):
        # A microsecond apart: a pull keeps this order.
        moment, old = now + timedelta(microseconds=place), stored.get(row.pk)
        if old is None:
            row.created_at = moment
            new.append(row)
        elif any(getattr(old, name) != getattr(row, name) for name in AMOUNT):
            row.updated_at = moment
            changed.append(row)
    live.bulk_save(changed, insert=False)
    live.bulk_save(new, insert=True)
