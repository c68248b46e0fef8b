"""What every device-scoped model shares: device scope, soft deletion and revision."""

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

    Ids are a device's own: the primary key is, in the database, (`device_id`, `id`). To Django it
    is `id`, because its admin and its foreign keys want one column.

    `revision` and the refusals (another `device_id`, a hard delete of a live row) are kept by the
    triggers of `countonme.scope.migrations`, whoever writes.
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
        # Nothing is added by operators, and deleting is soft unless it is said to be for ever.
        default_permissions = ("view", "change", "soft_delete", "restore", "hard_delete")

    def __eq__(self, other: object) -> bool:
        """Compare as Django does, and the device."""
        same = super().__eq__(other)
        if same is not True or not isinstance(other, DeviceScoped):
            return same
        return self.device_id == other.device_id

    __hash__ = models.Model.__hash__

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a row that was stored is updated, or DatabaseError says that it is gone.

        Django would insert it then: a row that was given to another device would become two.
        """
        if not self._state.adding and not kwargs.get("force_insert"):
            kwargs.setdefault("force_update", kwargs.get("update_fields") is None)
        super().save(*args, **kwargs)

    @property
    def key(self) -> Key:
        """What names the row among all devices'."""
        return self.device_id, self.pk

    def refresh_from_db(
        self, using: str | None = None, fields: Any = None, from_queryset: Any = None
    ) -> None:
        """Read the row anew, if it is this device's.

        Raises:
            UnscopedQuery: it was loaded without its device, which only plain querysets leave out.
        """
        if "device_id" not in vars(self):
            raise UnscopedQuery(f"This {type(self).__name__} was loaded without its device.")
        rows = type(self).all_objects.all() if from_queryset is None else from_queryset
        if isinstance(rows, DeviceScopedQuerySet):
            rows = rows.for_device(self.device_id)
        super().refresh_from_db(using, fields, rows)

    def _do_update(self, base_qs: models.QuerySet[Any], *args: Any) -> Any:
        """Save to a row that is this device's; to no other, whatever its id."""
        return super()._do_update(base_qs.filter(device_id=self.device_id), *args)

    @classmethod
    def fetch(cls, device_id: uuid.UUID, id: uuid.UUID, *, deleted: bool = False) -> Self:
        """Return a device's live row of an id, or with `deleted` also a deleted one.

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
            Conflict: the id is that of a row that the device has deleted.
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
        """Check the only uniqueness that is not a constraint: the id, among the device's rows.

        Raises:
            ValidationError: the id is in use.
        """
        own = type(self).all_objects.filter(device_id=self.device_id, pk=self.pk)
        if self._state.adding and own.across_devices().exists():
            raise ValidationError({"id": ID_IN_USE})


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
