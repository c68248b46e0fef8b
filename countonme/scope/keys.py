"""Foreign keys between rows of one device, with their joins, lookups, descriptors and forms.

An id is unique only within its device, so whatever follows such a key compares the device too.
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
    """`product.portions`, `device.products`: scoped to the device of the instance."""

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
                    # Raises UnscopedQuery across devices: Django would take the slice of each
                    # instance by id alone.
                    _ = querysets[0].device_id
                return super().get_prefetch_querysets(instances, querysets)

            def add(self, *objs: Any, bulk: bool = True) -> None:
                """Save the rows one by one: in bulk, Django would find them by id alone."""
                if any(row.device_id != owner(self.instance) for row in objs):
                    raise UnscopedQuery("A row never moves to another device.")
                super().add(*objs, bulk=False)

            add.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

        return ScopedRelatedManager


class ScopedForwardDescriptor(ForwardManyToOneDescriptor):  # type: ignore[type-arg]  # in stubs
    """`portion.product`: looked up in the same device, even before the row is saved."""

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
    """A foreign key between device-scoped tables, or from one to its device.

    To Django it is one column, but its joins compare the device as well. The database's constraint
    is made by a migration (`scope/migrations.py`); between device-scoped tables it is composite,
    with the device. Models declare the indexes for it themselves.
    """

    forward_related_accessor_class = ScopedForwardDescriptor
    related_accessor_class = ScopedReverseDescriptor

    def __init__(self, to: Any, on_delete: Any = models.DO_NOTHING, **kwargs: Any) -> None:
        super().__init__(to, on_delete, **kwargs | {"db_constraint": False, "db_index": False})

    @cached_property
    def devices(self) -> tuple[Any, Any] | None:
        """The device fields of both sides, which must be equal; None if one side has none."""
        here, there = device_field(self.model), device_field(self.related_model)
        return (here, there) if here and there else None

    def get_joining_fields(self, reverse_join: bool = False) -> Any:
        """Join by the device too."""
        joined = super().get_joining_fields(reverse_join)
        if self.devices is None:
            return joined
        return (*joined, self.devices[::-1] if reverse_join else self.devices)

    def get_local_related_value(self, instance: Any) -> Any:
        """Return the key of the row that this one refers to, by which prefetches match them."""
        named = super().get_local_related_value(instance)
        return named if self.devices is None or named == (None,) else (instance.device_id, *named)

    def get_foreign_related_value(self, instance: Any) -> Any:
        """Return the key by which other rows refer to this one: device and id."""
        name = super().get_foreign_related_value(instance)
        return name if self.devices is None else (instance.device_id, *name)

    def get_reverse_path_info(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse a join from devices to their rows: a query of devices has no scope.

        Raises:
            UnscopedQuery: this is the key to the device.
        """
        if self.name == "device":
            raise UnscopedQuery(
                f"Ask {self.model.__name__}.objects: no join from devices is scoped."
            )
        return super().get_reverse_path_info(*args, **kwargs)

    def formfield(self, **kwargs: Any) -> Any:
        """Return a form field whose queryset the form must scope to its instance's device.

        Before that the queryset refuses to run. `operators.base.ScopedForm` scopes it.
        """
        model: Any = self.remote_field.model
        if is_device_scoped(model):
            kwargs.setdefault("queryset", model.all_objects.all())
        return super().formfield(**kwargs)


class SameDevice:
    """A lookup by rows, as `product=product`, compares their devices too. One by ids does not."""

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
        self.rhs_is_query = (
            isinstance(rhs, sql.Query)
            and not rhs.has_select_fields
            and device_field(rhs.model) is not None
        )
        super().__init__(lhs, rhs)  # type: ignore[call-arg]  # of the lookup
        if self.rhs_is_query:
            self.rhs.set_values(["device", "pk"])

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        if self.keys is None and not self.rhs_is_query:
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


# Foreign keys don't inherit the lookups of other fields.
for lookup in (AnyOf, SameDeviceExact, SameDeviceIn):
    ScopedForeignKey.register_lookup(lookup)
