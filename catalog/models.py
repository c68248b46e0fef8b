"""The catalog: foods that everybody may look up, where they come from, and what is said of them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from math import inf
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F, Q, Sum
from django.utils import timezone

from countonme.api.text import compounds, is_unspaced, words, words_of
from countonme.scope.bounds import bounded
from countonme.scope.derived import DerivedField
from countonme.scope.exceptions import Conflict, Missing
from products import gtin
from products.models import Product, check_macros, unit_constraint, unit_field
from products.names import NameField, name_constraint
from products.nutrients import COLUMNS_100G, MACROS_100G, NUTRIENTS, macros_constraint

# Ids of foods are UUIDs of version 5 in this namespace: the same in every installation.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "countonme:catalog")
# How often a branded food must have been scanned to be among the popular ones: a few per cent are.
POPULAR_SCANS = 20
# kcal of a gram: Regulation (EU) No 1169/2011, annex XIV.
ENERGY_OF_MACROS = {"protein": 4, "carbs": 4, "fat": 9}
ENERGY_OF_FIBER, ENERGY_OF_ALCOHOL = 2, 7
COPIED = ("name", "brand", "unit", *COLUMNS_100G, "barcode")
# The values that `energy_fits()` compares.
ENERGY_COLUMNS = ("kcal_100g", *MACROS_100G, "fiber_100g")
# What an operator may correct. The next import keeps it.
CORRECTABLE = (*COPIED, "doubtful", "is_hidden")


def food_id(source: str, source_id: str) -> uuid.UUID:
    """Return the id of a source's food, the same in every installation and after every import."""
    # What uuid.uuid5() does, in half of its time.
    name = f"{source}:{source_id}".encode()
    digest = hashlib.sha1(NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)


def name_key(text: str) -> str:
    """Return the letters and digits of a name, folded, by which names are compared as a whole."""
    return "".join(piece for pieces in compounds(text) for piece in pieces)


def name_key_and_words(name: str, brand: str | None) -> tuple[str, str]:
    """Return a food's `name_key()`, and its words as PostgreSQL reads a `tsvector`.

    A search finds the start of a word. In a script without blanks it finds a word anywhere, so each
    of its ends is a word as well.
    """
    typed = list(compounds(name))
    found = {*_ends(words_of(typed)), *(_brand_words(brand) if brand else ())}
    return "".join(map("".join, typed)), " ".join(map(quoted, sorted(found)))


# Foods have the same brands again and again.
@lru_cache(maxsize=2**14)
def _brand_words(brand: str) -> list[str]:
    return _ends(words(brand))


def _ends(found: list[str]) -> list[str]:
    """Return words, and each end of those in a script without blanks."""
    return [
        word[start:]
        for word in found
        for start in (range(len(word)) if is_unspaced(word) else (0,))
    ]


def quoted(word: str) -> str:
    """Return a word as PostgreSQL reads it in a `tsvector` or `tsquery`."""
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def energy_range(
    macros: Iterable[Decimal | float | None],
    fiber: Decimal | float | None,
    alcohol: float | None = None,
) -> tuple[float, float]:
    """Return the least and the greatest energy that can come from the macros of 100 g.

    Some countries count fiber as carbohydrates and some do not, polyols have 2.4 kcal/g, and labels
    round. So the energy may be a third lower than the macros', or a fifth higher with fiber and
    alcohol, and 25 kcal more either way. Where a macro is unknown, it may be anything.

    Args:
        macros: protein, carbs and fat in grams, in the order of `MACROS`.
        fiber, alcohol: in grams.
    """
    expected = 0.0
    for per_gram, grams in zip(ENERGY_OF_MACROS.values(), macros, strict=True):
        if grams is None:
            return -inf, inf
        expected += per_gram * float(grams)
    more = ENERGY_OF_FIBER * float(fiber or 0) + ENERGY_OF_ALCOHOL * (alcohol or 0)
    return expected * 2 / 3 - 25, (expected + more) * 1.2 + 25


class Source(models.Model):
    """Where foods come from. Its triggers count the live foods and raise the revision."""

    source = models.CharField(
        primary_key=True, max_length=32, validators=[RegexValidator(r"^[a-z][a-z0-9_]*$")]
    )
    name = models.CharField(max_length=100)
    licence = models.CharField(max_length=200)
    url = models.URLField()
    imported_at = models.DateTimeField(null=True, editable=False)
    foods = models.IntegerField(default=0, editable=False, help_text="Foods that can be found.")
    revision = models.BigIntegerField(default=1, editable=False)

    class Meta:
        db_table = "catalog_sources"
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return self.name

    @classmethod
    def revision_of_all(cls) -> int:
        """Return a number that every change of the catalog raises."""
        return cls.objects.aggregate(revision=Sum("revision"))["revision"] or 0

    def change(self, **values: Any) -> None:
        """Change columns, and raise the revision; the number of foods is left to the triggers."""
        row = type(self).objects.filter(pk=self.pk)
        row.update(**values, revision=F("revision") + 1)


