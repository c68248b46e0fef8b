"""Querysets that refuse to run until they are scoped to a device, or to all devices."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import connections, models, transaction
from django.db.models import Exists, OuterRef, sql
from django.db.models.expressions import ResolvedOuterRef
from django.db.models.sql.where import AND
from django.utils import timezone

from countonme.scope.bulk import BulkRows
from countonme.scope.derived import DerivedField
from countonme.scope.exceptions import UnscopedQuery
from countonme.scope.owner import Owner
from countonme.scope.prepared import Prepared, Slot

if TYPE_CHECKING:
    from countonme.scope.models import DeviceScoped

ACROSS_DEVICES = "across devices"
# The key of a row: the id of its device, and its own id.
Key = tuple[uuid.UUID, uuid.UUID]


@models.Field.register_lookup
class AnyOf(models.Lookup):
    """`pk__any_of=ids`: like `in`, but all values are one parameter, an array."""

    lookup_name = "any_of"

    def get_prep_lookup(self) -> Any:
        return self.rhs if isinstance(self.rhs, models.Expression) else list(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        lhs, parameters = self.process_lhs(compiler, connection)
        return f"{lhs} = ANY(%s)", [*parameters, self.rhs]


class AnyKey(models.Func):
    """A condition that device and id are one of the keys, which are two parameters: arrays."""

    output_field = models.BooleanField()

    def __init__(self, keys: Iterable[Key], device: Any = "device", id: Any = "pk") -> None:
        self.keys = list(keys)
        super().__init__(device, id)

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
        (device, _), (id_, _) = map(compiler.compile, self.get_source_expressions())
        devices, ids = [key[0] for key in self.keys], [key[1] for key in self.keys]
        if len(set(devices)) == 1:
            # It means the same, and is faster to plan and to send.
            return f"({device} = %s AND {id_} = ANY(%s))", [devices[0], ids]
        pairs = "SELECT * FROM unnest(%s::uuid[], %s::uuid[])"
        return f"(({device}, {id_}) IN ({pairs}))", [devices, ids]


def device_field(model: Any) -> Any:
    """Return a model's field for the device, or None if its rows don't belong to devices.

    It works for the historical models of migrations too, which don't have our managers.
    """
    fields = model._meta.concrete_fields
    return next((field for field in fields if field.attname == "device_id"), None)


class GroupingByKey:
    """A compiler that adds the device to each id in GROUP BY: both are the primary key."""

    def collapse_group_by(self, expressions: Any, having: Any) -> list[Any]:
        found: list[Any] = []
        for expression in super().collapse_group_by(expressions, having):  # type: ignore[misc]  # of the compiler
            found.append(expression)
            target = getattr(expression, "target", None)
            if target is not None and target.primary_key and (device := device_field(target.model)):
                found.append(device.get_col(expression.alias))
        return found


@cache
def _grouping_by_key(compiler: type[Any]) -> type[Any]:
    return type(compiler.__name__, (GroupingByKey, compiler), {})


@cache
def _device_lock(devices: Any) -> Prepared:
    rows = devices._base_manager.select_for_update(no_key=True).values_list("pk")
    return Prepared(lambda pk: rows.filter(pk=pk), "pk")


class ScopedQuery(sql.Query):
    """A query that compiles only once it has a scope: a device's id, or all devices.

    An id is unique only within its device, so where Django uses the primary key, this class uses
    device and id: in GROUP BY, in the subquery of an `exclude()`, in `only()`.
    """

    scope: object = None

    def require_scope(self) -> None:
        if self.scope is None and not self.is_empty():
            assert self.model is not None
            raise UnscopedQuery(
                f"{self.model.__name__} rows belong to devices: call .for_device(device) first, or "
                "in operators' code .across_devices() (dumpdata needs --all)."
            )

    def get_compiler(
        self, using: str | None = None, connection: Any = None, elide_empty: bool = True
    ) -> Any:
        self.require_scope()
        db: Any = connections[using] if using else connection
        compiler = _grouping_by_key(db.ops.compiler(self.compiler))
        return compiler(self, db, using, elide_empty)

    def trim_start(self, names_with_path: Any) -> Any:
        """Compare the device in the subquery of an `exclude()` over a to-many relation."""
        found = super().trim_start(names_with_path)
        column: Any = self.select[0]
        device = device_field(column.target.model)
        outer_device: Any = ResolvedOuterRef(device.name)
        self.where.add(device.get_lookup("exact")(device.get_col(column.alias), outer_device), AND)
        # The outer query has the scope.
        self.scope = ACROSS_DEVICES
        return found

    def _get_only_select_mask(self, opts: Any, *args: Any, **kwargs: Any) -> Any:
        return self._with_device(opts, super()._get_only_select_mask(opts, *args, **kwargs))  # type: ignore[misc]  # private

    def _get_defer_select_mask(self, opts: Any, *args: Any, **kwargs: Any) -> Any:
        return self._with_device(opts, super()._get_defer_select_mask(opts, *args, **kwargs))  # type: ignore[misc]  # likewise

    @staticmethod
    def _with_device(opts: Any, mask: dict[Any, Any]) -> dict[Any, Any]:
        """Always load the device: deferred fields are read by device and id."""
        if device := device_field(opts.model):
            mask.setdefault(device, {})
        return mask

    def chain(self, klass: type[sql.Query] | None = None) -> Any:
        """Copy the query. To become another class, such as an update, it needs a scope.

        Raises:
            UnscopedQuery: it has none.
        """
        if klass is not None:
            self.require_scope()
        return super().chain(klass)


M = TypeVar("M", bound="DeviceScoped", covariant=True)


class DeviceScopedQuerySet(models.QuerySet[M]):
    """A queryset that refuses to run without a device, and whose `delete()` is soft."""

    query: ScopedQuery

    def __init__(
        self,
        model: type[M] | None = None,
        query: sql.Query | None = None,
        using: str | None = None,
        hints: dict[str, models.Model] | None = None,
    ) -> None:
        super().__init__(model, query or ScopedQuery(model), using, hints)

    def for_device(self, device: Owner | uuid.UUID | Slot) -> Self:
        """Return the rows of one device: a device, its id, or a slot for its id."""
        device_id = device if isinstance(device, uuid.UUID | Slot) else device.pk
        rows = self.filter(device_id=device_id)
        rows.query.scope = device_id
        return rows

    def across_devices(self) -> Self:
        """Return the rows of all devices; in operators' code only."""
        rows = self.all()
        rows.query.scope = ACROSS_DEVICES
        return rows

    @property
    def device_id(self) -> uuid.UUID:
        """The id of the one device that this queryset is scoped to.

        Raises:
            UnscopedQuery: it is not scoped to one device.
        """
        if not isinstance(self.query.scope, uuid.UUID):
            raise UnscopedQuery(f"{self.model.__name__} needs .for_device(device) here.")
        return self.query.scope

    def _owner(self, named: uuid.UUID | None) -> uuid.UUID | None:
        """Return the owner's id for a new row: this queryset's device, else the device named.

        Raises:
            UnscopedQuery: the row names a device other than this queryset's.
        """
        if not isinstance(self.query.scope, uuid.UUID):
            return named
        if named not in (None, self.query.scope):
            raise UnscopedQuery(f"This {self.model.__name__} would belong to another device.")
        return self.query.scope

    def create(self, **kwargs: Any) -> M:
        """Insert a row of this queryset's device."""
        device = kwargs.get("device")
        kwargs["device_id"] = self._owner(device.pk if device else kwargs.get("device_id"))
        return super().create(**kwargs)

    def in_order(self) -> Self:
        """Sort as the API's lists are sorted. Models override it."""
        return self.order_by("pk")

    def of_ids(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, M]:
        """Return this device's rows with these ids as a dict by id, deleted rows too."""
        rows = self.model.all_objects.for_device(self.device_id).filter(pk__any_of=ids)
        return {row.pk: row for row in rows}

    def of_keys(self, keys: Iterable[Key]) -> Self:
        """Return the rows with these keys, which may belong to many devices."""
        return self.filter(AnyKey(keys))

    def key_list(self) -> models.QuerySet[M, Key]:
        """Return the keys of these rows, which `of_keys()` takes."""
        return self.values_list("device_id", "pk")

    def in_bulk(self, *args: Any, **kwargs: Any) -> dict[Any, M]:
        """Return the rows of one device as a dict by id.

        Raises:
            UnscopedQuery: this is not scoped to one device, so an id could belong to many rows.
        """
        _ = self.device_id
        return super().in_bulk(*args, **kwargs)

    def contains(self, obj: models.Model) -> bool:
        """Return whether a row is among these, by device and id."""
        rows = self
        if self._result_cache is None:
            rows = self.filter(device_id=getattr(obj, "device_id", None))
        return super(DeviceScopedQuerySet, rows).contains(obj)

    def _require_same_scope(self, *others: models.QuerySet[Any]) -> None:
        """Refuse to combine this queryset with one of another scope.

        Raises:
            UnscopedQuery: one of the others has another scope, or none.
        """
        for rows in (self, *others):
            is_other = getattr(rows.query, "scope", None) != self.query.scope
            if is_other and not self.query.is_empty() and not rows.query.is_empty():
                raise UnscopedQuery("Only queries of the same device can be combined.")

    def _merge_sanity_check(self, other: models.QuerySet[Any]) -> None:
        """Check `|`, `&` and `^`, and refuse slices: Django would lose their scope."""
        self._require_same_scope(other)
        if self.query.is_sliced or other.query.is_sliced:
            raise UnscopedQuery("A slice that is combined would lose its device.")
        super()._merge_sanity_check(other)  # type: ignore[misc]  # private, so not in the stubs

    def _combinator_query(self, combinator: str, *others: Any, **kwargs: Any) -> Any:
        """Check `union()`, `intersection()` and `difference()`."""
        self._require_same_scope(*others)
        return super()._combinator_query(combinator, *others, **kwargs)  # type: ignore[misc]  # likewise

    def update(self, **kwargs: Any) -> int:
        """Update rows and their derived fields. Across devices, lock the devices first."""
        for field in self.model._meta.concrete_fields:
            if not isinstance(field, DerivedField) or field.name in kwargs:
                continue
            if field.source in kwargs:
                if hasattr(kwargs[field.source], "resolve_expression"):
                    raise TypeError(f"{field.name} can't be derived from an expression.")
                kwargs[field.name] = field.derived(self.model(**kwargs))
        rows = self._without_joins()
        if self.query.scope != ACROSS_DEVICES:
            return super(DeviceScopedQuerySet, rows).update(**kwargs)
        with transaction.atomic(using=self.db):
            self.lock_devices()
            return super(DeviceScopedQuerySet, rows).update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def bulk_update(self, objs: Iterable[M], *args: Any, **kwargs: Any) -> int:
        """Update rows of one device: Django finds them by id alone.

        Raises:
            UnscopedQuery: this is not scoped to one device, or a row belongs to another.
        """
        objs, device_id = list(objs), self.device_id
        for row in objs:
            self._owner(row.device_id)
        return super(DeviceScopedQuerySet, self.for_device(device_id)).bulk_update(
            objs, *args, **kwargs
        )

    bulk_update.alters_data = True  # type: ignore[attr-defined]  # likewise

    def _without_joins(self) -> Self:
        """Return the same rows, with a subquery instead of joins.

        UPDATE and DELETE have no joins, and Django's own subquery would find rows by id alone.
        """
        self.query.require_scope()
        if self.query.count_active_tables() <= 1:
            return self
        chosen = self.order_by().filter(device_id=OuterRef("device_id"), pk=OuterRef("pk"))
        rows: Self = self._in_same_scope(self.model.all_objects.using(self.db))
        return rows.filter(Exists(chosen))

    def _raw_delete(self, using: str | None) -> int:
        return super(DeviceScopedQuerySet, self._without_joins())._raw_delete(using)

    def lock_devices(self) -> None:
        """Lock the devices of these rows, always in the same order, to avoid deadlocks.

        One statement locks one device: a sharded database locks no rows of several at once.
        """
        lock = _device_lock(self.model._meta.get_field("device").related_model)
        for device_id in sorted(set(self.order_by().values_list("device_id", flat=True))):
            lock.rows(pk=device_id)

    def in_same_scope(self, model: type[DeviceScoped]) -> DeviceScopedQuerySet[Any]:
        """Return the live rows of another model, in the same scope as this queryset."""
        rows: DeviceScopedQuerySet[Any] = self._in_same_scope(model.objects.all())
        return rows

    def _in_same_scope(self, rows: Any) -> Any:
        if isinstance(self.query.scope, uuid.UUID):
            return rows.for_device(self.query.scope)
        rows.query.scope = self.query.scope
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete softly: the rows get `deleted_at`, and `objects` no longer has them."""
        count = self.delete_at(timezone.now())
        return count, {self.model._meta.label: count}

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates
    delete.queryset_only = True  # type: ignore[attr-defined]  # a manager has no delete()

    def delete_at(self, moment: datetime) -> int:
        """Delete softly at a given time, and return how many. Models override it to cascade."""
        return self.filter(deleted_at=None).update(deleted_at=moment)

    def hard_delete(self) -> int:
        """Delete rows for ever, and return how many.

        Raises:
            IntegrityError: a row is live and its device is not erased, or another row refers to it.
        """
        return self.order_by()._raw_delete(self.db) or 0

    hard_delete.alters_data = True  # type: ignore[attr-defined]  # likewise
    hard_delete.queryset_only = True  # type: ignore[attr-defined]  # likewise

    def bulk_create(
        self,
        objs: Iterable[M],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        *upsert: Any,
        **upsert_by_name: Any,
    ) -> list[M]:
        """Insert rows of this queryset's device, without upserts.

        Raises:
            UnscopedQuery: `update_conflicts` is given, which could update any device's row.
        """
        if upsert or upsert_by_name:
            raise UnscopedQuery("An upsert can't be kept to a device.")
        objs = list(objs)
        for row in objs:
            row.device_id = self._owner(row.device_id)  # type: ignore[assignment]  # NOT NULL refuses None
        return super().bulk_create(objs, batch_size, ignore_conflicts)

    def bulk_save(self, rows: Sequence[M], *, insert: bool) -> None:
        """Insert or update rows of this device by one statement, however many there are."""
        if not rows:
            return
        bulk = self._bulk(rows, insert=insert)
        if insert:
            bulk.insert()
        else:
            bulk.update()

    bulk_save.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def refused(self, rows: Sequence[M], *, insert: bool) -> dict[uuid.UUID, str]:
        """Return which of these rows the database would not let `bulk_save()` write.

        By id, each with the name of a CHECK or a foreign key that it breaks.
        """
        return self._bulk(rows, insert=insert).refused()

    def _bulk(self, rows: Sequence[M], *, insert: bool) -> BulkRows:
        for row in rows:
            row.device_id = self._owner(row.device_id)  # type: ignore[assignment]  # never None here
        return BulkRows(self.model, self.device_id, rows, self.db, insert=insert)

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse raw SQL: nothing can check that it is scoped.

        Raises:
            UnscopedQuery: always.
        """
        raise UnscopedQuery(f"{self.model.__name__}.objects.raw() can't be scoped to a device.")


class AllObjectsManager(models.Manager.from_queryset(DeviceScopedQuerySet)):  # type: ignore[misc]  # made at run time
    """Live and deleted rows."""


class LiveManager(AllObjectsManager):
    """Live rows only."""

    def get_queryset(self) -> DeviceScopedQuerySet[Any]:
        return super().get_queryset().filter(deleted_at=None)
