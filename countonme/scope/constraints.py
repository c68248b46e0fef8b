"""Constraints that are asked within a device."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import models

from countonme.scope.models import DeviceScoped


class DeviceUniqueConstraint(models.UniqueConstraint):
    """Unique among a device's rows; a form asks that device's rows and no others."""

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Iterable[str] | None = None,
        using: str = "default",
    ) -> None:
        """Check an instance, also where its device is no field of the form.

        Raises:
            ValidationError: another row holds the place.
        """
        assert isinstance(instance, DeviceScoped)
        # What the condition of a partial constraint is asked of.
        values = instance._get_field_expression_map(meta=instance._meta)  # type: ignore[attr-defined]  # private
        condition = self.condition or models.Q()
        if self.condition is None or self.condition.check(values, using=using):
            rows = type(instance).all_objects.using(using).for_device(instance.device_id)
            place = {name: getattr(instance, name) for name in self.fields}
            if rows.filter(condition, **place).exclude(pk=instance.pk).exists():
                raise ValidationError(self.get_violation_error_message(), code="unique")
