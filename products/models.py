"""Product and Portion: what can be eaten, and in what measures."""

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
from django.db.models import Count, F, Prefetch, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone

from countonme.scope.bounds import bounded
from countonme.scope.constraints import DeviceUniqueConstraint
from countonme.scope.exceptions import Conflict
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products import gtin
from products.names import FoldedField, NameField, WordsField, found_by, name_constraint
from products.nutrients import MACROS, MAX_GRAMS, NUTRIENTS

CENT = Decimal("0.01")
MACROS_100G = tuple(f"{macro}_100g" for macro in MACROS)
# Of a label that rounds each up; the sum of the exact ones is 100 at most.
MAX_MACROS_100G = 105
UNIT_IS_KEPT = "The unit of a product can't be changed"
ZERO = Value(Decimal(0), output_field=models.DecimalField())


def rounded(value: Decimal) -> Decimal:
    """Round half up to two decimals."""
    return value.quantize(CENT, ROUND_HALF_UP)


class Unit(models.TextChoices):
    """What amounts are counted in: of a drink, "grams" and "100g" in names mean millilitres."""

    GRAMS = "g", "g"
    MILLILITRES = "ml", "ml"


def unit_field() -> models.CharField[Any, Any]:
    """Return the field of a unit."""
    return models.CharField(max_length=2, choices=Unit, default=Unit.GRAMS)


def unit_constraint(table: str) -> models.CheckConstraint:
    """Return what the database holds of a unit's rule."""
    return models.CheckConstraint(name=f"{table}_unit", condition=Q(unit__in=Unit.values))


def grams_field(**kwargs: Any) -> models.DecimalField[Any, Any]:
    """Return the field of a weight in grams: over 0, at most 10000."""
    return models.DecimalField(
        max_digits=7,
        decimal_places=2,
        validators=[MinValueValidator(CENT), MaxValueValidator(MAX_GRAMS)],
        **kwargs,
    )


# What a search looks in.
SEARCHED = ("name_words", "brand_words")


class ProductQuerySet(DeviceScopedQuerySet["Product"]):
    def search(self, text: str) -> ProductQuerySet:
        """Return the rows where every word of a text starts some word of name or brand."""
        return self.filter(found_by(text, *SEARCHED))

    def with_barcode(self, barcode: str) -> ProductQuerySet:
        """Return the rows of a barcode, in whatever form they have it; none where it is none."""
        gtin_14 = gtin.to_gtin_14(barcode)
        return self.filter(gtin_14=gtin_14) if gtin_14 else self.none()

    def in_order(self) -> Self:
        """Sort by the folded name."""
        return self.order_by("name_folded", "id")

    def with_portions(self) -> ProductQuerySet:
        """Fetch the live portions too, in their order, by one query more."""
        return self.prefetch_related(Portion.prefetch(self.device_id))

    def delete_at(self, moment: datetime) -> int:
        """Delete softly, the portions with their products and at the same moment."""
        with transaction.atomic():
            self.lock_devices()
            to_delete = list(self.filter(deleted_at=None).only("pk"))
            self.in_same_scope(Portion).filter(product__in=to_delete).update(deleted_at=moment)
            keys = [product.key for product in to_delete]
            return self.of_keys(keys).update(deleted_at=moment)


