"""What device-scoped models share: device scope, soft deletion, revisions and quotas."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, ClassVar, Self

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Exists
from django.utils import timezone

from countonme.scope.derived import DerivedField
from countonme.scope.exceptions import ID_IN_USE, Conflict, Missing, UnscopedQuery
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.prepared import Prepared, PreparedInsert, Slot
from countonme.scope.query import AllObjectsManager, DeviceScopedQuerySet, Key, LiveManager


class DeviceScoped(models.Model):
    """A row that belongs to one device, is deleted softly and carries a revision.

    In the database the primary key is (`device_id`, `id`): two devices may have the same id. To
    Django it is `id`, because Django's admin and foreign keys need a single column.

    The triggers of `countonme.scope.migrations` set `revision`. They also refuse a new `device_id`
    and the hard delete of a live row, even in plain SQL.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    device = ScopedForeignKey(settings.DEVICE_MODEL, editable=False)
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
        # Operators add no rows, and a hard delete needs a permission of its own.
        default_permissions = ("view", "change", "soft_delete", "restore", "hard_delete")

    def __eq__(self, other: object) -> bool:
        """Compare what Django compares, and the device."""
        same = super().__eq__(other)
        if same is not True or not isinstance(other, DeviceScoped):
            return same
        return self.device_id == other.device_id

    __hash__ = models.Model.__hash__

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert a new row, or update one that was loaded.

        Django would insert a loaded row whose UPDATE finds nothing. With a changed `device_id` that
        would make a second row.

        Raises:
            DatabaseError: a loaded row is gone.
        """
        if not self._state.adding and not kwargs.get("force_insert"):
            kwargs.setdefault("force_update", kwargs.get("update_fields") is None)
        super().save(*args, **kwargs)

    @property
    def key(self) -> Key:
        """The device's id and the row's own: unique among the rows of all devices."""
        return self.device_id, self.pk

    def refresh_from_db(
        self, using: str | None = None, fields: Any = None, from_queryset: Any = None
    ) -> None:
        """Reload the row, from its device only.

        Raises:
            UnscopedQuery: it was loaded without its device, as only a plain queryset does.
        """
        if "device_id" not in vars(self):
            raise UnscopedQuery(f"This {type(self).__name__} was loaded without its device.")
        rows = type(self).all_objects.all() if from_queryset is None else from_queryset
        if isinstance(rows, DeviceScopedQuerySet):
            rows = rows.for_device(self.device_id)
        super().refresh_from_db(using, fields, rows)

    def _do_update(
        self,
        base_qs: models.QuerySet[Any],
        using: str | None,
        pk_val: Any,
        values: Iterable[Any],
        *args: Any,
    ) -> Any:
        """Update the row of this device only: others may have one with the same id.

        The device itself is not set, even to what it is: a sharded database refuses that.
        """
        rows = base_qs.filter(device_id=self.device_id)
        changed = [value for value in values if value[0].name != "device"]
        if not changed:
            return rows.filter(pk=pk_val).exists()
        return super()._do_update(rows, using, pk_val, changed, *args)

    @classmethod
    def fetch(cls, device_id: uuid.UUID, id: uuid.UUID, *, deleted: bool = False) -> Self:
        """Return a device's live row by id; with `deleted` also a deleted one.

        Raises:
            Missing: the device has no such row.
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
        """Return a device's live row with a client's id, or None if the id is free.

        Raises:
            Conflict: the device has deleted the row with this id.
        """
        if id is None:
            return None
        row: Self | None = cls._by_id(True).instance(device=device_id, pk=id)
        if row is not None and row.deleted_at is not None:
            raise Conflict(ID_IN_USE)
        return row

    @classmethod
    def add(
        cls, device_id: uuid.UUID, *, id: uuid.UUID | None = None, **values: Any
    ) -> tuple[Self, bool]:
        """Create a row with the client's id or a new one. A repeated request finds the first row.

        Returns:
            The row, and whether it was created now.

        Raises:
            Conflict: the id is in use, or a quota is reached.
            ValidationError, Missing: a rule of the model is broken.
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
        """Save as a new row, whose checks are done, with those that it comes with."""
        rows = [self, *self.comes_with()]
        self._insertion(*map(type, rows)).run(*rows)

    def comes_with(self) -> list[DeviceScoped]:
        """Return the new rows without which a new one of this model never stands."""
        return []

    @staticmethod
    @cache
    def _insertion(*models: type[DeviceScoped]) -> PreparedInsert:
        return PreparedInsert(*models)

    # The quota counts the live rows that have the same value in this field.
    counted_by: ClassVar[str] = "device_id"

    @classmethod
    def quota(cls) -> tuple[int, str] | None:
        """Return the most live rows allowed, and the error's sentence; None if unlimited."""
        return None

    @classmethod
    @cache
    def _counted(cls) -> Prepared:
        def build(device: Slot, value: Slot) -> models.QuerySet[Any]:
            return cls.objects.for_device(device).filter(**{cls.counted_by: value})

        return Prepared(build, "device", "value")

    def check_quota(self, rows: int = 1) -> None:
        """Check for room for so many rows more, before they are created, restored or moved.

        Raises:
            Conflict: the quota would be exceeded; the sentence names it.
        """
        if quota := self.quota():
            limit, sentence = quota
            value = getattr(self, self.counted_by)
            if self._counted().count(device=self.device_id, value=value) + rows > limit:
                raise Conflict(sentence)

    def change(self, **values: Any) -> bool:
        """Set the fields given and save those that differ; return whether any did.

        Raises:
            ValidationError, Conflict, Missing: a rule of the model is broken.
        """
        changed = {name: new for name, new in values.items() if getattr(self, name) != new}
        if self.counted_by in changed:
            moved = {"device_id": self.device_id, self.counted_by: changed[self.counted_by]}
            type(self)(**moved).check_quota()
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
        """Undo the soft deletion of a row.

        Raises:
            Conflict: a live row has taken its place, a quota is reached, or the row that it belongs
                to is deleted.
        """
        if self.deleted_at is not None:
            self.check_quota()
            self.deleted_at = None
            self.save(update_fields=["deleted_at"])

    def cascaded_rows(self) -> list[DeviceScopedQuerySet[Any]]:
        """Return the rows that a hard delete of this one deletes first."""
        return []

    def hard_delete(self) -> None:
        """Delete this row for ever, after its `cascaded_rows()`.

        Raises:
            IntegrityError: it is live and its device is not erased, or another row refers to it.
        """
        for rows in self.cascaded_rows():
            rows.hard_delete()
        type(self).all_objects.for_device(self.device_id).filter(pk=self.pk).hard_delete()

    @classmethod
    def violations(cls) -> Iterator[tuple[str, Iterable[DeviceScoped]]]:
        """Check the stored rows of all devices: yield each rule with the rows that break it."""
        rows = cls.all_objects.across_devices()
        yield (
            "a row's revision is never above its device's",
            rows.filter(revision__gt=models.F("device__revision"), device__erased_at=None),
        )
        for field in cls._meta.concrete_fields:
            if isinstance(field, ScopedForeignKey) and field.devices:
                named = rows.filter(**{f"{field.attname}__isnull": False})
                target: Any = field.related_model
                there = target.all_objects.across_devices().filter(
                    device_id=models.OuterRef("device_id"), pk=models.OuterRef(field.attname)
                )
                yield f"a {field.name} belongs to the same device", named.exclude(Exists(there))
            if isinstance(field, DerivedField):
                stale = (row for row in rows.iterator() if not field.is_current(row))
                yield f"{field.name} follows {field.source}", stale

    def validate_unique(self, exclude: Iterable[str] | None = None) -> None:
        """Check the id among the device's rows: the only uniqueness without a constraint.

        Raises:
            ValidationError: the id is in use.
        """
        own = type(self).all_objects.filter(device_id=self.device_id, pk=self.pk)
        if self._state.adding and own.across_devices().exists():
            raise ValidationError({"id": ID_IN_USE})


def device_scoped_models() -> list[type[DeviceScoped]]:
    """Return the concrete device-scoped models, each after the models that it refers to."""
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
