"""Product: a food, with its energy and nutrients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Case, Count, Q, Value, When

from countonme.api.text import fold
from countonme.scope.bounds import bounded
from countonme.scope.exceptions import Conflict
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products import gtin, recipes
from products.models.fields import CENT, check_macros, rounded, unit_constraint, unit_field
from products.models.portion import Portion
from products.models.recipe import Recipe, RecipeItem, refuse_nested, work_out
from products.names import FoldedField, NameField, WordsField, name_constraint, search_condition
from products.nutrients import COLUMNS_100G, NUTRIENTS, macros_constraint

UNIT_IS_KEPT = "The unit of a product can't be changed"
# The columns that a search looks in.
SEARCHED = ("name_words", "brand_words")


class ProductQuerySet(DeviceScopedQuerySet["Product"]):
    def search(self, text: str) -> ProductQuerySet:
        """Return the products where each word of a text starts a word of the name or brand."""
        return self.filter(search_condition(text, *SEARCHED))

    def with_barcode(self, barcode: str) -> ProductQuerySet:
        """Return the products with a barcode, in any of its forms; none if it is invalid."""
        gtin_14 = gtin.to_gtin_14(barcode)
        return self.filter(gtin_14=gtin_14) if gtin_14 else self.none()

    def in_order(self) -> Self:
        """Sort by the folded name."""
        return self.order_by("name_folded", "id")

    def best_first(self, text: str) -> ProductQuerySet:
        """Sort as a search does: the whole name, then names that start with the text, the rest."""
        folded = fold(text)
        whole, start = Q(name_folded=folded), Q(name_folded__startswith=folded)
        match = Case(When(whole, Value(0)), When(start, Value(1)), default=Value(2))
        return self.order_by(match, "name_folded", "id")

    def delete_at(self, moment: datetime) -> int:
        """Delete products softly, and with the same `deleted_at` their portions and recipe items.

        `Product.restore()` finds what to restore by that. Recipes that a product is in keep it.
        """
        with transaction.atomic():
            self.lock_devices()
            to_delete = list(self.filter(deleted_at=None).only("pk"))
            for model in (Portion, RecipeItem):
                of_them = self.in_same_scope(model).filter(product__in=to_delete)
                of_them.update(deleted_at=moment)
            keys = [product.key for product in to_delete]
            return self.of_keys(keys).update(deleted_at=moment)


@bounded(**{nutrient.column_100g: nutrient.name for nutrient in NUTRIENTS})
class Product(DeviceScoped):
    """A food, with its energy and nutrients per 100 g, or per 100 ml of a drink."""

    name = NameField()
    name_folded = FoldedField()
    name_words = WordsField()
    brand = NameField(null=True, blank=True)
    brand_words = WordsField("brand", null=True)
    unit = unit_field()
    vars().update({nutrient.column_100g: nutrient.field_100g() for nutrient in NUTRIENTS})
    barcode = gtin.BarcodeField()
    gtin_14 = gtin.NormalizedField("barcode", null=True)
    # The catalog's food that it was copied from. No foreign key: the catalog comes and goes.
    catalog_id = models.UUIDField(null=True, blank=True)

    # Of a recipe: how many servings it makes, and what all of it weighs when it is cooked.
    servings = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(CENT), MaxValueValidator(recipes.MAX_SERVINGS)],
        help_text="Of a recipe: how many servings it makes.",
    )
    cooked_grams = models.DecimalField(
        max_digits=8,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(CENT), MaxValueValidator(recipes.MAX_COOKED_GRAMS)],
        help_text="Of a recipe: the grams of all of it when cooked; null if that is the sum.",
    )
    # Of a recipe: the values that it had before, as JSON has them.
    plain_100g = models.JSONField(null=True, editable=False)

    kcal_100g: int
    items: Any  # reverse manager
    objects: ClassVar[Any] = LiveManager.from_queryset(ProductQuerySet)()
    all_objects: ClassVar[Any] = AllObjectsManager.from_queryset(ProductQuerySet)()

    class Meta(DeviceScoped.Meta):
        db_table = "products"
        verbose_name = "product"
        indexes = [
            models.Index(
                fields=["device", "name_folded", "id"],
                name="products_by_name",
                condition=Q(deleted_at=None),
            ),
            models.Index(
                fields=["device", "gtin_14"],
                name="products_by_barcode",
                condition=Q(deleted_at=None, gtin_14__isnull=False),
            ),
            models.Index(
                fields=["device", "catalog_id"],
                name="products_by_catalog_id",
                condition=Q(deleted_at=None, catalog_id__isnull=False),
            ),
        ]
        constraints = [
            name_constraint("products"),
            name_constraint("products", "brand"),
            unit_constraint("products"),
            macros_constraint("products"),
        ]

    def __str__(self) -> str:
        return self.name

    def comes_with(self) -> list[DeviceScoped]:
        """Return the first portion, of 100 g or ml."""
        return [Portion.first_of(self)]

    def clean(self) -> None:
        """Check that the macros fit into 100 g.

        Raises:
            ValidationError: protein, carbs and fat weigh more than 105 g together.
        """
        check_macros(self)

    @property
    def is_recipe(self) -> bool:
        """Whether its values follow from what is in it."""
        return self.servings is not None and bool(self.items.exists())

    def work_out(self) -> None:
        """Work its values and its serving out again, and save them, if it is a recipe."""
        work_out(self.device_id, [self.pk])

    def keep_values(self) -> None:
        """Note the present values, unsaved, for when the product is no recipe any more."""
        values = {name: getattr(self, name) for name in COLUMNS_100G}
        self.plain_100g = {
            name: str(value) if isinstance(value, Decimal) else value
            for name, value in values.items()
        }

    def change(self, **values: Any) -> bool:
        """Update the product, and work out the recipes that it is in.

        Its unit can't change: portions and entries are counted in it. A recipe's values follow from
        what is in it, and are ignored.

        Raises:
            Conflict: the values have another unit, or a recipe would break a rule.
        """
        if values.get("unit", self.unit) != self.unit:
            raise Conflict(UNIT_IS_KEPT)
        if self.servings is not None and self.is_recipe:
            values = {name: new for name, new in values.items() if name not in COLUMNS_100G}
        is_corrected = any(
            name in values and values[name] != getattr(self, name) for name in COLUMNS_100G
        )
        if is_corrected and self.plain_100g is not None:
            values["plain_100g"] = None
        with transaction.atomic():
            changed = super().change(**values)
            if is_corrected:
                work_out(self.device_id, ingredients=[self.pk])
            return changed

    def follow(self, **values: Any) -> bool:
        """Set and save what follows from the recipe, or what stands without one."""
        return super().change(**values)

    def add_portions(self, portions: Iterable[tuple[str, Decimal]]) -> None:
        """Give a product that was created just now further portions; the first is its default."""
        rows = [
            Portion(device_id=self.device_id, product=self, name=name, grams=grams)
            for name, grams in portions
        ]
        if rows:
            rows[0].is_default = True
            rows[0].others().filter(is_default=True).update(is_default=False)
            Portion.objects.for_device(self.device_id).bulk_create(rows)

    @classmethod
    def quota(cls) -> tuple[int, str]:
        limit = settings.MAX_PRODUCTS_PER_DEVICE
        return limit, f"A device has at most {limit} products"

    def restore(self) -> None:
        """Restore a deleted product, with the portions and recipe items that were deleted with it.

        Raises:
            Conflict: a quota is reached, the recipe would break a rule by now, or a recipe would be
                in a recipe.
        """
        deleted_at = self.deleted_at
        if deleted_at is None:
            return
        with transaction.atomic():
            super().restore()
            for rows in self.cascaded_rows():
                rows.filter(deleted_at=deleted_at).update(deleted_at=None)
            refuse_nested(self.device_id, self.pk)
            self.work_out()

    def cascaded_rows(self) -> list[DeviceScopedQuerySet[Any]]:
        return [
            model.all_objects.for_device(self.device_id).filter(product=self.pk)
            for model in (RecipeItem, Portion)
        ]

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        yield from super().violations()
        live = Q(portions__deleted_at=None)
        counted = cls.objects.across_devices().annotate(
            defaults=Count("portions", filter=live & Q(portions__is_default=True))
        )
        yield "a live product has exactly one default portion", counted.exclude(defaults=1)

        def recipes_where(is_wrong: Callable[[Recipe], bool]) -> Iterator[Product]:
            for recipe in RecipeItem.objects.across_devices().recipes():
                if is_wrong(recipe):
                    yield recipe.product

        def has_stale_serving(recipe: Recipe) -> bool:
            device_id, product_id = recipe.product.key
            key = device_id, recipes.serving_id(product_id)
            serving = Portion.objects.across_devices().of_keys([key]).first()
            return recipe.work_out_serving(serving)

        yield "a recipe's values follow from its items", recipes_where(Recipe.work_out)
        yield "a serving's grams follow from its recipe", recipes_where(has_stale_serving)

    def nutrition(self, grams: Decimal) -> dict[str, Decimal | None]:
        """Return kcal and nutrients of an amount, each rounded half up to 2 decimals.

        Value per 100 g × grams ÷ 100. A nutrient is None if the product's is unknown.
        """

        def scaled(per_100g: Decimal | int | None) -> Decimal | None:
            return None if per_100g is None else rounded(per_100g * grams / 100)

        return {n.name: scaled(getattr(self, n.column_100g)) for n in NUTRIENTS}
