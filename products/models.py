"""Product and Portion: foods, and the measures in which they are eaten."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Case, Count, Prefetch, Q, Value, When
from django.utils import timezone

from countonme.api.text import fold
from countonme.scope.bounds import bounded
from countonme.scope.constraints import DeviceUniqueConstraint
from countonme.scope.exceptions import Conflict
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products import gtin
from products.names import FoldedField, NameField, WordsField, name_constraint, search_condition
from products.nutrients import (
    MACROS_100G,
    MAX_GRAMS,
    MAX_MACROS_100G,
    NUTRIENTS,
    macros_constraint,
)

CENT = Decimal("0.01")
UNIT_IS_KEPT = "The unit of a product can't be changed"


def rounded(value: Decimal) -> Decimal:
    """Round half up to two decimals."""
    return value.quantize(CENT, ROUND_HALF_UP)


class Unit(models.TextChoices):
    """The unit of a food's amounts. For `ml`, "grams" and "100g" in names mean millilitres."""

    GRAMS = "g", "g"
    MILLILITRES = "ml", "ml"


def unit_field() -> models.CharField[Any, Any]:
    """Return a model field for a unit."""
    return models.CharField(max_length=2, choices=Unit, default=Unit.GRAMS)


def unit_constraint(table: str) -> models.CheckConstraint:
    """Return the CHECK that a table's unit is one of `Unit`."""
    return models.CheckConstraint(name=f"{table}_unit", condition=Q(unit__in=Unit.values))


def grams_field(**kwargs: Any) -> models.DecimalField[Any, Any]:
    """Return a model field for a weight in grams: 0.01 to 10000, with 2 decimals."""
    return models.DecimalField(
        max_digits=7,
        decimal_places=2,
        validators=[MinValueValidator(CENT), MaxValueValidator(MAX_GRAMS)],
        **kwargs,
    )


def check_macros(food: models.Model) -> None:
    """Check that the macros of a food fit into 100 g.

    Raises:
        ValidationError: protein, carbs and fat weigh more than 105 g together.
    """
    if sum(getattr(food, macro) or 0 for macro in MACROS_100G) > MAX_MACROS_100G:
        *others, last = MACROS_100G
        raise ValidationError(
            f"{', '.join(others)} and {last} must not exceed {MAX_MACROS_100G} together.",
            code="max_value",
        )


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


class PortionQuerySet(DeviceScopedQuerySet["Portion"]):
    def in_order(self) -> Self:
        """Sort the default first, then by the folded name."""
        return self.order_by("-is_default", "name_folded", "id")

    def unset_default(self) -> None:
        """Make the default portion, if it is among these, an ordinary one; set `updated_at`."""
        self.filter(is_default=True).update(is_default=False, updated_at=timezone.now())

    def delete_at(self, moment: datetime) -> int:
        """Delete portions softly, one by one.

        Each product keeps a default portion: if that is deleted, the oldest of the others becomes
        the default.

        Raises:
            Conflict: a product would lose its last portion.
        """
        with transaction.atomic():
            self.lock_devices()
            # The default last, so that a portion that stays takes its place.
            portions = list(self.filter(deleted_at=None).order_by("is_default"))
            for portion in portions:
                next_default = portion.others().order_by("created_at", "id").first()
                if next_default is None:
                    raise Conflict("A product keeps at least one portion")
                self.of_keys([portion.key]).update(deleted_at=moment)
                if portion.is_default:
                    next_default.change(is_default=True)
            return len(portions)


