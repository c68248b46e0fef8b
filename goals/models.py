"""Goal, BodyWeight and WaterEntry: daily targets, and what is measured on the way to them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Cast
from django.utils import timezone

from countonme.scope.bounds import bounded
from countonme.scope.constraints import DeviceUniqueConstraint
from countonme.scope.exceptions import Conflict
from countonme.scope.models import DeviceScoped
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, LiveManager
from entries.models import FIRST_DAY, LAST_DAY
from goals import formulas
from goals.formulas import GRAMS, PERCENTS
from products.models import CENT

BIRTH_DATE = (date(1850, 1, 1), LAST_DAY)
# A height under 50 was meant in metres or feet.
HEIGHT_CM, CURRENT_WEIGHT_KG, WEIGHT_KG = (50, 300), (10, 500), (CENT, 500)
# The most that a client may send, and the most that a calculation can return.
MAX_SENT_KCAL, MAX_KCAL = 10_000, 15_000
MAX_SENT_WATER_ML, MAX_WATER_ML = 10_000, 16_500
MAX_MACRO_GRAMS = MAX_KCAL // 4
MAX_ML = 10_000

# The columns of a goal, by groups.
TARGETS = ("daily_calories_kcal", *PERCENTS, "water_ml")
BODY = (
    "gender",
    "birth_date",
    "height_cm",
    "current_weight_kg",
    "activity_level",
    "weight_goal_type",
)
WEIGHT_CHANGE = ("target_weight_kg", "weight_change_pace")
ENERGY = ("bmr_kcal", "tdee_kcal")
SHAPE = ("healthy_weight_min_kg", "healthy_weight_max_kg", "current_bmi", "bmi_category")

CHOICES: dict[str, Iterable[str]] = {
    "gender": formulas.GENDERS,
    "activity_level": formulas.ACTIVITY_LEVELS,
    "weight_goal_type": formulas.WEIGHT_GOAL_TYPES,
    "weight_change_pace": formulas.PACES,
    "bmi_category": [*formulas.BMI_CATEGORIES, formulas.OBESE],
}
BOUNDS: dict[str, tuple[Any, Any]] = {
    "height_cm": HEIGHT_CM,
    "current_weight_kg": CURRENT_WEIGHT_KG,
    "target_weight_kg": WEIGHT_KG,
    **dict.fromkeys(ENERGY, (1, MAX_KCAL)),
    "healthy_weight_min_kg": (0, 225),
    "healthy_weight_max_kg": (0, 225),
    # The BMI of 500 kg at 50 cm.
    "current_bmi": (0, 2000),
    "daily_calories_kcal": (1, MAX_KCAL),
    **dict.fromkeys(PERCENTS, (0, 100)),
    **dict.fromkeys(GRAMS, (0, MAX_MACRO_GRAMS)),
    "water_ml": (0, MAX_WATER_ML),
}


class GoalType(models.TextChoices):
    CALCULATED = "calculated"
    MANUAL = "manual"


def validate_age(birth_date: date) -> None:
    """Refuse a birth date unless the age today (UTC) is 13 to 120 years.

    Raises:
        ValidationError: the age is out of that range.
    """
    age = formulas.age_years(birth_date, timezone.now().date())
    if age < formulas.MIN_AGE:
        raise ValidationError(
            f"Goals are calculated from the age of {formulas.MIN_AGE} on.", code="max_value"
        )
    if age > formulas.MAX_AGE:
        raise ValidationError(
            f"Goals are calculated up to the age of {formulas.MAX_AGE}.", code="min_value"
        )


def choice_field(column: str) -> models.CharField[Any, Any]:
    """Return a model field for one of a column's choices, or null in a manual goal."""
    choices = [(value, value.replace("_", " ").capitalize()) for value in CHOICES[column]]
    length = max(len(value) for value, _ in choices)
    return models.CharField(max_length=length, choices=choices, null=True)


def range_validators(bounds: tuple[Any, Any]) -> list[Any]:
    """Return validators for a range that includes both bounds."""
    low, high = bounds
    return [MinValueValidator(low), MaxValueValidator(high)]


def integer_field(column: str, **kwargs: Any) -> models.SmallIntegerField[Any, Any]:
    """Return a model field for an integer within a column's bounds."""
    return models.SmallIntegerField(validators=range_validators(BOUNDS[column]), **kwargs)


def decimal_field(
    bounds: tuple[Any, Any], digits: int = 5, places: int = 2, **kwargs: Any
) -> models.DecimalField[Any, Any]:
    """Return a model field for a decimal number within bounds."""
    return models.DecimalField(
        max_digits=digits, decimal_places=places, validators=range_validators(bounds), **kwargs
    )


