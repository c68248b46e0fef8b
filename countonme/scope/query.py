"""Queries that run only once it is said whose rows they mean."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar

from django.db import connections, models, transaction
from django.db.models import sql
from django.utils import timezone

from countonme.scope.derived import DerivedField
from countonme.scope.exceptions import UnscopedQuery
from countonme.scope.owner import Owner
from countonme.scope.prepared import Slot

if TYPE_CHECKING:
    from countonme.scope.models import DeviceScoped

ACROSS_DEVICES = "across devices"


@models.Field.register_lookup
class AnyOf(models.Lookup):
    """`pk__any_of=ids`: as `in`, but that however many are one parameter."""

    lookup_name = "any_of"

    def get_prep_lookup(self) -> list[Any]:
        return list(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        lhs, parameters = self.process_lhs(compiler, connection)
        return f"{lhs} = ANY(%s)", [*parameters, self.rhs]


class ScopedQuery(sql.Query):
    """A query that compiles only once it has a scope: a device's id, or all devices."""

    scope: object = None

    def require_scope(self) -> None:
        if self.scope is None and not self.is_empty():
            assert self.model is not None
            raise UnscopedQuery(
                f"{self.model.__name__} rows belong to devices: call .for_device(device) first, or "
                "in operators' code .across_devices() (dumpdata needs --all)."
            )

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        self.require_scope()
        return super().get_compiler(*args, **kwargs)

    def chain(self, klass: type[sql.Query] | None = None) -> Any:
        """Copy; into a query of another class, such as an update, only with a scope."""
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
        """Return the rows of one device, given as itself, by its id or to be given later."""
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
        """The one device that these rows belong to.

        Raises:
            UnscopedQuery: there is no such device.
        """
        if not isinstance(self.query.scope, uuid.UUID):
            raise UnscopedQuery(f"{self.model.__name__} needs .for_device(device) here.")
        return self.query.scope

    def _owner(self, named: uuid.UUID | None) -> uuid.UUID | None:
        """Return whose a new row is: this queryset's device, or without one the device named.

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
        """Sort as lists are sorted; models say how."""
        return self.order_by("pk")

    def of_ids(self, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, M | None]:
        """Return the rows of client-chosen ids that are in use, deleted ones included, by id.

        Another device's is None.
        """
        owner = self.device_id
        rows = self.model._base_manager.filter(pk__any_of=ids)
        return {row.pk: row if row.device_id == owner else None for row in rows}

    def _require_same_scope(self, *others: models.QuerySet[Any]) -> None:
        """Refuse to combine with rows of another scope, which would widen this one.

        Raises:
            UnscopedQuery: one of the others is of another device, or of none.
        """
        for rows in (self, *others):
            is_other = getattr(rows.query, "scope", None) != self.query.scope
            if is_other and not self.query.is_empty() and not rows.query.is_empty():
                raise UnscopedQuery("Only queries of the same device can be combined.")

    def _merge_sanity_check(self, other: models.QuerySet[Any]) -> None:
        """Check `|`, `&` and `^`; Django would answer for a slice with a plain queryset."""
        self._require_same_scope(other)
        if self.query.is_sliced or other.query.is_sliced:
            raise UnscopedQuery("A slice that is combined would lose its device.")
        super()._merge_sanity_check(other)  # type: ignore[misc]  # private, so not in the stubs

    def _combinator_query(self, combinator: str, *others: Any, **kwargs: Any) -> Any:
        """Check `union()`, `intersection()` and `difference()`."""
        self._require_same_scope(*others)
        return super()._combinator_query(combinator, *others, **kwargs)  # type: ignore[misc]  # likewise

    def update(self, **kwargs: Any) -> int:
        """Update, derived copies included, under the devices' locks where they are many."""
        for field in self.model._meta.concrete_fields:
            if not isinstance(field, DerivedField) or field.name in kwargs:
                continue
            if field.source in kwargs:
                if hasattr(kwargs[field.source], "resolve_expression"):
                    raise TypeError(f"{field.name} can't be derived from an expression.")
                kwargs[field.name] = field.derived(self.model(**kwargs))
        if self.query.scope != ACROSS_DEVICES:
            return super().update(**kwargs)
        with transaction.atomic(using=self.db):
            self.lock_devices()
            return super().update(**kwargs)

    update.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def _raw_delete(self, using: str | None) -> int:
        self.query.require_scope()
        return super()._raw_delete(using)

    def lock_devices(self) -> None:
        """Lock the devices of these rows in one order, so that no two writers to many deadlock."""
        owners = set(self.order_by().values_list("device_id", flat=True))
        devices: Any = self.model._meta.get_field("device").related_model
        rows = devices._base_manager.filter(pk__in=owners)
        list(rows.select_for_update(no_key=True).order_by("pk"))

    def in_same_scope(self, model: type[DeviceScoped]) -> DeviceScopedQuerySet[Any]:
        """Return the live rows of another model that belong to the same device, or to any."""
        rows = model.objects.all()
        if isinstance(self.query.scope, uuid.UUID):
            return rows.for_device(self.query.scope)
        rows.query.scope = self.query.scope
        return rows

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete softly: the rows get `deleted_at` and leave `objects`."""
        count = self.delete_at(timezone.now())
        return count, {self.model._meta.label: count}

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates
    delete.queryset_only = True  # type: ignore[attr-defined]  # a manager has no delete()

    def delete_at(self, moment: datetime) -> int:
        """Delete softly as of a moment, and return how many; models add what goes along."""
        return self.filter(deleted_at=None).update(deleted_at=moment)

    def hard_delete(self) -> int:
        """Remove rows for ever, and return how many.

        Raises:
            IntegrityError: a row is live and its device is not erased, or another row names it.
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
        """Insert rows of this queryset's device; a conflict is an error, or ignored, no update.

        Raises:
            UnscopedQuery: `update_conflicts` is asked for, which could reach any device's row.
        """
        if upsert or upsert_by_name:
            raise UnscopedQuery("An upsert can't be kept to a device.")
        objs = list(objs)
        for row in objs:
            row.device_id = self._owner(row.device_id)  # type: ignore[assignment]  # a NOT NULL refuses it
        return super().bulk_create(objs, batch_size, ignore_conflicts)

    def bulk_save(self, rows: Sequence[M], *, insert: bool) -> None:
        """Insert or update rows of this device by one statement, however many there are."""
        if not rows:
            return
        fields = self.model._meta.concrete_fields
        db: Any = connections[self.db]
        for row in rows:
            row.device_id = self._owner(row.device_id)  # type: ignore[assignment]  # never None here
        values = [
            [field.get_db_prep_save(field.pre_save(row, insert), db) for row in rows]
            for field in fields
        ]
        names = [db.ops.quote_name(field.column) for field in fields]
        table, listed = db.ops.quote_name(self.model._meta.db_table), ", ".join(names)
        arrays = ", ".join(f"%s::{field.db_type(db)}[]" for field in fields)
        given = f"unnest({arrays}) AS given ({listed})"
        if insert:
            query = f"INSERT INTO {table} ({listed}) SELECT * FROM {given}"  # noqa: S608  # our names
        else:
            query = (
                f"UPDATE {table} AS stored SET ({listed}) = ROW (given.*) FROM {given} "  # noqa: S608  # likewise
                "WHERE stored.id = given.id AND stored.device_id = given.device_id"
            )
        with db.cursor() as cursor:
            cursor.execute(query, values)

    bulk_save.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates

    def raw(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: straight SQL can't be seen to keep to a device.

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