@bounded()
class Portion(DeviceScoped):
    """A measure of a product, such as "1 slice", and its weight in grams (ml of a drink)."""

    product = ScopedForeignKey(Product, related_name="portions")
    name = NameField()
    name_folded = FoldedField()
    grams = grams_field()
    is_default = models.BooleanField(default=False)

    product_id: uuid.UUID
    objects: ClassVar[Any] = LiveManager.from_queryset(PortionQuerySet)()
    all_objects: ClassVar[Any] = AllObjectsManager.from_queryset(PortionQuerySet)()

    class Meta(DeviceScoped.Meta):
        db_table = "portions"
        verbose_name = "portion"
        constraints = [
            # The composite foreign key of entries refers to this; its index also lists a product's
            # portions.
            DeviceUniqueConstraint(
                fields=["device", "product", "id"], name="portions_device_product_id"
            ),
            DeviceUniqueConstraint(
                fields=["device", "product"],
                name="portions_one_default",
                condition=Q(is_default=True, deleted_at=None),
                violation_error_message="A product has one default portion.",
            ),
            name_constraint("portions"),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def add(
        cls, device_id: uuid.UUID, *, id: uuid.UUID | None = None, **values: Any
    ) -> tuple[Portion, bool]:
        """Create a portion of `product`; see the base class."""
        known = cls.existing(device_id, id)
        if known is not None:
            return known, False
        portion = cls(device_id=device_id, **({"id": id} if id else {}), **values)
        portion.check_quota()
        if portion.is_default:
            portion.others().unset_default()
        portion.insert()
        return portion, True

    @classmethod
    def prefetch(cls, device_id: uuid.UUID) -> Prefetch[str]:
        """Return a `Prefetch` of the live portions of a device's products, in order."""
        return Prefetch("portions", cls.objects.for_device(device_id).in_order())

    @classmethod
    def first_of(cls, product: Product) -> Portion:
        """Return the portion that every new product gets, unsaved: 100 g or ml, the default."""
        return cls(
            device_id=product.device_id,
            product=product,
            name=f"100{product.unit}",
            grams=Decimal(100),
            is_default=True,
        )

    @classmethod
    def choose_default(cls, portions: Sequence[Portion], chosen: Mapping[uuid.UUID, int]) -> None:
        """Make one of a product's portions the default and the others not, without saving.

        Of several defaults the one that was chosen last stays. Without any, the oldest portion
        becomes the default.

        Args:
            portions: all live portions of the product, one at least.
            chosen: the ids of portions that were made the default now, numbered from 1 on in the
                order in which that happened.
        """
        default = max(
            sorted(portions, key=lambda portion: (portion.created_at, portion.pk)),
            key=lambda portion: (portion.is_default, chosen.get(portion.pk, 0)),
        )
        for portion in portions:
            portion.is_default = portion is default

    def others(self) -> PortionQuerySet:
        """Return the product's other live portions."""
        rows: PortionQuerySet = Portion.objects.for_device(self.device_id)
        return rows.filter(product=self.product_id).exclude(pk=self.pk)

    counted_by = "product_id"

    @classmethod
    def quota(cls) -> tuple[int, str]:
        limit = settings.MAX_PORTIONS_PER_PRODUCT
        return limit, f"A product has at most {limit} portions"

    def change(self, **values: Any) -> bool:
        """Update the portion. If it becomes the default, the product's other default no longer is.

        Raises:
            Conflict: `is_default` is false for the default portion: the product would have none.
        """
        becomes_default = values.get("is_default", self.is_default)
        if self.is_default and not becomes_default:
            raise Conflict("Make another portion the default instead")
        if becomes_default and not self.is_default:
            self.others().unset_default()
        return super().change(**values)

    def restore(self) -> None:
        """Restore a deleted portion. A former default is not the default if another is by now.

        Raises:
            Conflict: its product is deleted, or has as many portions as allowed.
        """
        if self.deleted_at is None:
            return
        if self.product.deleted_at is not None:
            raise Conflict("Restore its product first")
        if self.is_default and self.others().filter(is_default=True).exists():
            self.is_default = False
            self.save(update_fields=["is_default"])
        super().restore()

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        yield from super().violations()
        live = cls.objects.across_devices()
        yield "a live portion's product is live", live.filter(product__deleted_at__isnull=False)
