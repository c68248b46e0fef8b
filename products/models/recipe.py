"""RecipeItem: what is in a recipe. A recipe is a product with `servings` and live items."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Prefetch, Q
from django.utils import timezone

from countonme.scope.bounds import bounded
from countonme.scope.exceptions import Conflict, Missing
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products import recipes
from products.models.fields import grams_field, quantity_field
from products.models.portion import Portion
from products.nutrients import COLUMNS_100G

if TYPE_CHECKING:
    from products.models.product import Product

IS_INGREDIENT = "This product is in a recipe"
IS_NESTED = "A recipe can't be in a recipe"
# A function that returns the row of a model with an id.
Find = Callable[[type[DeviceScoped], uuid.UUID], Any]


@dataclass
class Recipe:
    """A product with what is in it."""

    product: Product
    amounts: list[recipes.Amount]

    @property
    def total_grams(self) -> Decimal:
        return recipes.total_grams(self.amounts, self.product.cooked_grams)

    def per_100g(self) -> dict[str, Any]:
        return recipes.per_100g(self.amounts, self.total_grams)

    def excess(self) -> str | None:
        """Return the sentence that says which rule of a product the recipe breaks, or None."""
        too_much = recipes.excess(self.per_100g())
        return too_much and f'The recipe "{self.product.name}" would have {too_much}'

    def work_out(self) -> bool:
        """Set the product's values, unsaved; return whether any changes.

        The values that it had before it became a recipe are kept beside them.
        """
        product, values = self.product, self.per_100g()
        present = {name: getattr(product, name) for name in COLUMNS_100G}
        if product.plain_100g is None:
            product.keep_values()
        for name, value in values.items():
            setattr(product, name, value)
        return values != present

    def work_out_serving(self, serving: Portion | None) -> bool:
        """Set the grams of the recipe's serving, unsaved; return whether they change.

        Args:
            serving: the portion with the serving's id, if there is one.
        """
        if serving is None or serving.product_id != self.product.pk or serving.deleted_at:
            return False
        before, serving.grams = serving.grams, self.serving_grams()
        return before != serving.grams

    def serving_grams(self) -> Decimal:
        assert self.product.servings is not None
        return recipes.serving_grams(self.total_grams, self.product.servings)


class RecipeItemQuerySet(DeviceScopedQuerySet["RecipeItem"]):
    def in_order(self) -> Self:
        return self.order_by("position", "id")

    def delete_at(self, moment: datetime) -> int:
        """Delete items softly, and work their recipes out without them.

        Raises:
            Conflict: a recipe would break a rule.
        """
        with transaction.atomic():
            self.lock_devices()
            to_delete = list(self.filter(deleted_at=None).only("product_id"))
            count = self.of_keys([item.key for item in to_delete]).update(deleted_at=moment)
            for device_id in {item.device_id for item in to_delete}:
                owners = {i.product_id for i in to_delete if i.device_id == device_id}
                work_out(device_id, owners)
            return count

    def recipes(self) -> Iterator[Recipe]:
        """Yield the live recipes that these items are of, each with those of its items."""
        rows = self.filter(product__deleted_at=None, product__servings__isnull=False)
        rows = rows.select_related("product", "ingredient").order_by("device_id", "product_id")
        for _, items in groupby(rows, key=lambda item: (item.device_id, item.product_id)):
            listed = list(items)
            yield Recipe(listed[0].product, [(item.ingredient, item.grams) for item in listed])


@bounded()
class RecipeItem(DeviceScoped):
    """An ingredient of a recipe: grams or portions of another product."""

    product = ScopedForeignKey("products.Product", related_name="items")
    ingredient = ScopedForeignKey("products.Product", related_name="in_recipes")
    portion = ScopedForeignKey(Portion, null=True, blank=True, related_name="recipe_items")
    quantity = quantity_field(null=True, blank=True)
    grams = grams_field()
    position = models.SmallIntegerField(
        validators=[MinValueValidator(0), MaxValueValidator(recipes.MAX_POSITION)],
        help_text="Items are listed in this order.",
    )

    product_id: uuid.UUID
    ingredient_id: uuid.UUID
    portion_id: uuid.UUID | None
    objects: ClassVar[Any] = LiveManager.from_queryset(RecipeItemQuerySet)()
    all_objects: ClassVar[Any] = AllObjectsManager.from_queryset(RecipeItemQuerySet)()

    class Meta(DeviceScoped.Meta):
        db_table = "recipe_items"
        verbose_name = "recipe item"
        # Deleted items too: the purge asks whether any item refers to a product.
        indexes = [
            models.Index(
                fields=["device", "product", "position", "id"], name="recipe_items_listed"
            ),
            models.Index(
                fields=["device", "ingredient", "portion"], name="recipe_items_by_ingredient"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="recipe_items_amount_is_whole",
                condition=Q(portion=None, quantity=None)
                | Q(portion__isnull=False, quantity__isnull=False),
            ),
            models.CheckConstraint(
                name="recipe_items_not_in_itself", condition=~Q(ingredient=F("product"))
            ),
        ]

    def __str__(self) -> str:
        return f"{self.grams} g of {self.ingredient}"

    @classmethod
    def prefetch(cls, device_id: uuid.UUID) -> Prefetch[str]:
        """Return a `Prefetch` of the live items of a device's products, in order."""
        return Prefetch("items", cls.objects.for_device(device_id).in_order())

    counted_by = "product_id"

    @classmethod
    def quota(cls) -> tuple[int, str]:
        return recipes.MAX_ITEMS, f"A recipe has at most {recipes.MAX_ITEMS} items"

    def resolve_columns(self, values: dict[str, Any], find: Find) -> dict[str, Any]:
        """Return the columns to set for the values that a client sent; others keep theirs.

        A portion that is not null wins over grams. Grams are worked out from a portion only where
        the ingredient, the portion or the quantity is new: a portion that changes later leaves
        them.

        Args:
            find: returns the ingredient and the portion, or raises Missing.

        Raises:
            ValidationError: grams are missing, or too many or too few.
            Missing: there is no such ingredient, or it has no such portion.
        """
        columns = {name: values[name] for name in ("position",) if name in values}
        ingredient_id = values.get("ingredient_id", self.ingredient_id)
        by_grams = "grams" in values and not {"portion_id", "quantity"} & values.keys()
        portion_id = None if by_grams else values.get("portion_id", self.portion_id)
        if ingredient_id != self.ingredient_id:
            ingredient: Any = self._meta.get_field("ingredient").related_model
            find(ingredient, ingredient_id)
        columns["ingredient_id"] = ingredient_id
        if portion_id is None:
            grams = values.get("grams", self.grams)
            if grams is None:
                raise ValidationError(
                    {"grams": ValidationError("This field is required.", code="required")}
                )
            return columns | {"portion_id": None, "quantity": None, "grams": grams}
        quantity = values.get("quantity") or self.quantity or Decimal(1)
        amount = (ingredient_id, portion_id, quantity)
        if amount == (self.ingredient_id, self.portion_id, self.quantity):
            grams = self.grams
        else:
            portion = find(Portion, portion_id)
            if portion.product_id != ingredient_id:
                raise Missing(Portion)
            grams = portion.weigh(quantity)
        return columns | {"portion_id": portion_id, "quantity": quantity, "grams": grams}

    def change(self, **values: Any) -> bool:
        """Update the item, and work its recipe out again.

        Raises:
            ValidationError, Missing: as `resolve_columns()` does.
            Conflict: the recipe would break a rule.
        """

        def find(model: type[DeviceScoped], id: uuid.UUID) -> Any:
            is_known = id in (self.ingredient_id, self.portion_id)
            return model.fetch(self.device_id, id, deleted=is_known)

        with transaction.atomic():
            changed = super().change(**self.resolve_columns(values, find))
            work_out(self.device_id, [self.product_id])
            return changed

    def restore(self) -> None:
        """Restore a deleted item, and work its recipe out with it.

        Raises:
            Conflict: its product is deleted, has as many items as allowed, would break a rule, or
                a recipe would be in a recipe.
        """
        if self.deleted_at is None:
            return
        if self.product.deleted_at is not None:
            raise Conflict("Restore its product first")
        with transaction.atomic():
            super().restore()
            refuse_nested(self.device_id, self.product_id)
            work_out(self.device_id, [self.product_id])

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        yield from super().violations()
        live = cls.objects.across_devices()
        yield "a live item's product is live", live.filter(product__deleted_at__isnull=False)
        own_items = live.filter(
            device_id=OuterRef("device_id"), product_id=OuterRef("ingredient_id")
        )
        yield "a recipe is in no recipe", live.filter(Exists(own_items))


