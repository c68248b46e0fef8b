"""Where foods come from, and what a running import has met of it."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Sum


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
