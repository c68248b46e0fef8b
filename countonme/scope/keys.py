"""Foreign keys between rows of one device: joins, descriptors and forms that keep to it."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseManyToOneDescriptor,
)
from django.utils.functional import cached_property

from countonme.scope.exceptions import UnscopedQuery
from countonme.scope.query import AnyOf, DeviceScopedQuerySet


def is_device_scoped(model: Any) -> bool:
    """Return whether the rows of a model belong to devices."""
    return isinstance(model._default_manager.all(), DeviceScopedQuerySet)


class ScopedReverseDescriptor(ReverseManyToOneDescriptor):  # type: ignore[type-arg]  # in stubs
    """`product.portions`, `device.products`: scoped by the instance that it hangs on."""

    @cached_property
    def related_manager_cls(self) -> Any:
        base: Any = super().related_manager_cls

        def owner(instance: models.Model) -> uuid.UUID:
            return getattr(instance, "device_id", instance.pk)

        class ScopedRelatedManager(base):  # type: ignore[misc]  # made at run time
            def get_queryset(self) -> Any:
                rows = super().get_queryset()
                prefetched = rows._result_cache is not None
                return rows if prefetched else rows.for_device(owner(self.instance))

            def get_prefetch_querysets(self, instances: Any, querysets: Any = None) -> Any:
                if not querysets:
                    owners = {owner(instance) for instance in instances}
                    rows = self.model._default_manager.filter(device_id__in=owners)
                    querysets = [rows.across_devices()]
                return super().get_prefetch_querysets(instances, querysets)

        return ScopedRelatedManager


class ScopedForwardDescriptor(ForwardManyToOneDescriptor):  # type: ignore[type-arg]  # in stubs
    """`portion.product`: a row of the same device, also before the database could refuse it."""

    def get_object(self, instance: Any) -> models.Model:
        rows = self.get_queryset(instance=instance)
        if is_device_scoped(rows.model):
            rows = rows.filter(device_id=instance.device_id)
        return rows.get(self.field.get_reverse_related_filter(instance))


class ScopedForeignKey(models.ForeignKey):  # type: ignore[type-arg]  # generic in the stubs only
    """A reference between device-scoped tables, or from one to its device.

    The database holds it as a foreign key that the migration writes (`scope/triggers.py`), between
    device-scoped tables composite with the device; the indexes that serve it stand in the models.
    """

    forward_related_accessor_class = ScopedForwardDescriptor
    related_accessor_class = ScopedReverseDescriptor

    def __init__(self, to: Any, on_delete: Any = models.DO_NOTHING, **kwargs: Any) -> None:
        super().__init__(to, on_delete, **kwargs | {"db_constraint": False, "db_index": False})

    def get_reverse_path_info(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse a join from devices to their rows, whose query would need no scope.

        Raises:
            UnscopedQuery: this key refers to the device.
        """
        if self.name == "device":
            raise UnscopedQuery(
                f"Ask {self.model.__name__}.objects: no join from devices is scoped."
            )
        return super().get_reverse_path_info(*args, **kwargs)

    def formfield(self, **kwargs: Any) -> Any:
        """Forms are operators' code: they choose among all devices' rows."""
        model: Any = self.remote_field.model
        if is_device_scoped(model):
            kwargs.setdefault("queryset", model.all_objects.across_devices())
        return super().formfield(**kwargs)


# A foreign key takes no lookup over from other fields.
ScopedForeignKey.register_lookup(AnyOf)
