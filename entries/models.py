"""FoodEntry: what was eaten. Its kcal and nutrients are calculated once, when it is written."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, F, Q, Sum, Value
from django.db.models.functions import Cast, Coalesce, Round, Substr
from django.db.models.lookups import Exact
from django.utils import timezone

from countonme.scope.bounds import bounded
from countonme.scope.exceptions import Missing
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from products.models import (
    Find,
    Portion,
    Product,
    grams_field,
    quantity_field,
    unit_constraint,
    unit_field,
)
from products.names import FoldedField, NameField, name_constraint
from products.nutrients import NAMES, NUTRIENTS, OPTIONAL

FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)
# The columns that an entry takes from its product. An entry of a portion also takes its grams.
FROM_PRODUCT = ("name", "unit", *NAMES)


class MealType(models.TextChoices):
    BREAKFAST = "breakfast"
    LUNCH = "lunch"
    DINNER = "dinner"
    SNACKS = "snacks"


class FoodEntryQuerySet(DeviceScopedQuerySet["FoodEntry"]):
    def in_order(self) -> Self:
        """Sort the newest day first, and within a day in the order of logging."""
        return self.order_by("-date", "created_at", "id")

    def copy(
        self,
        *,
        to_date: date,
        from_date: date | None = None,
        meal_type: str | None = None,
        entry_ids: Iterable[uuid.UUID] | None = None,
        to_meal_type: str | None = None,
        copy_id: uuid.UUID | None = None,
    ) -> tuple[list[FoodEntry], bool]:
        """Log some of a device's entries again on another day, as they are written.

        Call it within a transaction that has locked the device.

        Args:
            from_date: the day whose entries are copied, or with `meal_type` those of a meal.
            entry_ids: the entries that are copied; then `from_date` and `meal_type` do not count.
            to_meal_type: the copies' meal; by default each has that of its original.
            copy_id: a client's id of this copying. The copies' ids follow from it: a phone can work
                them out without the server, and a repeated request is known by them. Without it
                they follow from a random one, because `violations()` knows copies by their ids.

        Returns:
            The copies, in the order of their originals in the diary, and whether they were created
            now. After a repeated request, those that are still there.

        Raises:
            Missing: an entry that is named is not among these, and the request is not a repeated
                one.
            Conflict: the day has no room for all of them.
        """
        if entry_ids is not None:
            chosen = self.filter(pk__any_of=entry_ids)
        else:
            chosen = self.filter(date=from_date)  # type: ignore[misc]  # a day, without ids
            if meal_type is not None:
                chosen = chosen.filter(meal_type=meal_type)
        entries = list(chosen.order_by("date", "created_at", "pk"))
        originals = {entry.pk for entry in entries} if entry_ids is None else set(entry_ids)
        if copy_id is not None:
            known = self.of_ids(uuid.uuid5(copy_id, str(original)) for original in originals)
            if known:
                copies = (copy for copy in known.values() if copy.deleted_at is None)
                return sorted(copies, key=lambda copy: (copy.created_at, copy.pk)), False
        if len(entries) < len(originals):
            raise Missing(self.model)
        if entries:
            self.model(device_id=self.device_id, date=to_date).check_quota(len(entries))
        now, namespace = timezone.now(), copy_id or uuid.uuid4()
        for place, entry in enumerate(entries):
            entry.pk = uuid.uuid5(namespace, str(entry.pk))
            entry.date = to_date
            entry.meal_type = to_meal_type or entry.meal_type
            entry.eaten_at = entry.updated_at = None
            # A microsecond apart: a day is listed in this order, and then in that of the ids.
            entry.created_at = now + timedelta(microseconds=place)
        self.bulk_save(entries, insert=True)
        return entries, True

    def restate(self, product: Product) -> int:
        """Work out these entries of a product again, from the product as it is now.

        One UPDATE. Their grams stay, and an entry that would stay as it is is not written.

        Returns:
            How many entries changed.
        """
        values: dict[str, Any] = {"name": product.name, "unit": product.unit}
        for nutrient in NUTRIENTS:
            per_100g = getattr(product, nutrient.column_100g)
            known = None if per_100g is None else share(Value(Decimal(per_100g)))
            values[nutrient.name] = known
        stale = self.filter(product_id=product.pk).exclude(**values)
        return stale.update(**values, updated_at=timezone.now())

    def comparable(self) -> FoodEntryQuerySet:
        """Return the entries of products that nobody has changed since they were written.

        Copies, whose ids are UUIDs of version 5, are left out: they are as their originals were.
        """
        version = Substr(Cast("pk", models.TextField()), 15, 1)
        return (
            self.filter(updated_at=None, product__isnull=False)
            .alias(version=version)
            .exclude(version="5")
        )

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


def share(per_100g: Any) -> Round:
    """Return the expression of `Product.nutrition()`: a nutrient of an entry, from its grams."""
    return Round(per_100g * F("grams") / Value(Decimal(100)), precision=2)


def broken_by_product() -> dict[str, Q]:
    """Return the conditions of entries that differ from what they were worked out from, by rule.

    Only while nobody has changed the product, or the portion, since the entry was written.
    """
    unknown = Value(Decimal(-1))
    same_product = Q(product__updated_at=None) | Q(product__updated_at__lte=F("created_at"))
    found = {}
    for name in NAMES:
        right = share(F(f"product__{name}_100g"))
        is_right = Exact(Coalesce(F(name), unknown), Coalesce(right, unknown))
        found[f"{name} is the product's for these grams"] = same_product & ~Q(is_right)
    same_portion = Q(portion__updated_at=None) | Q(portion__updated_at__lte=F("created_at"))
    grams = Round(F("portion__grams") * F("quantity"), precision=2)
    found["grams are the portion's times the quantity"] = (
        Q(portion__isnull=False) & same_portion & ~Q(grams=grams)
    )
    return found


@bounded()
class FoodEntry(DeviceScoped):
    """Something eaten on a day: grams or portions of a product, or something without a product."""

    product = ScopedForeignKey(Product, null=True, blank=True, related_name="entries")
    portion = ScopedForeignKey(Portion, null=True, blank=True, related_name="entries")
    date = models.DateField(validators=[MinValueValidator(FIRST_DAY), MaxValueValidator(LAST_DAY)])
    meal_type = models.CharField(max_length=9, choices=MealType)
    name = NameField()
    name_folded = FoldedField()
    unit = unit_field()
    grams = grams_field(null=True, blank=True)
    quantity = quantity_field(null=True, blank=True)
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
            # Deleted entries too: the purge asks whether any entry refers to a product. What it
            # includes is for suggestions, which would else read all entries of a device.
            models.Index(
                "device",
                "product",
                models.F("date").desc(),
                "created_at",
                "id",
                name="food_entries_by_product",
                include=["meal_type", "deleted_at"],
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
        """Also compare entries with what they were calculated from."""
        yield from super().violations()
        with_product = cls.all_objects.across_devices().filter(product__isnull=False)
        yield "unit is the product's", with_product.exclude(unit=F("product__unit"))
        comparable = cls.all_objects.across_devices().comparable()
        for rule, is_broken in broken_by_product().items():
            yield rule, comparable.filter(is_broken)

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
            grams = portion.weigh(amount["quantity"])
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
