"""Foods, as their sources describe them or operators corrected them."""

from __future__ import annotations

import hashlib
import uuid
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib.postgres.indexes import GinIndex
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from catalog.energy import energy_range
from catalog.models.corrections import ENERGY_COLUMNS, Correction
from catalog.words import NameKeyField, WordsVector
from countonme.scope.bounds import bounded
from countonme.scope.exceptions import Missing
from products import gtin
from products.models import Product, check_macros, unit_constraint, unit_field
from products.names import NameField, name_constraint
from products.nutrients import COLUMNS_100G, MACROS_100G, NUTRIENTS, macros_constraint

# Ids of foods are UUIDs of version 5 in this namespace: the same in every installation.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "countonme:catalog").bytes
# The 17th digit of a UUID as RFC 9562 has it, whose first bits are 10.
VARIANT = dict(zip("0123456789abcdef", 4 * "89ab", strict=True))
# How often a branded food must have been scanned to be among the popular ones: a few per cent are.
POPULAR_SCANS = 20
COPIED = ("name", "brand", "unit", *COLUMNS_100G, "barcode")
# What an operator may correct. The next import keeps it.
CORRECTABLE = (*COPIED, "doubtful", "is_hidden")


def food_id(source: str, source_id: str) -> uuid.UUID:
    """Return the id of a source's food, the same in every installation and after every import."""
    return uuid.UUID(food_digits(source, source_id))


def food_digits(source: str, source_id: str) -> str:
    """Return the hexadecimal digits of a food's id, in a third of the time."""
    # What uuid.uuid5() does.
    name = f"{source}:{source_id}".encode()
    digits = hashlib.sha1(NAMESPACE + name, usedforsecurity=False).hexdigest()
    return f"{digits[:12]}5{digits[13:16]}{VARIANT[digits[16]]}{digits[17:32]}"