class WordsVector(DerivedField):
    """The words of name and brand, as a `tsvector` without positions."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.db_collation = None

    def db_type(self, connection: Any) -> str:
        return "tsvector"

    def derived(self, row: models.Model) -> str:
        food: Any = row
        return name_key_and_words(food.name, food.brand)[1]


class NameKeyField(DerivedField):
    """See `name_key()`."""

    def derive(self, value: str) -> str:
        return name_key(value)


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
        indexes = [GinIndex(fields=["words"], name="catalog_popular_foods_words", fastupdate=False)]

    def __str__(self) -> str:
        return self.name_key


class Seen(models.Model):
    """A food that a running import has met in its file. The table is unlogged."""

    pk = models.CompositePrimaryKey("run", "food_id")
    run = models.DateTimeField()
    food_id = models.UUIDField()

    class Meta:
        db_table = "catalog_seen"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.food_id)


class CorrectionQuerySet(models.QuerySet["Correction"]):
    def in_force(self) -> CorrectionQuerySet:
        """Return the corrections that were not undone or replaced by a later one."""
        return self.filter(undone_at=None)


class Correction(models.Model):
    """One value of a food that an operator changed, why, and what the source says instead."""

    food = models.ForeignKey(Food, models.CASCADE, related_name="corrections", editable=False)
    # One of `CORRECTABLE`.
    field = models.CharField(max_length=30, editable=False)
    value = models.JSONField(null=True, editable=False)
    source_value = models.JSONField(null=True, editable=False)
    reason = models.CharField(max_length=500)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    made_at = models.DateTimeField(default=timezone.now, editable=False)
    # Since when the source says something else than at the time of the correction.
    review_since = models.DateTimeField(null=True, editable=False)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    undone_at = models.DateTimeField(null=True, editable=False)

    food_id: uuid.UUID
    objects: ClassVar[Any] = CorrectionQuerySet.as_manager()

    class Meta:
        db_table = "catalog_corrections"
        default_permissions = ("view", "change")
        constraints = [
            models.UniqueConstraint(
                fields=["food", "field"],
                name="catalog_corrections_one_in_force",
                condition=Q(undone_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"{self.field} of {self.food}"

    @property
    def state(self) -> str:
        """Return where the correction stands, for people."""
        if self.undone_at is not None:
            return "undone"
        return "in force" if self.review_since is None else "up for review"

    @classmethod
    def make(
        cls, food: Food, field: str, before: Any, reason: str, user_id: int
    ) -> Correction | None:
        """Record what was changed. An earlier correction of the field is replaced.

        Args:
            before: the value before the change.

        Returns:
            None if the food now has the source's value again: the next import may change that.
        """
        earlier = cls.objects.in_force().filter(food=food, field=field).first()
        source_value = plain(before)
        if earlier is not None:
            source_value = earlier.source_value
            earlier.end(user_id)
        if getattr(food, field) == parsed(field, source_value):
            return None
        return cls.objects.create(
            food=food,
            field=field,
            value=plain(getattr(food, field)),
            source_value=source_value,
            reason=reason,
            made_by_id=user_id,
        )

    def end(self, user_id: int) -> None:
        """Mark the correction as no longer in force."""
        self.undone_by_id, self.undone_at, self.review_since = user_id, timezone.now(), None
        self.save()

    def undo(self, user_id: int) -> None:
        """Give the food the source's value again. The food has to be locked.

        Whether it is doubtful was decided for the corrected energy. So that is undone with the last
        correction of the energy, and where the energy no longer fits.

        Raises:
            Conflict: the correction is undone already.
            ValidationError: a rule of a product is broken by the source's value beside others.
        """
        self.refresh_from_db()
        if self.undone_at is not None:
            raise Conflict("This correction is undone already")
        with transaction.atomic():
            self.food.assign({self.field: parsed(self.field, self.source_value)})
            self.end(user_id)
            in_force = Correction.objects.in_force().filter(food=self.food)
            doubt = in_force.filter(field="doubtful").first()
            if doubt is not None and self.field in ENERGY_COLUMNS:
                is_left = in_force.filter(field__in=ENERGY_COLUMNS).exists()
                if not is_left or not self.food.energy_fits():
                    doubt.undo(user_id)

    def keep(self) -> None:
        """Keep the correction, although the source says something else by now.

        The food has to be locked.

        Raises:
            Conflict: the correction is not up for review.
        """
        self.refresh_from_db()
        if self.review_since is None:
            raise Conflict("This correction is not up for review")
        self.review_since = None
        self.save()


class Report(models.Model):
    """What a phone said is wrong with a food. Nothing tells which device it was."""

    class Reason(models.TextChoices):
        WRONG_VALUES = "wrong_values", "wrong values"
        WRONG_NAME = "wrong_name", "wrong name"
        WRONG_BARCODE = "wrong_barcode", "wrong barcode"
        DUPLICATE = "duplicate", "duplicate"
        OFFENSIVE = "offensive", "offensive"
        OTHER = "other", "other"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    food = models.ForeignKey(Food, models.CASCADE, related_name="reports", editable=False)
    reason = models.CharField(max_length=20, choices=Reason)
    note = models.CharField(max_length=500, null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", editable=False
    )
    closed_at = models.DateTimeField(null=True, editable=False)

    food_id: uuid.UUID
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        db_table = "catalog_reports"
        default_permissions = ("view", "change")
        indexes = [
            # The order of the operators' list: null, which is an open one, comes first.
            models.Index(
                fields=["-closed_at", "reason", "created_at", "id"], name="catalog_reports_listed"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_reason_display()}: {self.food}"

    def close(self, user_id: int) -> None:
        """Mark the report as dealt with. The food has to be locked.

        Raises:
            Conflict: the report is closed already.
        """
        self.refresh_from_db()
        if self.closed_at is not None:
            raise Conflict("This report is closed already")
        self.closed_by_id, self.closed_at = user_id, timezone.now()
        self.save()


def plain(value: Any) -> Any:
    """Return a value of a food as JSON keeps it: a decimal as text."""
    return str(value) if isinstance(value, Decimal) else value


def parsed(field: str, value: Any) -> Any:
    """Return the value of a food's field from what `plain()` made of it."""
    column: Any = Food._meta.get_field(field)
    return column.to_python(value)
