"""Unique constraints that forms check within one device."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import models

from countonme.scope.models import DeviceScoped


class DeviceUniqueConstraint(models.UniqueConstraint):
    """Unique among a device's rows; a form queries the rows of that device only."""

    def validate(
        self,
        model: type[models.Model],
        instance: models.Model,
        exclude: Iterable[str] | None = None,
        using: str = "default",
    ) -> None:
        """Check an instance, also if its device is not a field of the form.

        Raises:
            ValidationError: another row has the same values.
        """
        assert isinstance(instance, DeviceScoped)
        # The values for which the condition of a partial constraint is evaluated.
        expressions = instance._get_field_expression_map(meta=instance._meta)  # type: ignore[attr-defined]  # private
        condition = self.condition or models.Q()
        if self.condition is None or self.condition.check(expressions, using=using):
            rows = type(instance).all_objects.using(using).for_device(instance.device_id)
            values = {name: getattr(instance, name) for name in self.fields}
            if rows.filter(condition, **values).exclude(pk=instance.pk).exists():
                raise ValidationError(self.get_violation_error_message(), code="unique")
