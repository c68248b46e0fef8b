"""Device: a phone that registered itself, and everything that its token decides."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple

from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from countonme.scope.exceptions import Conflict, DeviceGone
from countonme.scope.models import device_scoped_models
from countonme.scope.prepared import Prepared
from devices import tokens

SEEN_EVERY = timedelta(minutes=5)


class TokenSlot(NamedTuple):
    """A stored token: the current one, or the one before the last rotation."""

    hashed: str
    signature: str
    is_previous: bool


class DeviceManager(models.Manager["Device"]):
    def register(self, device_id: uuid.UUID) -> tuple[Device, str]:
        """Create a device and return it with its token, which is stored nowhere.

        Raises:
            Conflict: the id was registered before, also by a device that was erased since.
        """
        taken = Conflict("Device already registered")
        if self.filter(pk=device_id).exists():
            raise taken
        device = Device(pk=device_id)
        token = device.set_new_token()
        try:
            with transaction.atomic():
                device.save(force_insert=True)
        except IntegrityError as error:
            raise taken from error
        return device, token

    def inactive_since(self, moment: datetime) -> models.QuerySet[Device]:
        """Return the devices neither registered nor seen since a moment, erased ones aside."""
        unseen = Q(last_seen_at=None) | Q(last_seen_at__lt=moment)
        return self.filter(unseen, created_at__lt=moment, erased_at=None)


class Device(models.Model):
    """A phone. Once erased, its id and the time of erasing are all that stays of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    token_hash = models.CharField(max_length=60, null=True, editable=False)
    token_hmac = models.CharField(max_length=73, null=True, editable=False)
    # The token before the last rotation: good for another rotation until the new one is used.
    previous_token_hash = models.CharField(max_length=60, null=True, editable=False)
    previous_token_hmac = models.CharField(max_length=73, null=True, editable=False)
    created_at = models.DateTimeField(null=True, default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)
    blocked_at = models.DateTimeField(null=True, editable=False)
    blocked_reason = models.CharField(max_length=200, blank=True, default="")
    erased_at = models.DateTimeField(null=True, editable=False)
    revision = models.BigIntegerField(default=1, editable=False)
    revised_at = models.DateTimeField(null=True, editable=False)
    revised_in = models.BigIntegerField(null=True, editable=False)
    purged_revision = models.BigIntegerField(default=0, editable=False)

    objects: ClassVar[DeviceManager] = DeviceManager()

    # What DRF asks of `request.user`.
    is_authenticated = True

    class Meta:
        db_table = "devices"
        default_permissions = ("view", "block", "revoke", "export", "erase")
        constraints = [
            models.CheckConstraint(
                name="devices_erased_is_blank",
                condition=Q(erased_at=None, created_at__isnull=False)
                | Q(
                    erased_at__isnull=False,
                    created_at=None,
                    last_seen_at=None,
                    token_hash=None,
                    token_hmac=None,
                    previous_token_hash=None,
                    previous_token_hmac=None,
                    blocked_at=None,
                    blocked_reason="",
                    revised_at=None,
                    revised_in=None,
                ),
            ),
            models.CheckConstraint(
                name="devices_token_is_whole",
                condition=Q(token_hash=None, token_hmac=None, previous_token_hash=None)
                | Q(token_hash__isnull=False, token_hmac__isnull=False),
            ),
            models.CheckConstraint(
                name="devices_previous_token_is_whole",
                condition=Q(previous_token_hash=None, previous_token_hmac=None)
                | Q(previous_token_hash__isnull=False, previous_token_hmac__isnull=False),
            ),
            models.CheckConstraint(
                name="devices_revision_counts_up",
                condition=Q(revision__gte=1, purged_revision__gte=0)
                & Q(purged_revision__lte=models.F("revision")),
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
        """Return the device of an id, by a query that every request runs."""
        found: Device | None = _BY_ID.instance(pk=device_id)
        return found

    @classmethod
    def decoy(cls, device_id: uuid.UUID) -> Device:
        """Return a device that stands for an unknown one: as costly to check, and no token fits."""
        return cls(pk=device_id, token_hash=str(device_id), token_hmac=tokens.sign("no token"))

    @property
    def is_usable(self) -> bool:
        """Whether a right token would be accepted."""
        return self.token_hash is not None and self.blocked_at is None and self.erased_at is None

    @property
    def token_slots(self) -> list[TokenSlot]:
        """The tokens stored, the current one first."""
        stored = [
            (self.token_hash, self.token_hmac, False),
            (self.previous_token_hash, self.previous_token_hmac, True),
        ]
        return [
            TokenSlot(hashed, signature, is_previous)
            for hashed, signature, is_previous in stored
            if hashed and signature
        ]

    def match_signature(self, token: str) -> TokenSlot | None:
        """Return the slot whose HMAC a token has; costs microseconds, right or wrong."""
        slots = self.token_slots
        return next((slot for slot in slots if tokens.check_signature(token, slot.signature)), None)

    def slots_of_unknown_keys(self) -> list[TokenSlot]:
        """Return the slots that only bcrypt can check: the key of their HMAC is gone."""
        return [slot for slot in self.token_slots if not tokens.is_known(slot.signature)]

    def token_used(self, slot: TokenSlot, token: str) -> None:
        """Note a right token: sign it with the current key; drop the previous one if it is new."""
        changes: dict[str, str | None] = {}
        name = "previous_token" if slot.is_previous else "token"
        if not tokens.is_current(slot.signature):
            changes[f"{name}_hmac"] = tokens.sign(token)
        if not slot.is_previous and self.previous_token_hash:
            changes |= {"previous_token_hash": None, "previous_token_hmac": None}
        if changes:
            Device.objects.filter(pk=self.pk, **{f"{name}_hash": slot.hashed}).update(**changes)
            for field, value in changes.items():
                setattr(self, field, value)

    def set_new_token(self) -> str:
        """Replace the token on this instance, without saving, and return the new one."""
        token = tokens.generate(self.pk)
        self.token_hash = tokens.hash_secret(token)
        self.token_hmac = tokens.sign(token)
        self.previous_token_hash = self.previous_token_hmac = None
        return token

    def rotate_token(self, used: str) -> str:
        """Replace the token; `used`, the one that asks for it, may ask again until the new is used.

        Raises:
            DeviceGone: meanwhile the device lost its tokens, or `used` is none of them any more.
        """
        # bcrypt is slow: done before the row is locked.
        fresh = Device(pk=self.pk)
        token = fresh.set_new_token()
        with self.writing():
            slot = self.match_signature(used)
            if slot is None:
                raise DeviceGone
            self.previous_token_hash, self.previous_token_hmac = slot.hashed, slot.signature
            self.token_hash, self.token_hmac = fresh.token_hash, fresh.token_hmac
            self.save(update_fields=TOKEN_FIELDS)
        return token

    def issue_token(self) -> str:
        """Give a phone that lost its token a new one; older ones are refused from then on.

        Raises:
            DeviceGone: the device is erased.
        """
        token = self.set_new_token()
        changed = Device.objects.filter(pk=self.pk, erased_at=None).update(
            **{name: getattr(self, name) for name in TOKEN_FIELDS}
        )
        if not changed:
            raise DeviceGone
        return token

    def revoke_token(self) -> None:
        """Refuse every token of the device from now on; its data stays."""
        for name in TOKEN_FIELDS:
            setattr(self, name, None)
        self.save(update_fields=TOKEN_FIELDS)

    def block(self, reason: str) -> None:
        """Refuse the device's token until it is unblocked; its data stays.

        Raises:
            DeviceGone: the device is erased.
        """
        with self.locked():
            self.blocked_at = timezone.now()
            self.blocked_reason = reason
            self.save(update_fields=["blocked_at", "blocked_reason"])

    def unblock(self) -> None:
        """Accept the device's token again."""
        self.blocked_at = None
        self.blocked_reason = ""
        self.save(update_fields=["blocked_at", "blocked_reason"])

    def erase(self) -> None:
        """Forget the device but for its id; the next purge removes its rows. For ever."""
        Device.objects.filter(pk=self.pk, erased_at=None).update(
            **dict.fromkeys(TOKEN_FIELDS),
            created_at=None,
            last_seen_at=None,
            blocked_at=None,
            blocked_reason="",
            revision=1,
            purged_revision=0,
            revised_at=None,
            revised_in=None,
            erased_at=timezone.now(),
        )
        self.refresh_from_db()

    def seen(self) -> None:
        """Note that the phone called, at most once in five minutes, and never wait for a writer."""
        now = timezone.now()
        if self.last_seen_at is not None and now - self.last_seen_at < SEEN_EVERY:
            return
        with transaction.atomic():
            idle = Device.objects.select_for_update(skip_locked=True, no_key=True)
            row = idle.filter(pk=self.pk, erased_at=None).values("pk")
            if Device.objects.filter(pk__in=row).update(last_seen_at=now):
                self.last_seen_at = now

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
        """The same for a call of the phone itself.

        Raises:
            DeviceGone: its token would be refused by now.
        """
        with self.locked():
            if not self.is_usable:
                raise DeviceGone
            yield

    def owned_rows(self) -> dict[str, int]:
        """Count what the device owns, deleted rows included, by model."""
        return {
            str(model._meta.verbose_name_plural): model.all_objects.for_device(self).count()
            for model in device_scoped_models()
        }


_BY_ID = Prepared(lambda pk: Device.objects.filter(pk=pk), "pk")
_LOCKED = Prepared(lambda pk: Device.objects.select_for_update(no_key=True).filter(pk=pk), "pk")
TOKEN_FIELDS = ["token_hash", "token_hmac", "previous_token_hash", "previous_token_hmac"]
