"""MaintenanceRun: when a command of maintenance last came to its end."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone


class MaintenanceRun(models.Model):
    """The last run of a command that came to its end, for the operators' dashboard."""

    command = models.CharField(max_length=50, primary_key=True)
    finished_at = models.DateTimeField()
    said = models.CharField(max_length=500)

    objects: ClassVar[models.Manager[MaintenanceRun]] = models.Manager()

    class Meta:
        db_table = "maintenance_runs"

    def __str__(self) -> str:
        return f"{self.command}: {self.said}"

    @classmethod
    def note(cls, command: str, said: str) -> None:
        """Note that a command has just come to its end, and what it said."""
        found = {"finished_at": timezone.now(), "said": said[:500]}
        cls.objects.update_or_create(defaults=found, command=command)
