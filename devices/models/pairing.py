"""How a phone joins a device: by a pairing code of another phone, or by the recovery key."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.db.models import Max, Q
from django.utils import timezone

from countonme.scope.exceptions import ID_IN_USE, Conflict, DeviceGone, NotFound
from devices import codes
from devices.models.device import Device
from devices.models.phone import Phone

CODE_LIFETIME = timedelta(minutes=10)
# How long a recovery key stays good whose successor was made without it.
KEY_GRACE = timedelta(days=7)


class UnknownCode(NotFound):
    """A code or key that lets nobody join. The sentence does not tell why."""

    def __init__(self) -> None:
        super().__init__("Code not found or expired")


class PairingCode(models.Model):
    """A code by which one phone may join, once, for ten minutes. A device has one at most."""

    device = models.OneToOneField(
        Device, models.CASCADE, primary_key=True, related_name="pairing_code", editable=False
    )
    # The phone that asked for it; with `is_move` it is signed out when the new one is there.
    phone_id = models.UUIDField(editable=False)
    is_move = models.BooleanField(editable=False)
    digest = models.CharField(max_length=73, editable=False)
    expires_at = models.DateTimeField(editable=False)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        db_table = "pairing_codes"
        default_permissions = ()
        indexes = [models.Index(fields=["digest"], name="pairing_codes_by_digest")]

    def __str__(self) -> str:
        return f"of {self.device_id}"

    @classmethod
    def create(cls, phone: Phone, *, is_move: bool = False) -> tuple[PairingCode, str]:
        """Make a code that takes the place of the one before; within a locked transaction.

        Args:
            phone: the phone that asks for it.

        Returns:
            The row, and the code, which is stored nowhere.
        """
        code = codes.new_code()
        row, _ = cls.objects.update_or_create(
            device=phone.device,
            defaults={
                "phone_id": phone.id,
                "is_move": is_move,
                "digest": codes.signer.sign(code),
                "expires_at": timezone.now() + CODE_LIFETIME,
            },
        )
        return row, codes.printed_code(code)


class RecoveryKey(models.Model):
    """A key by which a phone may join without another phone, when all are lost.

    The present key of a device does not expire. If a key is replaced or deleted by somebody who
    does not show it, it stays good for seven days. So the thief of a phone can't lock its owner
    out.
    """

    pk = models.CompositePrimaryKey("device_id", "id")
    device = models.ForeignKey(
        Device, models.CASCADE, related_name="recovery_keys", db_index=False, editable=False
    )
    # Of two keys of a device, the later one has the greater id.
    id = models.BigIntegerField(editable=False)
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        db_table = "recovery_keys"
        default_permissions = ()
        indexes = [models.Index(fields=["digest"], name="recovery_keys_by_digest")]
        constraints = [
            models.UniqueConstraint(
                fields=["device"],
                name="recovery_keys_one_present",
                condition=Q(expires_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"of {self.device_id}"

    @classmethod
    def create(cls, device: Device, shown: str | None = None) -> tuple[RecoveryKey, str]:
        """Make a new present key; within a locked transaction. See `withdraw()` for the old one.

        Args:
            shown: a good key of the device, as it was typed.

        Returns:
            The row, and the key, which is stored nowhere.

        Raises:
            Conflict: what was shown is no good key of this device.
        """
        cls.withdraw(device, shown)
        key = codes.new_key()
        last = cls.objects.filter(device=device).aggregate(id=Max("id"))["id"] or 0
        row = cls.objects.create(device=device, id=last + 1, digest=codes.key_digest(key))
        _note_present(device, row.created_at)
        return row, codes.printed_key(key)

    @classmethod
    def withdraw(cls, device: Device, shown: str | None = None) -> None:
        """End the present key of a device; within a locked transaction.

        If a good key is shown, it ends at once, and so do all keys made after it. If none is shown,
        the present key ends in seven days.

        Raises:
            Conflict: what was shown is no good key of this device.
        """
        if shown is not None:
            key = cls.good().filter(device=device, digest=codes.key_digest(shown) or "").first()
            if key is None:
                raise Conflict("Not the device's recovery key")
            cls.objects.filter(device=device, id__gte=key.id).delete()
        now = timezone.now()
        present = cls.objects.filter(device=device, expires_at=None)
        present.update(expires_at=now + KEY_GRACE)
        _note_present(device, None)

    @classmethod
    def good(cls) -> models.QuerySet[RecoveryKey]:
        """Return the keys that are good at this moment."""
        rows: models.QuerySet[RecoveryKey] = cls.objects.filter(
            Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        )
        return rows

    def make_present(self) -> None:
        """Make this the present key again, and end all keys made after it.

        Those may be a thief's: an older key outranks them.
        """
        keys = RecoveryKey.objects.filter(device=self.device_id)
        keys.filter(id__gt=self.id).delete()
        keys.filter(id=self.id).update(expires_at=None)
        _note_present(self.device, self.created_at)


def pair(
    typed: str, phone_id: uuid.UUID, *, name: str | None = None, revoke_others: bool = False
) -> tuple[Phone, str]:
    """Have a phone join the device that a code or a recovery key is of.

    Until its first token is used, the phone may ask again by the same code or key, and gets
    another: the answer may have been lost.

    Args:
        typed: the code or key, as a person typed it.
        revoke_others: with a key, sign out all other phones and void all codes first.

    Returns:
        The phone, and its token, which is stored nowhere.

    Raises:
        UnknownCode: it is none, or it is used or expired, or its device is blocked or erased.
        Conflict: the device has or had a phone of this id, or it has eight others.
    """
    digests = codes.digests(typed) or [""]
    # Always the same queries, so that the time tells nothing.
    found = [
        _unused_codes(digests).values("device"),
        RecoveryKey.good().filter(digest__in=digests).values("device"),
        _joining(digests).filter(id=phone_id).values("device"),
    ]
    devices = Device.objects.filter(
        pk__in=found[0].union(*found[1:], all=True), blocked_at=None, erased_at=None
    )[:2]
    # Nothing keeps two devices from having the same code by chance: then it is nobody's.
    if len(devices) != 1:
        raise UnknownCode
    [device] = devices
    # bcrypt is slow: done before the row is locked.
    phone, token = Phone.with_new_token(device, phone_id, name=name)
    try:
        with device.locked():
            if not device.is_usable:
                raise UnknownCode
            _join(phone, digests, revoke_others=revoke_others)
    except DeviceGone as error:
        raise UnknownCode from error
    return phone, token


def _join(phone: Phone, digests: list[str], *, revoke_others: bool) -> None:
    """Save a phone that joins, under the lock of its device; see `pair()`."""
    device = phone.device
    again = _joining(digests).filter(device=device, id=phone.id).first()
    code = _unused_codes(digests).filter(device=device).first()
    key = RecoveryKey.good().filter(digest__in=digests, device=device).first()
    # A key that has ended still gives another token to a phone that joined by it, but signs
    # nobody out.
    if key is None and (revoke_others or (again is None and code is None)):
        raise UnknownCode
    if again is None and device.phones.filter(id=phone.id).exists():
        raise Conflict(ID_IN_USE)
    if key is not None and revoke_others:
        device.sign_out(device.phones.exclude(id=phone.id))
        key.make_present()
    if again is not None:
        phone.joined_by, phone.replaces = again.joined_by, again.replaces
        phone.created_at = again.created_at
        phone.save(force_update=True)
        return
    phone.check_limit()
    if code is not None:
        phone.joined_by = code.digest
        phone.replaces = code.phone_id if code.is_move else None
        code.delete()
    elif key is not None:
        phone.joined_by = key.digest
    phone.save(force_insert=True)


def _unused_codes(digests: list[str]) -> models.QuerySet[PairingCode]:
    """Return the codes that are good at this moment."""
    rows: models.QuerySet[PairingCode] = PairingCode.objects.filter(
        digest__in=digests, expires_at__gt=timezone.now()
    )
    return rows


def _joining(digests: list[str]) -> models.QuerySet[Phone]:
    """Return the phones that joined by a code or key and have not used their token yet."""
    rows: models.QuerySet[Phone] = Phone.objects.filter(joined_by__in=digests)
    return rows


def _note_present(device: Device, created_at: datetime | None) -> None:
    device.recovery_key_created_at = created_at
    Device.objects.filter(pk=device.pk).update(recovery_key_created_at=created_at)
