"""Product: a food, with its energy and nutrients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, Count, Q, Value, When

from countonme.api.text import fold
from countonme.scope.bounds import bounded
from countonme.scope.exceptions import Conflict
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products import gtin
from products.models.fields import check_macros, rounded, unit_constraint, unit_field
from products.models.portion import Portion
from products.names import FoldedField, NameField, WordsField, name_constraint, search_condition
from products.nutrients import NUTRIENTS, macros_constraint

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

    def with_portions(self) -> ProductQuerySet:
        """Prefetch the live portions, in order, with one more query."""
        return self.prefetch_related(Portion.prefetch(self.device_id))

    def delete_at(self, moment: datetime) -> int:
        """Delete products softly, and their portions with the same `deleted_at`.

        `Product.restore()` finds the portions to restore by that.
        """
        with transaction.atomic():
            self.lock_devices()
            to_delete = list(self.filter(deleted_at=None).only("pk"))
            self.in_same_scope(Portion).filter(product__in=to_delete).update(deleted_at=moment)
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

    kcal_100g: int
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

    def change(self, **values: Any) -> bool:
        """Update the product. Its unit can't change: portions and entries are counted in it.

        Raises:
            Conflict: the values have another unit.
        """
        if values.get("unit", self.unit) != self.unit:
            raise Conflict(UNIT_IS_KEPT)
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
        """Restore a deleted product, and the portions that were deleted together with it."""
        deleted_at = self.deleted_at
        super().restore()
        portions = Portion.all_objects.for_device(self.device_id).filter(product=self.pk)
        portions.filter(deleted_at=deleted_at, deleted_at__isnull=False).update(deleted_at=None)

    def cascaded_rows(self) -> list[DeviceScopedQuerySet[Any]]:
        return [Portion.all_objects.for_device(self.device_id).filter(product=self.pk)]

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        yield from super().violations()
        live = Q(portions__deleted_at=None)
        counted = cls.objects.across_devices().annotate(
            defaults=Count("portions", filter=live & Q(portions__is_default=True))
        )
        yield "a live product has exactly one default portion", counted.exclude(defaults=1)

    def nutrition(self, grams: Decimal) -> dict[str, Decimal | None]:
        """Return kcal and nutrients of an amount, each rounded half up to 2 decimals.

        Value per 100 g × grams ÷ 100. A nutrient is None if the product's is unknown.
        """

        def scaled(per_100g: Decimal | int | None) -> Decimal | None:
            return None if per_100g is None else rounded(per_100g * grams / 100)

        return {n.name: scaled(getattr(self, n.column_100g)) for n in NUTRIENTS}
