"""What phones said is wrong with foods."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from catalog.models.foods import Food
from countonme.scope.exceptions import Conflict


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
