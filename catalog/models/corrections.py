"""What operators changed of foods, and why."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from countonme.scope.exceptions import Conflict
from products.nutrients import MACROS_100G

if TYPE_CHECKING:
    from catalog.models.foods import Food

# The values that `Food.energy_fits()` compares.
ENERGY_COLUMNS = ("kcal_100g", *MACROS_100G, "fiber_100g")


class CorrectionQuerySet(models.QuerySet["Correction"]):
    def in_force(self) -> CorrectionQuerySet:
        """Return the corrections that were not undone or replaced by a later one."""
        return self.filter(undone_at=None)


class Correction(models.Model):
    """One value of a food that an operator changed, why, and what the source says instead."""

    food = models.ForeignKey(
        "catalog.Food", models.CASCADE, related_name="corrections", editable=False
    )
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
        if getattr(food, field) == food.parse(field, source_value):
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
            self.food.assign({self.field: self.food.parse(self.field, self.source_value)})
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


def plain(value: Any) -> Any:
    """Return a value of a food as JSON keeps it: a decimal as text."""
    return str(value) if isinstance(value, Decimal) else value
