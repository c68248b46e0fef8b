"""FoodEntry: what was eaten. Its kcal and nutrients are calculated once, when it is written."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Cast, Coalesce, Round
from django.db.models.lookups import Exact

from countonme.scope.bounds import bounded
from countonme.scope.exceptions import Missing
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products.models import (
    CENT,
    Portion,
    Product,
    grams_field,
    rounded,
    unit_constraint,
    unit_field,
)
from products.names import NameField, name_constraint
from products.nutrients import MAX_GRAMS, NAMES, NUTRIENTS, OPTIONAL

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)
MAX_QUANTITY = 10_000
# The columns that an entry takes from its product. An entry of a portion also takes its grams.
FROM_PRODUCT = ("name", "unit", *NAMES)
# A function that returns the row of a model with an id.
Find = Callable[[type[DeviceScoped], uuid.UUID], Any]


class MealType(models.TextChoices):
    BREAKFAST = "breakfast"
    LUNCH = "lunch"
    DINNER = "dinner"
    SNACKS = "snacks"


class FoodEntryQuerySet(DeviceScopedQuerySet["FoodEntry"]):
    def in_order(self) -> Self:
        """Sort the newest day first, and within a day in the order of logging."""
        return self.order_by("-date", "created_at", "id")

    def totals(self, *by: str) -> models.QuerySet[FoodEntry, dict[str, Any]]:
        """Return the number of entries and their sums for each value of the fields `by`.

        One query. PostgreSQL sums exact decimals; each sum is then the nearest double, the type
        that JSON's numbers have.
        """
        return self._grouped(by)

    def unknown_and_totals(self, *by: str) -> models.QuerySet[FoodEntry, dict[str, Any]]:
        """Return the same, and before the sums how many entries have null in each of `OPTIONAL`."""
        unknown = {f"unknown_{name}": Count("pk", filter=Q(**{name: None})) for name in OPTIONAL}
        return self._grouped(by, **unknown)

    def _grouped(
        self, by: Iterable[str], **counts: Count
    ) -> models.QuerySet[FoodEntry, dict[str, Any]]:
        sums = {
            name: Cast(Coalesce(Sum(name), Value(Decimal(0))), models.FloatField())
            for name in NAMES
        }
        rows = self.order_by(*by).values(*by)
        # The sums come last, because they hide the columns whose names they take.
        return rows.annotate(entries=Count("pk"), **counts, **sums)


@bounded()
class FoodEntry(DeviceScoped):
    """Something eaten on a day: grams or portions of a product, or something without a product."""

    product = ScopedForeignKey(Product, null=True, blank=True, related_name="entries")
    portion = ScopedForeignKey(Portion, null=True, blank=True, related_name="entries")
    date = models.DateField(validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)])
    meal_type = models.CharField(max_length=9, choices=MealType)
    name = NameField()
    unit = unit_field()
    grams = grams_field(null=True, blank=True)
    quantity = models.DecimalField(
        max_digits=7,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(CENT), MaxValueValidator(MAX_QUANTITY)],
    )
    vars().update({nutrient.name: nutrient.field() for nutrient in NUTRIENTS})
    eaten_at = models.DateTimeField(null=True, blank=True)

    product_id: uuid.UUID | None
    portion_id: uuid.UUID | None
    objects: ClassVar[Any] = LiveManager.from_queryset(FoodEntryQuerySet)()
    all_objects: ClassVar[Any] = AllObjectsManager.from_queryset(FoodEntryQuerySet)()

    class Meta(DeviceScoped.Meta):
        db_table = "food_entries"
        verbose_name = "food entry"
        verbose_name_plural = "food entries"
        indexes = [
            models.Index(
                "device",
                models.F("date").desc(),
                "created_at",
                "id",
                name="food_entries_by_day",
                condition=Q(deleted_at=None),
            ),
            # Deleted entries too: the purge asks whether any entry refers to a product.
            models.Index(
                "device",
                "product",
                models.F("date").desc(),
                "created_at",
                "id",
                name="food_entries_by_product",
                condition=Q(product__isnull=False),
            ),
        ]
        constraints = [
            name_constraint("food_entries"),
            unit_constraint("food_entries"),
            models.CheckConstraint(
                name="food_entries_meal_type", condition=Q(meal_type__in=MealType.values)
            ),
            models.CheckConstraint(
                name="food_entries_amount_is_whole",
                condition=Q(product=None, portion=None, quantity=None)
                | Q(product__isnull=False, grams__isnull=False, portion=None, quantity=None)
                | Q(
                    product__isnull=False,
                    grams__isnull=False,
                    portion__isnull=False,
                    quantity__isnull=False,
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.name}"

    @classmethod
    def add(
        cls, device_id: uuid.UUID, *, id: uuid.UUID | None = None, **values: Any
    ) -> tuple[FoodEntry, bool]:
        """Log something eaten; see the base class.

        Args:
            values: `date` and `meal_type`, and one of these: `product_id` and `grams`;
                `product_id`, `portion_id` and `quantity` (default 1); `name` and `kcal`, with any
                nutrients that are known.

        Raises:
            ValidationError: a value that says what was eaten is missing, or the amount is too much.
            Missing: the device has no such live product, or the product has no such live portion.
        """
        known = cls.existing(device_id, id)
        if known is not None:
            return known, False
        entry = cls(device_id=device_id, date=values["date"], **({"id": id} if id else {}))
        entry.check_quota()
        for name, value in entry.resolve_columns(values).items():
            setattr(entry, name, value)
        entry.insert()
        return entry, True

    counted_by = "date"

    @classmethod
    def quota(cls) -> tuple[int, str]:
        limit = settings.MAX_ENTRIES_PER_DAY
        return limit, f"A day has at most {limit} food entries"

    def change(self, **values: Any) -> bool:
        """Update the entry.

        Name, unit, grams, kcal and nutrients are calculated again only if the product, the portion
        or the amount changes.

        Raises:
            ValidationError, Missing, Conflict: as `add()` does.
        """
        return super().change(**self.resolve_columns(values))

    def resolve_columns(self, values: dict[str, Any], find: Find | None = None) -> dict[str, Any]:
        """Return the columns to set for the values that a client sent; others keep theirs.

        Args:
            values: as those of `add()`, but any may be left out.
            find: returns the product and the portion, or raises Missing. By default it finds live
                rows, and deleted ones that this entry already refers to.

        Raises:
            ValidationError, Missing: as `add()` does.
        """
        independent: dict[str, Any] = {
            name: values[name] for name in ("date", "meal_type", "eaten_at") if name in values
        }
        if values.get("product_id", self.product_id) is None:
            return independent | self._without_product(values)
        amount = self._amount(values)
        stored = {name: getattr(self, name) for name in amount}
        if amount == stored:
            return independent
        without_portion = {"portion_id": None, "quantity": None}
        if "portion_id" not in values and amount == stored | without_portion:
            # Grams take the place of a portion of the same grams: there is nothing to calculate.
            return independent | without_portion
        return independent | amount | self._calculate(amount, find or self._fetch_reference)

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        """Also compare entries with what they were calculated from, if that is unchanged since."""
        yield from super().violations()
        with_product = cls.all_objects.across_devices().filter(product__isnull=False)
        yield "unit is the product's", with_product.exclude(unit=F("product__unit"))
        rows = cls.all_objects.across_devices().filter(updated_at=None)
        of_product = rows.filter(
            Q(product__updated_at=None) | Q(product__updated_at__lte=F("created_at")),
            product__isnull=False,
        )
        unknown = Value(Decimal(-1))
        for name in NAMES:
            share = Round(F(f"product__{name}_100g") * F("grams") / Value(Decimal(100)), 2)
            is_right = Exact(Coalesce(F(name), unknown), Coalesce(share, unknown))
            yield f"{name} is the product's for these grams", of_product.exclude(is_right)
        of_portion = rows.filter(
            Q(portion__updated_at=None) | Q(portion__updated_at__lte=F("created_at")),
            portion__isnull=False,
        )
        grams = Round(F("portion__grams") * F("quantity"), precision=2)
        yield "grams are the portion's times the quantity", of_portion.exclude(grams=grams)

    def _without_product(self, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("portion_id") is not None:
            raise _required("product_id")
        sent = {name: values[name] for name in (*FROM_PRODUCT, "grams") if name in values}
        missing = [name for name in ("name", "kcal") if sent.get(name, getattr(self, name)) is None]
        if not sent.get("name", self.name):
            missing = ["name", *(name for name in missing if name != "name")]
        if missing:
            raise _required(*missing)
        return {"product_id": None, "portion_id": None, "quantity": None, **sent}

    def _amount(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the product and how much of it: a portion and a quantity, or grams.

        The grams of a new portion or quantity are None: `_calculate()` fills them in.
        """
        product_id = values.get("product_id", self.product_id)
        portion_id = values.get("portion_id")
        by_grams = "portion_id" in values or ("grams" in values and "quantity" not in values)
        if portion_id is None and not by_grams:
            portion_id = self.portion_id
            if portion_id is not None and product_id != self.product_id:
                raise _required("portion_id")
        if portion_id is None:
            grams = values.get("grams", self.grams)
            if grams is None:
                raise _required("grams")
            return {
                "product_id": product_id,
                "portion_id": None,
                "quantity": None,
                "grams": grams,
            }
        quantity = values.get("quantity", self.quantity) or Decimal(1)
        is_same = (portion_id, quantity) == (self.portion_id, self.quantity)
        return {
            "product_id": product_id,
            "portion_id": portion_id,
            "quantity": quantity,
            "grams": self.grams if is_same else None,
        }

    def _calculate(self, amount: dict[str, Any], find: Find) -> dict[str, Any]:
        """Return name, unit, grams, kcal and nutrients, from the product and portion as of now."""
        product = find(Product, amount["product_id"])
        grams = amount["grams"]
        if amount["portion_id"] is not None:
            portion = find(Portion, amount["portion_id"])
            if portion.product_id != product.pk:
                raise Missing(Portion)
            grams = rounded(portion.grams * amount["quantity"])
            if not CENT <= grams <= MAX_GRAMS:
                raise ValidationError(
                    f"The portion's grams times the quantity must be {CENT} to {MAX_GRAMS}.",
                    code="max_value" if grams > MAX_GRAMS else "min_value",
                )
        described = {"name": product.name, "unit": product.unit, "grams": grams}
        return described | product.nutrition(grams)

    def _fetch_reference(self, model: type[DeviceScoped], id: uuid.UUID) -> Any:
        """Return a live product or portion, or a deleted one that this entry already refers to.

        Raises:
            Missing: the device has no such row.
        """
        is_known = id in (self.product_id, self.portion_id)
        return model.fetch(self.device_id, id, deleted=is_known)


def _required(*names: str) -> ValidationError:
    """Return an error that says of each of these fields that it is required."""
    return ValidationError(
        {name: ValidationError("This field is required.", code="required") for name in names}
    )
