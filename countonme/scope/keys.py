"""Foreign keys between rows of one device: joins, lookups, descriptors and forms that keep to it.

An id names a row within its device only, so whatever follows such a key compares the device too.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models import sql
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseManyToOneDescriptor,
)
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn
from django.utils.functional import cached_property

from countonme.scope.exceptions import UnscopedQuery
from countonme.scope.query import AnyKey, AnyOf, DeviceScopedQuerySet, Key, device_field


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
                elif querysets[0].query.is_sliced:
                    # A slice for each instance: they are told apart by their ids alone.
                    _ = querysets[0].device_id
                return super().get_prefetch_querysets(instances, querysets)

            def add(self, *objs: Any, bulk: bool = True) -> None:
                """Save one by one: in bulk, Django would name them by their ids alone."""
                if any(row.device_id != owner(self.instance) for row in objs):
                    raise UnscopedQuery("A row never moves to another device.")
                super().add(*objs, bulk=False)

            add.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

        return ScopedRelatedManager


class ScopedForwardDescriptor(ForwardManyToOneDescriptor):  # type: ignore[type-arg]  # in stubs
    """`portion.product`: a row of the same device, also before the database could refuse it."""

    def get_object(self, instance: Any) -> models.Model:
        rows = self.get_queryset(instance=instance)
        if self.field.devices:
            rows = rows.filter(device_id=instance.device_id)
        return rows.get(self.field.get_reverse_related_filter(instance))

    def get_prefetch_querysets(self, instances: Any, querysets: Any = None) -> Any:
        if not self.field.devices:
            return super().get_prefetch_querysets(instances, querysets)
        rows = querysets[0] if querysets else self.get_queryset(instance=instances[0])
        named = {self.field.get_local_related_value(instance) for instance in instances}
        return (
            rows.filter(AnyKey(named - {(None,)})),
            self.field.get_foreign_related_value,
            self.field.get_local_related_value,
            True,
            self.field.cache_name,
            False,
        )


class ScopedForeignKey(models.ForeignKey):  # type: ignore[type-arg]  # generic in the stubs only
    """A reference between device-scoped tables, or from one to its device.

    The database holds it as a foreign key that the migration writes (`scope/migrations.py`),
    between device-scoped tables composite with the device; the indexes that serve it stand in the
    models. To Django it is a key of one column, whose joins compare two.
    """

    forward_related_accessor_class = ScopedForwardDescriptor
    related_accessor_class = ScopedReverseDescriptor

    def __init__(self, to: Any, on_delete: Any = models.DO_NOTHING, **kwargs: Any) -> None:
        super().__init__(to, on_delete, **kwargs | {"db_constraint": False, "db_index": False})

    @cached_property
    def devices(self) -> tuple[Any, Any] | None:
        """The fields of both sides that must agree; None where the target is no device's."""
        here, there = device_field(self.model), device_field(self.related_model)
        return (here, there) if here and there else None

    def get_joining_fields(self, reverse_join: bool = False) -> Any:
        """Join by the device, too."""
        joined = super().get_joining_fields(reverse_join)
        if self.devices is None:
            return joined
        return (*joined, self.devices[::-1] if reverse_join else self.devices)

    def get_local_related_value(self, instance: Any) -> Any:
        """Return what a row names, as device and id: by this prefetches find what belongs to it."""
        named = super().get_local_related_value(instance)
        return named if self.devices is None or named == (None,) else (instance.device_id, *named)

    def get_foreign_related_value(self, instance: Any) -> Any:
        """Return what a row is named by, as device and id."""
        name = super().get_foreign_related_value(instance)
        return name if self.devices is None else (instance.device_id, *name)

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
        """Choose among rows of which the form says whose they are: it knows its instance.

        Until it does, the field's queryset refuses to run (`operators.base.ScopedForm`).
        """
        model: Any = self.remote_field.model
        if is_device_scoped(model):
            kwargs.setdefault("queryset", model.all_objects.all())
        return super().formfield(**kwargs)


class SameDevice:
    """A lookup by rows, as `product=product`: of their devices, too. By ids it compares no more."""

    lhs: Any
    rhs: Any

    def __init__(self, lhs: Any, rhs: Any) -> None:
        if isinstance(rhs, Iterable) and not isinstance(rhs, str | bytes):
            rhs = list(rhs)
        given = rhs if isinstance(rhs, list) else [rhs]
        rows: list[Any] = [row for row in given if isinstance(row, models.Model)]
        self.keys: list[Key] | None = None
        if rows and device_field(rows[0]):
            if len(rows) < len(given):
                raise TypeError("Either rows or ids are looked up, not both at once.")
            self.keys = [(row.device_id, row.pk) for row in rows]
        self.is_by_query = (
            isinstance(rhs, sql.Query)
            and not rhs.has_select_fields
            and device_field(rhs.model) is not None
        )
        super().__init__(lhs, rhs)  # type: ignore[call-arg]  # of the lookup
        if self.is_by_query:
            self.rhs.set_values(["device", "pk"])

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        if self.keys is None and not self.is_by_query:
            return super().as_sql(compiler, connection)  # type: ignore[misc]  # of the lookup
        device = device_field(self.lhs.target.model).get_col(self.lhs.alias)
        if self.keys is not None:
            return compiler.compile(AnyKey(self.keys, device, self.lhs))
        (owner, _), (named, _) = compiler.compile(device), compiler.compile(self.lhs)
        rows, parameters = self.process_rhs(compiler, connection)  # type: ignore[attr-defined]  # likewise
        return f"({owner}, {named}) IN {rows}", parameters


class SameDeviceExact(SameDevice, RelatedExact):
    """`product=product`."""


class SameDeviceIn(SameDevice, RelatedIn):
    """`product__in=products`, rows or a query of them."""


# A foreign key takes no lookup over from other fields.
for lookup in (AnyOf, SameDeviceExact, SameDeviceIn):
    ScopedForeignKey.register_lookup(lookup)
