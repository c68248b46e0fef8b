"""Portion: a measure in which a product is eaten."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Prefetch, Q
from django.utils import timezone

from countonme.scope.bounds import bounded
from countonme.scope.constraints import DeviceUniqueConstraint
from countonme.scope.exceptions import ID_IN_USE, Conflict
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products import recipes
from products.models.fields import CENT, grams_field, rounded
from products.names import FoldedField, NameField, name_constraint
from products.nutrients import MAX_GRAMS

if TYPE_CHECKING:
    from products.models.product import Product


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

    product = ScopedForeignKey("products.Product", related_name="portions")
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

    def weigh(self, quantity: Decimal) -> Decimal:
        """Return the grams of some of these portions, rounded half up to 2 decimals.

        Raises:
            ValidationError: they are out of the bounds of an amount.
        """
        grams = rounded(self.grams * quantity)
        if not CENT <= grams <= MAX_GRAMS:
            raise ValidationError(
                f"The portion's grams times the quantity must be {CENT} to {MAX_GRAMS}.",
                code="max_value" if grams > MAX_GRAMS else "min_value",
            )
        return grams

    @property
    def is_serving(self) -> bool:
        """Whether this has the id of its product's serving, if that is a recipe."""
        return self.pk == recipes.serving_id(self.product_id)

    @classmethod
    def keep_serving(cls, product: Product, grams: Decimal, *, is_made: bool) -> None:
        """Give a recipe its serving, or that its grams; bring a deleted one back.

        It may be one portion more than a product otherwise has.

        Args:
            is_made: whether the product becomes a recipe now. Then the serving is the default.

        Raises:
            Conflict: a portion of another product has the serving's id.
        """
        key = recipes.serving_id(product.pk)
        rows = cls.all_objects.for_device(product.device_id)
        serving = rows.of_ids([key]).get(key)
        if serving is None:
            serving = cls(
                id=key,
                device_id=product.device_id,
                product=product,
                name=recipes.SERVING,
                grams=grams,
            )
        elif serving.product_id != product.pk:
            raise Conflict(ID_IN_USE)
        is_new = serving._state.adding
        before = (serving.deleted_at, serving.grams, serving.is_default)
        is_default = is_made or (serving.is_default and serving.deleted_at is None)
        after = (None, grams, is_default)
        if is_default and not (serving.is_default and serving.deleted_at is None):
            serving.others().unset_default()
        serving.deleted_at, serving.grams, serving.is_default = after
        if is_new:
            serving.insert()
        elif before != after:
            serving.updated_at = timezone.now()
            serving.save()

    def change(self, **values: Any) -> bool:
        """Update the portion. If it becomes the default, the product's other default no longer is.

        The grams of a recipe's serving follow from the recipe, and are ignored.

        Raises:
            Conflict: `is_default` is false for the default portion: the product would have none.
        """
        if "grams" in values and self.is_serving and self.product.is_recipe:
            values.pop("grams")
        becomes_default = values.get("is_default", self.is_default)
        if self.is_default and not becomes_default:
            raise Conflict("Make another portion the default instead")
        if becomes_default and not self.is_default:
            self.others().unset_default()
        return super().change(**values)

    def restore(self) -> None:
        """Restore a deleted portion. A former default is not the default if another is by now.

        A recipe's serving gets the grams that follow from the recipe by now.

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
        if self.is_serving:
            self.product.work_out()

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        yield from super().violations()
        live = cls.objects.across_devices()
        yield "a live portion's product is live", live.filter(product__deleted_at__isnull=False)
