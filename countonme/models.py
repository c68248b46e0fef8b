"""What every device-scoped model shares: device scope, soft deletion and revision."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import connections, models, transaction
from django.db.models import sql
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseManyToOneDescriptor,
)
from django.utils import timezone
from django.utils.functional import cached_property

from countonme.prepared import Prepared, PreparedInsert, Slot
from countonme.text import DerivedField

if TYPE_CHECKING:
    from devices.models import Device

ACROSS_DEVICES = "across devices"
ID_IN_USE = "ID already in use"


@models.Field.register_lookup
class AnyOf(models.Lookup):
    """`pk__any_of=ids`: as `in`, but that however many are one parameter."""

    lookup_name = "any_of"

    def get_prep_lookup(self) -> list[Any]:
        return list(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        lhs, parameters = self.process_lhs(compiler, connection)
        return f"{lhs} = ANY(%s)", [*parameters, self.rhs]


class UnscopedQuery(RuntimeError):
    """A query on a device-scoped model did not say whose rows it means."""


class Conflict(Exception):
    """What was asked contradicts what is stored; the message is a sentence for the client."""


class DeviceGone(Exception):
    """The device was erased, blocked or lost its token since it was looked up."""


class Missing(Exception):
    """A device has no such live row; whether another device has one, nobody learns."""

    def __init__(self, model: type[models.Model]) -> None:
        super().__init__(f"{str(model._meta.verbose_name).capitalize()} not found")


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

    def for_device(self, device: Device | uuid.UUID | Slot) -> Self:
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
        if issubclass(rows.model, DeviceScoped):
            rows = rows.filter(device_id=instance.device_id)
        return rows.get(self.field.get_reverse_related_filter(instance))


class ScopedForeignKey(models.ForeignKey):  # type: ignore[type-arg]  # generic in the stubs only
    """A reference between device-scoped tables, or from one to its device.

    The database holds it as a foreign key that the migration writes (`countonme.triggers`), between
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
        model = self.remote_field.model
        if issubclass(model, DeviceScoped):
            kwargs.setdefault("queryset", model.all_objects.across_devices())
        return super().formfield(**kwargs)


# A foreign key takes no lookup over from other fields.
ScopedForeignKey.register_lookup(AnyOf)