def refuse_nested(device_id: uuid.UUID, product_id: uuid.UUID) -> None:
    """Check that a product with live items is no ingredient, and none of these has items itself.

    Raises:
        Conflict: a recipe would be in a recipe.
    """
    items = RecipeItem.objects.for_device(device_id)
    own = items.filter(product_id=product_id)
    if own.exists() and items.filter(ingredient_id=product_id).exists():
        raise Conflict(IS_INGREDIENT)
    if items.filter(product_id__in=own.values("ingredient_id")).exists():
        raise Conflict(IS_NESTED)


def work_out(
    device_id: uuid.UUID,
    products: Iterable[uuid.UUID] = (),
    ingredients: Iterable[uuid.UUID] = (),
) -> None:
    """Work out recipes again, and save what changes: five queries at most.

    Call it within a transaction that has locked the device.

    Args:
        products: these are worked out, as far as they are recipes.
        ingredients: so are all recipes that have one of these in them.

    Raises:
        Conflict: a recipe would break a rule of a product; the sentence names it.
    """
    items = RecipeItem.objects.for_device(device_id)
    owners = set(products)
    if ingredients:
        named = items.filter(ingredient_id__any_of=ingredients)
        owners |= set(named.values_list("product_id", flat=True))
    found = list(items.filter(product_id__any_of=owners).recipes()) if owners else []
    if not found:
        return
    rows = Portion.objects.for_device(device_id)
    servings = rows.of_ids(recipes.serving_id(recipe.product.pk) for recipe in found)
    now, changed, changed_servings = timezone.now(), [], []
    for recipe in found:
        if sentence := recipe.excess():
            raise Conflict(sentence)
        serving = servings.get(recipes.serving_id(recipe.product.pk))
        if recipe.work_out():
            recipe.product.updated_at = now
            changed.append(recipe.product)
        if serving and recipe.work_out_serving(serving):
            serving.updated_at = now
            changed_servings.append(serving)
    for written in (changed, changed_servings):
        if written:
            type(written[0]).all_objects.for_device(device_id).bulk_save(written, insert=False)
