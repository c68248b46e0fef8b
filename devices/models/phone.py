"""Phone: what holds a token to a device."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar, NamedTuple

from django.db import DEFAULT_DB_ALIAS, IntegrityError, models, transaction
from django.db.models import Q
from django.utils import timezone

from countonme.scope.exceptions import Conflict, DeviceGone
from countonme.scope.prepared import Prepared, PreparedInsert
from devices import tokens
from devices.models.device import MAX_PHONES, Device

MAX_NAME_LENGTH = 50
SEEN_EVERY = timedelta(minutes=5)
# How long the id of a phone that signed out is refused to others.
REMEMBERED = timedelta(days=90)
CURRENT_TOKEN = ("token_hash", "token_hmac")
PREVIOUS_TOKEN = ("previous_token_hash", "previous_token_hmac")
# What a phone loses when it is signed out.
OF_SIGNED_IN = (*CURRENT_TOKEN, *PREVIOUS_TOKEN, "name", "joined_by", "replaces")


class TokenSlot(NamedTuple):
    """A stored token: the current one, or the one before the last rotation."""

    hashed: str
    signature: str
    is_previous: bool


class PhoneQuerySet(models.QuerySet["Phone"]):
    def live(self) -> PhoneQuerySet:
        """Return the phones that are signed in."""
        return self.filter(signed_out_at=None)

    def in_order(self) -> PhoneQuerySet:
        """Sort the oldest first."""
        return self.order_by("created_at", "id")

    def sign_out(self) -> int:
        """Mark as signed out, without tokens and names. Call `Device.sign_out()` instead."""
        return self.update(signed_out_at=timezone.now(), **dict.fromkeys(OF_SIGNED_IN))

    def to_forget(self) -> PhoneQuerySet:
        """Return the phones that signed out so long ago that their ids are free again."""
        return self.filter(signed_out_at__lt=timezone.now() - REMEMBERED)


class Phone(models.Model):
    """A phone that is or was signed in to a device. Its id is the device's own."""

    pk = models.CompositePrimaryKey("device_id", "id")
    device = models.ForeignKey(
        Device, models.CASCADE, related_name="phones", db_index=False, editable=False
    )
    id = models.UUIDField(editable=False)
    name = models.CharField(max_length=MAX_NAME_LENGTH, null=True)
    token_hash = models.CharField(max_length=60, null=True, editable=False)
    token_hmac = models.CharField(max_length=73, null=True, editable=False)
    # The token before the last rotation: good for another rotation until the new one is used.
    previous_token_hash = models.CharField(max_length=60, null=True, editable=False)
    previous_token_hmac = models.CharField(max_length=73, null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_seen_at = models.DateTimeField(null=True, editable=False)
    signed_out_at = models.DateTimeField(null=True, editable=False)
    # Until its first token is used: the digest of the code or key by which it joined, and the
    # phone that is signed out then.
    joined_by = models.CharField(max_length=73, null=True, editable=False)
    replaces = models.UUIDField(null=True, editable=False)

    objects: ClassVar[Any] = PhoneQuerySet.as_manager()

    class Meta:
        db_table = "phones"
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                name="phones_token_while_signed_in",
                condition=Q(signed_out_at=None, token_hash__isnull=False, token_hmac__isnull=False)
                | Q(signed_out_at__isnull=False, **dict.fromkeys(OF_SIGNED_IN)),
            ),
            models.CheckConstraint(
                name="phones_previous_token_is_whole",
                condition=Q(**dict.fromkeys(PREVIOUS_TOKEN))
                | Q(previous_token_hash__isnull=False, previous_token_hmac__isnull=False),
            ),
            models.CheckConstraint(
                name="phones_replaces_on_joining",
                condition=Q(replaces=None) | Q(joined_by__isnull=False),
            ),
            models.CheckConstraint(
                name="phones_name_is_not_blank", condition=Q(name=None) | ~Q(name="")
            ),
        ]
        indexes = [
            models.Index(
                fields=["joined_by"], name="phones_by_code", condition=Q(joined_by__isnull=False)
            ),
            models.Index(
                fields=["signed_out_at"],
                name="phones_signed_out",
                condition=Q(signed_out_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)

    @classmethod
    def register(cls, device_id: uuid.UUID, name: str | None = None) -> tuple[Phone, str]:
        """Create a device with its first phone; return the phone and its token.

        The first phone has the device's id. The token is stored nowhere.

        Raises:
            Conflict: the id was registered before, also by a device that was erased since.
        """
        taken = Conflict("Device already registered")
        if Device.objects.filter(pk=device_id).exists():
            raise taken
        device = Device(pk=device_id)
        phone, token = cls.with_new_token(
            device, device_id, name=name, created_at=device.created_at
        )
        try:
            with transaction.atomic():
                _registration().run(device, phone)
        except IntegrityError as error:
            raise taken from error
        return phone, token

    @classmethod
    def by_ids(cls, device_id: uuid.UUID, phone_id: uuid.UUID) -> Phone:
        """Return a phone with its device, by the one query that every request runs.

        For an unknown phone return one that is as costly to check, and whose token nothing fits.
        """
        rows = _CREDENTIALS.rows(device=device_id, phone=phone_id)
        if not rows:
            return cls(
                device=Device(pk=device_id),
                id=phone_id,
                token_hash=str(phone_id),
                token_hmac=tokens.signer.sign("no token"),
                signed_out_at=timezone.now(),
            )
        phone = cls.from_db(DEFAULT_DB_ALIAS, _PHONE_COLUMNS, rows[0][: len(_PHONE_COLUMNS)])
        columns = rows[0][len(_PHONE_COLUMNS) :]
        phone.device = Device.from_db(DEFAULT_DB_ALIAS, _DEVICE_COLUMNS, columns)
        return phone

    @classmethod
    def with_new_token(cls, device: Device, id: uuid.UUID, **values: Any) -> tuple[Phone, str]:
        """Return a new phone, unsaved, and its token. Takes a quarter of a second, for bcrypt."""
        token = tokens.generate(device.pk, id)
        hashed, signature = tokens.hash_secret(token), tokens.signer.sign(token)
        phone = cls(device=device, id=id, token_hash=hashed, token_hmac=signature, **values)
        return phone, token

    @property
    def is_usable(self) -> bool:
        """Whether a right token is accepted."""
        return self.signed_out_at is None and self.device.is_usable

    def is_signed_in(self) -> bool:
        """Ask the database whether the phone is signed in by now."""
        return bool(self._row().live().exists())

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
        check = tokens.signer.check
        return next((slot for slot in self.token_slots if check(token, slot.signature)), None)

    def slots_of_unknown_keys(self) -> list[TokenSlot]:
        """Return the slots that only bcrypt can check: the key of their HMAC is gone."""
        return [slot for slot in self.token_slots if not tokens.signer.is_known(slot.signature)]

    def token_used(self, slot: TokenSlot, token: str) -> None:
        """Note a right token: sign it with the current key, and drop the previous one if it is new.

        Raises:
            DeviceGone: it was a first token, and the phone got another meanwhile.
        """
        changes: dict[str, str | None] = {}
        name = "previous_token" if slot.is_previous else "token"
        if not tokens.signer.is_current(slot.signature):
            changes[f"{name}_hmac"] = tokens.signer.sign(token)
        if not slot.is_previous and self.previous_token_hash:
            changes |= dict.fromkeys(PREVIOUS_TOKEN)
        if changes:
            self._row().filter(**{f"{name}_hash": slot.hashed}).update(**changes)
            for field, value in changes.items():
                setattr(self, field, value)
        if self.joined_by is not None:
            self._complete_joining()

    def _complete_joining(self) -> None:
        """Note the first use of the token: the code is used up, and a moved phone is signed out."""
        with self.device.writing():
            joined = self._row().filter(token_hash=self.token_hash)
            if not joined.update(joined_by=None, replaces=None):
                raise DeviceGone
            if self.replaces is not None:
                self.device.sign_out(self.device.phones.filter(id=self.replaces))
        self.joined_by = self.replaces = None

    def rotate_token(self, used: str) -> str:
        """Replace the token; `used`, the one that asks for it, may ask again until the new is used.

        Raises:
            DeviceGone: meanwhile the phone was signed out, or `used` is no token of it any more.
        """
        slot = self.match_signature(used)
        if slot is None:
            raise DeviceGone
        # bcrypt is slow: done before the row is locked.
        fresh, token = Phone.with_new_token(self.device, self.id)
        is_stored = Q(token_hash=slot.hashed) | Q(previous_token_hash=slot.hashed)
        with self.device.writing():
            if (
                not self._row()
                .filter(is_stored)
                .update(
                    token_hash=fresh.token_hash,
                    token_hmac=fresh.token_hmac,
                    previous_token_hash=slot.hashed,
                    previous_token_hmac=slot.signature,
                )
            ):
                raise DeviceGone
        return token

    def issue_token(self) -> str:
        """Give the phone a new token and sign it in, for an operator.

        Its older tokens are refused from then on. So is a pairing code that it asked for.

        Raises:
            DeviceGone: the device is erased.
            Conflict: the device has eight other phones.
        """
        fresh, token = Phone.with_new_token(self.device, self.id)
        with self.device.locked():
            self.check_limit()
            self.device.void_codes([self.id])
            lost = (*PREVIOUS_TOKEN, "signed_out_at", "joined_by", "replaces")
            changes: dict[str, Any] = dict.fromkeys(lost)
            changes |= {name: getattr(fresh, name) for name in CURRENT_TOKEN}
            if not self._row().update(**changes):
                fresh.save(force_insert=True)
        return token

    def check_limit(self) -> None:
        """Refuse one phone more than a device may have.

        Raises:
            Conflict: with the limit in its sentence.
        """
        if self.device.phones.live().exclude(id=self.id).count() >= MAX_PHONES:
            raise Conflict(f"A device has at most {MAX_PHONES} phones")

    def rename(self, name: str | None) -> None:
        """Set what the phone calls itself."""
        if name != self.name:
            self.name = name
            self._row().update(name=name)

    def leave(self) -> None:
        """Sign out, as a phone of the same device asks; within a locked transaction.

        Raises:
            Conflict: no other phone would be left. One that has not used its token counts: should
                the answer that brought it be lost, it asks again by the same code.
        """
        if not self.device.phones.live().exclude(id=self.id).exists():
            raise Conflict("Erase the device instead")
        self.device.sign_out(self._row())

    def seen(self) -> None:
        """Note that the phone called, at most once in five minutes, and never wait for a writer."""
        now = timezone.now()
        if self.last_seen_at is not None and now - self.last_seen_at < SEEN_EVERY:
            return
        with transaction.atomic():
            idle = self._row().select_for_update(skip_locked=True, no_key=True).values("id")
            if self.device.phones.filter(id__in=idle).update(last_seen_at=now):
                self.last_seen_at = now

    def _row(self) -> PhoneQuerySet:
        rows: PhoneQuerySet = Phone.objects.filter(device=self.device_id, id=self.id)
        return rows


_PHONE_COLUMNS = [field.attname for field in Phone._meta.concrete_fields]
_DEVICE_COLUMNS = [field.attname for field in Device._meta.concrete_fields]
_CREDENTIALS = Prepared(
    lambda device, phone: Phone.objects.filter(device=device, id=phone).values_list(
        *_PHONE_COLUMNS, *(f"device__{column}" for column in _DEVICE_COLUMNS)
    ),
    "device",
    "phone",
)


@cache
def _registration() -> PreparedInsert:
    return PreparedInsert(Device, Phone)