@bounded()
class Goal(DeviceScoped):
    """Daily targets for kcal, macros and water: calculated from body metrics, or set by hand."""

    goal_type = models.CharField(max_length=10, choices=GoalType)

    gender = choice_field("gender")
    birth_date = models.DateField(null=True, validators=[validate_age])
    height_cm = decimal_field(HEIGHT_CM, null=True)
    current_weight_kg = decimal_field(CURRENT_WEIGHT_KG, null=True)
    activity_level = choice_field("activity_level")
    weight_goal_type = choice_field("weight_goal_type")
    target_weight_kg = decimal_field(WEIGHT_KG, null=True)
    weight_change_pace = choice_field("weight_change_pace")

    bmr_kcal, tdee_kcal = (integer_field(name, null=True) for name in ENERGY)
    healthy_weight_min_kg, healthy_weight_max_kg, current_bmi = (
        decimal_field(BOUNDS[name], digits, 1, null=True)
        for name, digits in zip(SHAPE[:3], (4, 4, 5), strict=True)
    )
    bmi_category = choice_field("bmi_category")

    daily_calories_kcal = integer_field("daily_calories_kcal")
    protein_percent, carbs_percent, fat_percent = (integer_field(name) for name in PERCENTS)
    protein_grams, carbs_grams, fat_grams = (integer_field(name) for name in GRAMS)
    water_ml = integer_field("water_ml")

    class Meta(DeviceScoped.Meta):
        db_table = "goals"
        verbose_name = "goal"
        constraints = [
            DeviceUniqueConstraint(
                fields=["device"],
                name="goals_one_live",
                condition=Q(deleted_at=None),
                violation_error_message="A device has one goal.",
            ),
            models.CheckConstraint(
                name="goals_type_is_whole",
                condition=Q(
                    goal_type=GoalType.MANUAL,
                    **dict.fromkeys((*BODY, *WEIGHT_CHANGE, *ENERGY, *SHAPE)),
                )
                | Q(
                    goal_type=GoalType.CALCULATED,
                    **{f"{name}__isnull": False for name in (*BODY, *ENERGY, *SHAPE)},
                ),
            ),
            models.CheckConstraint(
                name="goals_weight_change_is_whole",
                condition=Q(weight_goal_type=None)
                | Q(weight_goal_type="maintain", **dict.fromkeys(WEIGHT_CHANGE))
                | Q(
                    Q(weight_goal_type="lose", target_weight_kg__lt=F("current_weight_kg"))
                    | Q(weight_goal_type="gain", target_weight_kg__gt=F("current_weight_kg")),
                    target_weight_kg__isnull=False,
                    weight_change_pace__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="goals_percents_are_100",
                condition=Q(protein_percent=100 - F("carbs_percent") - F("fat_percent")),
            ),
            *(
                models.CheckConstraint(
                    name=f"goals_{name}_is_known", condition=Q(**{f"{name}__in": list(values)})
                )
                for name, values in CHOICES.items()
            ),
            # Not by `@bounded`: the field's own bounds are ages, which depend on today.
            models.CheckConstraint(
                name="goals_birth_date_in_range", condition=Q(birth_date__range=BIRTH_DATE)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.daily_calories_kcal} kcal a day"

    @classmethod
    def add(
        cls, device_id: uuid.UUID, *, id: uuid.UUID | None = None, **values: Any
    ) -> tuple[Goal, bool]:
        """Create a goal and delete the previous one; see the base class.

        Args:
            values: the columns that `Goal.calculated()` or `Goal.manual()` returned.
        """
        goal = cls(device_id=device_id, **({"id": id} if id else {}), **values)
        goal.clean()
        known = cls.existing(device_id, id)
        if known is not None:
            return known, False
        cls.objects.for_device(device_id).delete()
        goal.insert()
        return goal, True

    @classmethod
    def calculated(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a goal calculated from body metrics, for the age today (UTC).

        Args:
            values: the metrics. The three percents, all or none, and `water_ml` replace the
                defaults if they are given.
        """
        metrics: dict[str, Any] = {name: values.get(name) for name in (*BODY, *WEIGHT_CHANGE)}
        percents = [values[name] for name in PERCENTS if values.get(name) is not None]
        calculated = formulas.calculate(
            **{name: metrics[name] for name in (*BODY, "weight_change_pace")},
            today=timezone.now().date(),
            percents=percents or None,
            water=values.get("water_ml"),
        )
        return {"goal_type": GoalType.CALCULATED, **metrics, **calculated}

    @classmethod
    def manual(cls, targets: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a goal set by hand: its targets and the macro grams."""
        chosen = {name: targets[name] for name in TARGETS}
        return {"goal_type": GoalType.MANUAL, **chosen, **grams_for(chosen)}

    def clean(self) -> None:
        """Check the rules that concern several fields.

        Raises:
            ValidationError: some are broken; it holds an error for each.
        """
        broken = []
        if sum(getattr(self, name) for name in PERCENTS) != 100:
            broken.append(
                ValidationError(f"{_listed(PERCENTS)} must be 100 together.", code="invalid")
            )
        elif any(getattr(self, name) != grams for name, grams in grams_for(vars(self)).items()):
            sentence = f"{_listed(GRAMS)} must follow from the kcal and the percents."
            broken.append(ValidationError(sentence, code="invalid"))
        current, target = self.current_weight_kg, self.target_weight_kg
        if current is not None and target is not None:
            if self.weight_goal_type == "lose" and target >= current:
                sentence = "To lose weight, target_weight_kg must be below current_weight_kg."
                broken.append(ValidationError(sentence, code="max_value"))
            if self.weight_goal_type == "gain" and target <= current:
                sentence = "To gain weight, target_weight_kg must be above current_weight_kg."
                broken.append(ValidationError(sentence, code="min_value"))
        if self.bmr_kcal is not None and self.bmr_kcal < 1:
            sentence = "No body of this height, weight and age burns energy: check them."
            broken.append(ValidationError(sentence, code="min_value"))
        if broken:
            raise ValidationError(broken)

    def check_quota(self, rows: int = 1) -> None:
        # Not a `quota()`, which also holds in a sync: there a new goal replaces the one before.
        if Goal.objects.for_device(self.device_id).exists():
            raise Conflict("A device has one goal: delete the current one first")

    def change(self, **values: Any) -> bool:
        """Update the targets, and calculate the grams again.

        Raises:
            ValidationError: the percents do not sum to 100.
        """
        targets = {name: values.get(name, getattr(self, name)) for name in TARGETS}
        return super().change(**values, **grams_for(targets))

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        yield from super().violations()
        kcal = Cast("daily_calories_kcal", models.IntegerField())
        for percent, grams, per_gram in zip(PERCENTS, GRAMS, formulas.KCAL_PER_GRAM, strict=True):
            expected = kcal * F(percent) / (100 * per_gram)
            rows = cls.all_objects.across_devices()
            yield f"{grams} follow the kcal and {percent}", rows.exclude(**{grams: expected})


class DayRow(DeviceScoped):
    """Base class of rows that belong to a day. A quota counts the rows of one day."""

    counted_by = "date"

    date = models.DateField(validators=range_validators((FIRST_DAY, LAST_DAY)))

    class Meta(DeviceScoped.Meta):
        abstract = True


class BodyWeightQuerySet(DeviceScopedQuerySet["BodyWeight"]):
    def in_order(self) -> Self:
        """Sort the oldest first. A day has one weight, so there are no ties."""
        return self.order_by("date")

    def weighings(self, first: date, last: date) -> list[tuple[date, Decimal]]:
        """Return the days and kg of a range, both ends included, oldest first."""
        rows = self.filter(date__range=(first, last)).in_order()
        return list(rows.values_list("date", "weight_kg"))


@bounded(weight_kg="weight")
class BodyWeight(DayRow):
    """A body's weight on a day, in kg."""

    weight_kg = decimal_field(WEIGHT_KG)

    objects: ClassVar[Any] = LiveManager.from_queryset(BodyWeightQuerySet)()
    all_objects: ClassVar[Any] = AllObjectsManager.from_queryset(BodyWeightQuerySet)()

    class Meta(DayRow.Meta):
        db_table = "body_weights"
        verbose_name = "body weight"
        constraints = [
            # Its index also lists a device's weights, oldest first.
            DeviceUniqueConstraint(
                fields=["device", "date"],
                name="body_weights_one_a_day",
                condition=Q(deleted_at=None),
                violation_error_message="A day has one body weight.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.weight_kg} kg"

    def check_quota(self, rows: int = 1) -> None:
        # Not a `quota()`, which holds in a sync too: there the later weight of a day replaces the
        # earlier.
        if BodyWeight.objects.for_device(self.device_id).filter(date=self.date).exists():
            raise Conflict("This day has a body weight already")


class WaterEntryQuerySet(DeviceScopedQuerySet["WaterEntry"]):
    def in_order(self) -> Self:
        """Sort the newest day first, and within a day in the order of logging."""
        return self.order_by("-date", "created_at", "id")


@bounded()
class WaterEntry(DayRow):
    """Water drunk on a day."""

    ml = models.SmallIntegerField(validators=range_validators((1, MAX_ML)))

    objects: ClassVar[Any] = LiveManager.from_queryset(WaterEntryQuerySet)()
    all_objects: ClassVar[Any] = AllObjectsManager.from_queryset(WaterEntryQuerySet)()

    class Meta(DayRow.Meta):
        db_table = "water_entries"
        verbose_name = "water entry"
        verbose_name_plural = "water entries"
        indexes = [
            models.Index(
                "device",
                F("date").desc(),
                "created_at",
                "id",
                name="water_entries_by_day",
                condition=Q(deleted_at=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.date} {self.ml} ml"

    @classmethod
    def quota(cls) -> tuple[int, str]:
        limit = settings.MAX_WATER_ENTRIES_PER_DAY
        return limit, f"A day has at most {limit} water entries"


def grams_for(targets: Mapping[str, Any]) -> dict[str, int]:
    """Return the grams of each macro, calculated from the kcal and the percents."""
    percents = [targets[name] for name in PERCENTS]
    grams = formulas.macro_grams(targets["daily_calories_kcal"], percents)
    return dict(zip(GRAMS, grams, strict=True))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + f" and {names[-1]}"