@bounded(**{nutrient.column_100g: nutrient.name for nutrient in NUTRIENTS})
class Food(models.Model):
    """A food of one source, as the source describes it or an operator corrected it.

    It keeps all rules of a product, so that it can be copied. Rows are written by imports and
    operators, and never deleted: what a source lacks is withdrawn, what must not be seen is hidden.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    # The key of a `Source`; the database has the foreign key. A field of Django's would take the
    # name of the next column.
    source = models.CharField(max_length=32, editable=False)
    source_id = models.CharField(max_length=64, editable=False)
    name = NameField()
    name_key = NameKeyField()
    brand = NameField(null=True, blank=True)
    words = WordsVector()
    unit = unit_field()
    language = models.CharField(max_length=2, null=True, blank=True)
    vars().update({nutrient.column_100g: nutrient.field_100g() for nutrient in NUTRIENTS})
    barcode = gtin.BarcodeField()
    gtin_14 = gtin.NormalizedField("barcode", null=True)
    # [{"name": "1 cup", "grams": 240}, …]: the first is the default portion of a copy.
    portions = models.JSONField(default=list, blank=True)
    doubtful = models.BooleanField(
        default=False, help_text="Its energy does not fit its macros. Searches show it last."
    )
    is_generic = models.BooleanField(default=False, editable=False)
    popularity = models.IntegerField(
        default=0, editable=False, help_text="How many people scanned it, as its source says."
    )
    is_hidden = models.BooleanField(default=False, help_text="Nobody can find it.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # When something that phones see changed.
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    source_updated_at = models.DateTimeField(null=True, editable=False)
    # Of all that the source says, so that an import sees at once what is unchanged.
    source_digest = models.BigIntegerField(default=0, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)
    is_live = models.GeneratedField(
        expression=Q(withdrawn_at=None, is_hidden=False),  # type: ignore[arg-type]  # a condition is one
        output_field=models.BooleanField(),
        db_persist=True,
    )
    is_popular = models.GeneratedField(
        expression=Q(is_generic=True) | Q(popularity__gte=POPULAR_SCANS),  # type: ignore[arg-type]  # likewise
        output_field=models.BooleanField(),
        db_persist=True,
    )

    kcal_100g: int
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        db_table = "catalog_foods"
        default_permissions = ("view", "change")
        indexes = [
            # Foods that somebody scanned, and the rest, which is asked last.
            GinIndex(
                fields=["words"],
                name="catalog_foods_known_words",
                condition=Q(is_live=True, is_popular=False, popularity__gt=0),
                fastupdate=False,
            ),
            GinIndex(
                fields=["words"],
                name="catalog_foods_other_words",
                condition=Q(is_live=True, is_popular=False, popularity__lte=0),
                fastupdate=False,
            ),
            # Not of live foods alone: the planner would read all of it for searches by words.
            models.Index(fields=["name_key"], name="catalog_foods_by_name"),
            models.Index(
                fields=["gtin_14"],
                name="catalog_foods_by_barcode",
                condition=Q(is_live=True, gtin_14__isnull=False),
            ),
        ]
        constraints = [
            name_constraint("catalog_foods"),
            name_constraint("catalog_foods", "brand"),
            unit_constraint("catalog_foods"),
            macros_constraint("catalog_foods"),
        ]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def fetch(cls, id: uuid.UUID) -> Food:
        """Return a food, also one that its source withdrew.

        Raises:
            Missing: there is none with this id, or it is hidden.
        """
        found: Food | None = cls.objects.filter(pk=id, is_hidden=False).first()
        if found is None:
            raise Missing(cls)
        return found

    @classmethod
    def locked(cls, id: uuid.UUID) -> Food:
        """Return a food for an operator's change, with its row locked."""
        food: Food = cls.objects.select_for_update(no_key=True).get(pk=id)
        return food

    def clean(self) -> None:
        """Check that the macros fit into 100 g, as a product's do."""
        check_macros(self)

    def validate_constraints(self, exclude: Any = None) -> None:
        """Leave them to the database: fields and `clean()` check the same, in better words."""

    @classmethod
    def parse(cls, field: str, value: Any) -> Any:
        """Return a field's value from what `plain()` made of it."""
        column: Any = cls._meta.get_field(field)
        return column.to_python(value)

    def assign(self, values: dict[str, Any]) -> None:
        """Set values and save them.

        Raises:
            ValidationError: they break a rule of a product.
        """
        for name, value in values.items():
            setattr(self, name, value)
        self.full_clean()
        self.updated_at = timezone.now()
        self.save()

    def copy_to(self, device_id: uuid.UUID, id: uuid.UUID | None = None) -> tuple[Product, bool]:
        """Make a product of this food, unless the device has one; within a locked transaction.

        Returns:
            The product, and whether it was created now.

        Raises:
            Conflict: the id is in use, or the device has as many products as allowed.
        """
        copies: Any = Product.objects.for_device(device_id).filter(catalog_id=self.pk)
        known = Product.existing(device_id, id) or copies.order_by("created_at", "id").first()
        if known is not None:
            return known, False
        values = {name: getattr(self, name) for name in COPIED}
        product, _ = Product.add(device_id, id=id, catalog_id=self.pk, **values)
        product.add_portions(
            (portion["name"], Decimal(str(portion["grams"]))) for portion in self.portions
        )
        return product, True

    def energy_fits(self) -> bool:
        """Return whether its energy can come from its macros: see `energy_range()`."""
        macros = (getattr(self, macro) for macro in MACROS_100G)
        low, high = energy_range(macros, getattr(self, "fiber_100g", None))
        return low <= self.kcal_100g <= high

    def correct(self, values: dict[str, Any], reason: str, user_id: int) -> list[Correction]:
        """Change values against what the source says; the next import keeps them.

        The food has to be locked. It is doubtful no longer where its corrected energy fits. None
        becomes doubtful by a correction: a spirit's energy never fits, as alcohol is not stored.

        Returns:
            The corrections now in force; none for a value that is the source's again.

        Raises:
            ValidationError: the values break a rule of a product.
        """
        before = {name: getattr(self, name) for name in CORRECTABLE}
        with transaction.atomic():
            self.assign(values)
            changes_energy = not values.keys().isdisjoint(ENERGY_COLUMNS)
            if changes_energy and "doubtful" not in values and self.energy_fits():
                self.assign({"doubtful": False})
            made = [
                Correction.make(self, name, before[name], reason, user_id)
                for name in CORRECTABLE
                if getattr(self, name) != before[name]
            ]
        return [correction for correction in made if correction is not None]


class PopularFood(models.Model):
    """What a search needs of a popular food, close together on the disk. Triggers keep the rows.

    A short word begins thousands of them: in the table of all foods each would be on another page.
    """

    food = models.OneToOneField(
        Food, models.DO_NOTHING, primary_key=True, db_constraint=False, related_name="+"
    )
    name_key = models.TextField(db_collation="C")
    words = WordsVector()
    language = models.CharField(max_length=2, null=True)
    doubtful = models.BooleanField()
    is_generic = models.BooleanField()
    popularity = models.IntegerField()

    food_id: uuid.UUID

    class Meta:
        db_table = "catalog_popular_foods"
        default_permissions = ()
        indexes = [
            GinIndex(fields=["words"], name="catalog_popular_foods_words", fastupdate=False),
            models.Index(fields=["name_key"], name="catalog_popular_foods_by_name"),
        ]

    def __str__(self) -> str:
        return self.name_key


class Word(models.Model):
    """A word of foods that can be found, or could be once. Triggers add it, and nobody removes it.

    A search asks first which words there are: see `catalog/search.py`.
    """

    word = models.TextField(primary_key=True, db_collation="C")

    class Meta:
        db_table = "catalog_words"
        default_permissions = ()

    def __str__(self) -> str:
        return self.word
