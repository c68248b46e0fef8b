"""Device: the owner of a diary."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models, transaction
from django.db.models import Count, F, Max, Q, QuerySet
from django.utils import timezone

from countonme.scope.exceptions import DeviceGone
from countonme.scope.models import device_scoped_models
from countonme.scope.prepared import Prepared

if TYPE_CHECKING:
    from devices.models.phone import Phone, PhoneQuerySet


MAX_PHONES = 8


class DeviceManager(models.Manager["Device"]):
    def inactive_since(self, moment: datetime) -> QuerySet[Device]:
        """Return the devices of which no phone joined or was seen since a moment.

        Erased devices are left out.
        """
        silent = self.exclude(phones__created_at__gte=moment).exclude(
            phones__last_seen_at__gte=moment
        )
        return silent.filter(created_at__lt=moment, erased_at=None)


class Device(models.Model):
    """What owns a diary. Its phones hold the tokens to it.

    Once a device is erased, its id and the time of erasing are all that stays of it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    created_at = models.DateTimeField(null=True, default=timezone.now, editable=False)
    blocked_at = models.DateTimeField(null=True, editable=False)
    blocked_reason = models.CharField(max_length=200, blank=True, default="")
    erased_at = models.DateTimeField(null=True, editable=False)
    revision = models.BigIntegerField(default=1, editable=False)
    revised_at = models.DateTimeField(null=True, editable=False)
    revised_in = models.BigIntegerField(null=True, editable=False)
    purged_revision = models.BigIntegerField(default=0, editable=False)
    # How often phones were signed out: a write compares it with what authentication read.
    sign_outs = models.BigIntegerField(default=0, db_default=0, editable=False)
    # Of the present recovery key, if there is one.
    recovery_key_created_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[DeviceManager] = DeviceManager()

    phones: Any  # reverse manager
    pairing_code: Any  # reverse one to one
    # The phone that calls, where a request was authenticated.
    phone: Phone | None = None

    # What DRF asks of `request.user`.
    is_authenticated = True

    class Meta:
        db_table = "devices"
        default_permissions = ("view", "block", "revoke", "issue_token", "export", "erase")
        constraints = [
            models.CheckConstraint(
                name="devices_erased_is_blank",
                condition=Q(erased_at=None, created_at__isnull=False)
                | Q(
                    erased_at__isnull=False,
                    created_at=None,
                    blocked_at=None,
                    blocked_reason="",
                    revised_at=None,
                    revised_in=None,
                    recovery_key_created_at=None,
                ),
            ),
            models.CheckConstraint(
                name="devices_revision_counts_up",
                condition=Q(revision__gte=1, purged_revision__gte=0)
                & Q(purged_revision__lte=F("revision")),
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; of a stored device only what operators write, if no fields are named.

        Triggers and requests write the others meanwhile, and erasing is for ever.
        """
        if not self._state.adding and kwargs.get("update_fields") is None:
            kwargs["update_fields"] = ["blocked_at", "blocked_reason"]
        super().save(*args, **kwargs)

    @classmethod
    def by_id(cls, device_id: uuid.UUID) -> Device | None:
        """Return the device with an id, or None."""
        found: Device | None = _BY_ID.instance(pk=device_id)
        return found

    @property
    def is_usable(self) -> bool:
        """Whether a right token of one of its phones is accepted."""
        return self.blocked_at is None and self.erased_at is None

    def sign_out(self, phones: PhoneQuerySet) -> int:
        """Refuse the tokens of some of its phones from now on, within a locked transaction.

        A pairing code that one of them asked for goes with it. What the device owns stays.

        Returns:
            The number of phones that were signed out.
        """
        ids = [phone.id for phone in phones.live()]
        if ids:
            self.phones.filter(id__in=ids).sign_out()
            self.void_codes(ids)
            Device.objects.filter(pk=self.pk).update(sign_outs=F("sign_outs") + 1)
        return len(ids)

    def sign_out_all(self) -> int:
        """Refuse the tokens of all its phones from now on; return how many these were.

        Raises:
            DeviceGone: the device is erased.
        """
        with self.locked():
            return self.sign_out(self.phones)

    def void_codes(self, phone_ids: list[uuid.UUID]) -> None:
        """Delete the pairing code if one of these phones asked for it; in a locked transaction."""
        codes = Device.pairing_code.related.related_model.objects
        codes.filter(device=self, phone_id__in=phone_ids).delete()

    def block(self, reason: str) -> None:
        """Refuse the tokens of its phones until it is unblocked; its data stays.

        Raises:
            DeviceGone: the device is erased.
        """
        with self.locked():
            self.blocked_at = timezone.now()
            self.blocked_reason = reason
            self.save(update_fields=["blocked_at", "blocked_reason"])

    def unblock(self) -> None:
        """Accept the tokens of its phones again."""
        self.blocked_at = None
        self.blocked_reason = ""
        self.save(update_fields=["blocked_at", "blocked_reason"])

    def erase(self) -> None:
        """Forget the device but for its id; the next purge removes its rows. For ever.

        A trigger removes its phones, codes and keys in the same statement.
        """
        blank: dict[str, Any] = {
            "created_at": None,
            "blocked_at": None,
            "blocked_reason": "",
            "revision": 1,
            "purged_revision": 0,
            "revised_at": None,
            "revised_in": None,
            "sign_outs": 0,
            "recovery_key_created_at": None,
            "erased_at": timezone.now(),
        }
        if Device.objects.filter(pk=self.pk, erased_at=None).update(**blank):
            for name, value in blank.items():
                setattr(self, name, value)
        else:
            self.refresh_from_db()

    def delete_rows(self) -> None:
        """Delete all that it owns softly, within a locked transaction; its phones stay.

        All of it at one moment, so that restoring a row restores what was deleted with it.
        """
        now = timezone.now()
        for model in device_scoped_models():
            model.objects.for_device(self).update(deleted_at=now)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A transaction that writes this device's rows: its row is locked before any other.

        So commits of one device are serial, and no two writers lock in different orders.

        Raises:
            DeviceGone: the device is erased.
        """
        with transaction.atomic():
            self.lock()
            yield

    def lock(self) -> None:
        """Lock the row for the rest of the transaction, and read it anew.

        Raises:
            DeviceGone: the device is erased.
        """
        rows = _LOCKED.rows(pk=self.pk)
        for row in rows:
            for field, value in zip(self._meta.concrete_fields, row, strict=True):
                setattr(self, field.attname, value)
        if not rows or self.erased_at is not None:
            raise DeviceGone

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The same for a call of one of its phones.

        Raises:
            DeviceGone: the phone's token would be refused by now.
        """
        known = self.sign_outs
        with self.locked():
            if not self.is_usable:
                raise DeviceGone
            # Only where some phone was signed out since the call was authenticated, look which.
            if self.phone and self.sign_outs != known and not self.phone.is_signed_in():
                raise DeviceGone
            yield

    @classmethod
    def violations(cls) -> Iterator[tuple[str, QuerySet[Device]]]:
        """Check the stored devices: yield each rule with the devices that break it."""
        live = Count("phones__id", filter=Q(phones__signed_out_at=None))
        too_many = cls.objects.alias(live=live).filter(live__gt=MAX_PHONES)
        yield f"a device has at most {MAX_PHONES} phones", too_many
        erased = cls.objects.filter(erased_at__isnull=False)
        yield "an erased device has no phones", erased.filter(phones__isnull=False).distinct()
        with_keys = erased.filter(recovery_keys__isnull=False).distinct()
        yield "an erased device has no recovery key", with_keys
        is_present = Q(recovery_keys__expires_at=None)
        present = Max("recovery_keys__created_at", filter=is_present)
        noted = F("recovery_key_created_at")
        yield (
            "recovery_key_created_at is that of the present key",
            cls.objects.alias(present=present).filter(
                Q(present__lt=noted)
                | Q(present__gt=noted)
                | Q(present=None, recovery_key_created_at__isnull=False)
                | Q(present__isnull=False, recovery_key_created_at=None)
            ),
        )

    def owned_rows(self) -> dict[str, int]:
        """Count what the device owns, deleted rows included, by model."""
        return {
            str(model._meta.verbose_name_plural): model.all_objects.for_device(self).count()
            for model in device_scoped_models()
        }


_BY_ID = Prepared(lambda pk: Device.objects.filter(pk=pk), "pk")
_LOCKED = Prepared(lambda pk: Device.objects.select_for_update(no_key=True).filter(pk=pk), "pk")