class DeviceScoped(models.Model):
    """A row that belongs to one device, is deleted softly and carries a revision.

    `revision` and the refusals (another `device_id`, a hard delete of a live row) are kept by the
    triggers of `countonme.triggers`, whoever writes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    device = ScopedForeignKey("devices.Device", editable=False)
    revision = models.BigIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(null=True, editable=False)
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[Any] = LiveManager()
    all_objects: ClassVar[Any] = AllObjectsManager()

    device_id: uuid.UUID

    class Meta:
        abstract = True
        default_manager_name = "objects"
        # Nothing is added by operators, and deleting is soft unless it is said to be for ever.
        default_permissions = ("view", "change", "soft_delete", "restore", "hard_delete")

    def refresh_from_db(
        self, using: str | None = None, fields: Any = None, from_queryset: Any = None
    ) -> None:
        """Read the row anew, if it is this device's."""
        if from_queryset is None and "device_id" in vars(self):
            from_queryset = type(self).all_objects.for_device(self.device_id)
        super().refresh_from_db(using, fields, from_queryset)

    def _do_update(self, base_qs: models.QuerySet[Any], *args: Any) -> Any:
        """Save to a row that is this device's; to no other, whatever its id."""
        return super()._do_update(base_qs.filter(device_id=self.device_id), *args)

    @classmethod
    def fetch(cls, device_id: uuid.UUID, id: uuid.UUID, *, deleted: bool = False) -> Self:
        """Return a device's row of an id, a live one or, if so asked, be it deleted.

        Raises:
            Missing: the device has none.
        """
        row: Self | None = cls._by_id(deleted).instance(device=device_id, pk=id)
        if row is None:
            raise Missing(cls)
        return row

    @classmethod
    @cache
    def _by_id(cls, deleted: bool) -> Prepared:
        rows = cls.all_objects if deleted else cls.objects
        return Prepared(lambda device, pk: rows.for_device(device).filter(pk=pk), "device", "pk")

    @classmethod
    def existing(cls, device_id: uuid.UUID, id: uuid.UUID | None) -> Self | None:
        """Return a device's live row of a client-chosen id, or None where the id is free.

        Raises:
            Conflict: the id is that of a deleted row or of another device's.
        """
        if id is None:
            return None
        row: Self | None = cls._by_any_id().instance(pk=id)
        if row is not None and (row.device_id != device_id or row.deleted_at is not None):
            raise Conflict(ID_IN_USE)
        return row

    @classmethod
    @cache
    def _by_any_id(cls) -> Prepared:
        return Prepared(lambda pk: cls._base_manager.filter(pk=pk), "pk")

    @classmethod
    def add(
        cls, device_id: uuid.UUID, *, id: uuid.UUID | None = None, **values: Any
    ) -> tuple[Self, bool]:
        """Create a row under a client's id or a new one; a repeated request finds its first row.

        Returns:
            The row, and whether it was created now.

        Raises:
            Conflict: the id is in use, or a quota is reached.
            ValidationError, Missing: as the model's own rules say.
        """
        row = cls(device_id=device_id, **({"id": id} if id else {}), **values)
        row.clean()
        known = cls.existing(device_id, id)
        if known is not None:
            return known, False
        row.check_quota()
        row.insert()
        return row, True

    def insert(self) -> None:
        """Save as a new row, whose checks are done."""
        self._insertion().run(self)

    @classmethod
    @cache
    def _insertion(cls) -> PreparedInsert:
        return PreparedInsert(cls)

    # What a quota is counted by: live rows that are alike in it are counted together.
    counted_by: ClassVar[str] = "device_id"

    @classmethod
    def quota(cls) -> tuple[int, str] | None:
        """Return how many live rows there may be, with a sentence that says so; None for any."""
        return None

    @classmethod
    @cache
    def _counted(cls) -> Prepared:
        def alike(device: Slot, place: Slot) -> models.QuerySet[Any]:
            return cls.objects.for_device(device).filter(**{cls.counted_by: place})

        return Prepared(alike, "device", "place")

    def check_quota(self) -> None:
        """Refuse one row more than there may be: before one is created, comes back or moves there.

        Raises:
            Conflict: with the quota in its sentence.
        """
        if quota := self.quota():
            limit, sentence = quota
            place = getattr(self, self.counted_by)
            if self._counted().count(device=self.device_id, place=place) >= limit:
                raise Conflict(sentence)

    def change(self, **values: Any) -> bool:
        """Set the fields given and save those that differ; return whether any did.

        Raises:
            ValidationError, Conflict, Missing: as the model's own rules say.
        """
        changed = {name: new for name, new in values.items() if getattr(self, name) != new}
        if self.counted_by in changed:
            there = {"device_id": self.device_id, self.counted_by: changed[self.counted_by]}
            type(self)(**there).check_quota()
        if changed:
            for name, new in changed.items():
                setattr(self, name, new)
            self.clean()
            self.updated_at = timezone.now()
            copies = [
                field.name
                for field in self._meta.concrete_fields
                if isinstance(field, DerivedField) and field.source in changed
            ]
            self.save(update_fields=[*changed, *copies, "updated_at"])
        return bool(changed)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete softly, as the queryset does."""
        self.deleted_at = timezone.now()
        row = type(self).objects.for_device(self.device_id).filter(pk=self.pk)
        count = row.delete_at(self.deleted_at)
        return count, {self._meta.label: count}

    def restore(self) -> None:
        """Bring a deleted row back.

        Raises:
            Conflict: a live row holds its place, a quota is reached, or what it belongs to is gone.
        """
        if self.deleted_at is not None:
            self.check_quota()
            self.deleted_at = None
            self.save(update_fields=["deleted_at"])

    def goes_along(self) -> list[DeviceScopedQuerySet[Any]]:
        """Return the rows that a hard delete of this one removes before it."""
        return []

    def hard_delete(self) -> None:
        """Remove this row for ever, with what goes along.

        Raises:
            IntegrityError: it is live and its device is not erased, or another row names it.
        """
        for rows in self.goes_along():
            rows.hard_delete()
        type(self).all_objects.for_device(self.device_id).filter(pk=self.pk).hard_delete()

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        """Ask the data for every rule that the code promises: yield each with its offenders."""
        rows = cls.all_objects.across_devices()
        yield (
            "a row's revision is never above its device's",
            rows.filter(revision__gt=models.F("device__revision"), device__erased_at=None),
        )
        for field in cls._meta.concrete_fields:
            if isinstance(field, ScopedForeignKey) and field.name != "device":
                same = {f"{field.name}__device_id": models.F("device_id")}
                named = rows.filter(**{f"{field.attname}__isnull": False})
                yield f"a {field.name} belongs to the same device", named.exclude(**same)
            if isinstance(field, DerivedField):
                stale = (row for row in rows.iterator() if not field.is_current(row))
                yield f"{field.name} follows {field.source}", stale

    def validate_unique(self, exclude: Iterable[str] | None = None) -> None:
        """Check the only uniqueness that is not a constraint: the id, among all devices' rows.

        Raises:
            ValidationError: the id is in use.
        """
        if self._state.adding and type(self)._base_manager.filter(pk=self.pk).exists():
            raise ValidationError({"id": ID_IN_USE})


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


def device_scoped_models() -> list[type[DeviceScoped]]:
    """Return the concrete device-scoped models, each after those that its foreign keys name."""
    ordered: list[type[DeviceScoped]] = []

    def add(model: type[DeviceScoped]) -> None:
        if model in ordered:
            return
        for field in model._meta.get_fields():
            target = field.related_model if field.many_to_one else None
            if isinstance(target, type) and issubclass(target, DeviceScoped) and target != model:
                add(target)
        ordered.append(model)

    for model in apps.get_models():
        if issubclass(model, DeviceScoped):
            add(model)
    return ordered