@bounded(**{nutrient.column_100g: nutrient.name for nutrient in NUTRIENTS})
class Product(DeviceScoped):
    """A food, with its energy and nutrients per 100 g, or of a drink per 100 ml."""

    name = NameField()
    name_folded = FoldedField()
    name_words = WordsField()
    brand = NameField(null=True, blank=True)
    brand_words = WordsField("brand", null=True)
    unit = unit_field()
    vars().update({nutrient.column_100g: nutrient.field_100g() for nutrient in NUTRIENTS})
    barcode = gtin.BarcodeField()
    gtin_14 = gtin.NormalizedField("barcode", null=True)

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
        ]
        constraints = [
            name_constraint("products"),
            name_constraint("products", "brand"),
            unit_constraint("products"),
            models.CheckConstraint(
                name="products_macros_fit_100g",
                condition=LessThanOrEqual(
                    sum(
                        (Coalesce(F(macro), ZERO) for macro in MACROS_100G[1:]),
                        start=Coalesce(F(MACROS_100G[0]), ZERO),
                    ),
                    Value(MAX_MACROS_100G),
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def add(
        cls, device_id: uuid.UUID, *, id: uuid.UUID | None = None, **values: Any
    ) -> tuple[Product, bool]:
        """Create a product with its first portion, 100 g or ml; see the base class."""
        product, created = super().add(device_id, id=id, **values)
        if created:
            Portion.first_of(product).insert()
        return product, created

    def clean(self) -> None:
        """Check the rule over several fields.

        Raises:
            ValidationError: protein, carbs and fat of 100 g weigh more than labels round to.
        """
        if sum(getattr(self, macro) or 0 for macro in MACROS_100G) > MAX_MACROS_100G:
            *others, last = MACROS_100G
            raise ValidationError(
                f"{', '.join(others)} and {last} must not exceed {MAX_MACROS_100G} together.",
                code="max_value",
            )

    def change(self, **values: Any) -> bool:
        """Update all but the unit.

        Raises:
            Conflict: it would become another: portions and entries are counted in it.
        """
        if values.get("unit", self.unit) != self.unit:
            raise Conflict(UNIT_IS_KEPT)
        return super().change(**values)

    @classmethod
    def quota(cls) -> tuple[int, str]:
        limit = settings.MAX_PRODUCTS_PER_DEVICE
        return limit, f"A device has at most {limit} products"

    def restore(self) -> None:
        """Bring a deleted product back, with the portions that went with it."""
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
        """Return kcal and nutrients of so many grams, each rounded half up to 2 decimals.

        per 100 g × grams ÷ 100; a nutrient is None where the product's is.
        """

        def share(per_100g: Decimal | int | None) -> Decimal | None:
            return None if per_100g is None else rounded(per_100g * grams / 100)

        return {n.name: share(getattr(self, n.column_100g)) for n in NUTRIENTS}


class PortionQuerySet(DeviceScopedQuerySet["Portion"]):
    def in_order(self) -> Self:
        """Sort the default first, then by the folded name."""
        return self.order_by("-is_default", "name_folded", "id")

    def demote(self) -> None:
        """Take the default from the row that has it, which counts as its update."""
        self.filter(is_default=True).update(is_default=False, updated_at=timezone.now())

    def delete_at(self, moment: datetime) -> int:
        """Delete softly, one by one: each product keeps a default portion.

        Raises:
            Conflict: a product would lose its last portion.
        """
        with transaction.atomic():
            self.lock_devices()
            # The default last: its heir is to be one that stays.
            portions = list(self.filter(deleted_at=None).order_by("is_default"))
            for portion in portions:
                heir = portion.others().order_by("created_at", "id").first()
                if heir is None:
                    raise Conflict("A product keeps at least one portion")
                self.of_keys([portion.key]).update(deleted_at=moment)
                if portion.is_default:
                    heir.change(is_default=True)
            return len(portions)


@bounded()
class Portion(DeviceScoped):
    """A measure of a product, as "1 slice": a name and its grams, or of a drink its millilitres."""

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
            # What the composite foreign key of entries refers to; it also lists a product's.
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
            portion.others().demote()
        portion.insert()
        return portion, True

    @classmethod
    def prefetch(cls, device_id: uuid.UUID) -> Prefetch[str]:
        """Return what fetches the live portions of a device's products, in their order."""
        return Prefetch("portions", cls.objects.for_device(device_id).in_order())

    @classmethod
    def first_of(cls, product: Product) -> Portion:
        """Return the portion that a product has from the start, unsaved."""
        return cls(
            device_id=product.device_id,
            product=product,
            name=f"100{product.unit}",
            grams=Decimal(100),
            is_default=True,
        )

    @classmethod
    def choose_default(cls, portions: Sequence[Portion], chosen: Mapping[uuid.UUID, int]) -> None:
        """Have one of a product's live portions, unsaved yet, be the default.

        Of several it is the last that was chosen now; where there is none, the oldest.

        Args:
            chosen: which were made the default now, each with its place among them, from 1 on.
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
        """Update; `is_default` takes the default from the other portion.

        Raises:
            Conflict: the default portion would be none any more, and no other would be it.
        """
        becomes_default = values.get("is_default", self.is_default)
        if self.is_default and not becomes_default:
            raise Conflict("Make another portion the default instead")
        if becomes_default and not self.is_default:
            self.others().demote()
        return super().change(**values)

    def restore(self) -> None:
        """Bring a deleted portion back; the default stays where it is by now.

        Raises:
            Conflict: its product is deleted, or has as many portions as it may.
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
