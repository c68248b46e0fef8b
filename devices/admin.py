"""The operators' pages about devices. They show no token, hash or HMAC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import formats, timezone
from django.utils.crypto import salted_hmac
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.views.decorators.debug import sensitive_variables
from unfold.decorators import display

from countonme.operators.acts import Act, Confirmation, counted, sentence
from countonme.operators.base import OperatorAdmin, ReadOnlyAdmin, badge, id_range, link
from countonme.operators.site import OVERVIEW
from countonme.scope.exceptions import Conflict, DeviceGone
from countonme.scope.models import DeviceScoped, device_scoped_models
from devices import transfer
from devices.models import Device, MaintenanceRun, Phone


class SeenFilter(admin.SimpleListFilter):
    title = "seen"
    parameter_name = "seen"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("today", "Today"),
            ("week", "Within a week"),
            ("never", "Never since registering"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        match self.value():
            case "today":
                midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
                return queryset.filter(seen_at__gte=midnight)
            case "week":
                return queryset.filter(seen_at__gte=now - timedelta(days=7))
            case "never":
                return queryset.filter(seen_at=None, erased_at=None)
        return queryset


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("usable", "Usable"), ("blocked", "Blocked"), ("erased", "Erased")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "usable":
                return queryset.filter(blocked_at=None, erased_at=None)
            case "blocked":
                return queryset.filter(blocked_at__isnull=False)
            case "erased":
                return queryset.filter(erased_at__isnull=False)
        return queryset


SIGN_OUT_PHONE = "admin:devices_phone_sign_out"
ISSUE = "admin:devices_phone_token"


def phones_of(devices: Sequence[Any]) -> list[str]:
    """Say how many phones of devices are signed in."""
    return [counted(Phone.objects.live().filter(device__in=devices).count(), Phone)]


def owned_by(devices: Sequence[Any]) -> list[str]:
    """Say how many phones, and rows of each kind, devices own, deleted ones included."""
    rows = (
        counted(model.all_objects.across_devices().filter(device__in=devices).count(), model)
        for model in device_scoped_models()
    )
    return [*phones_of(devices), *rows]


BLOCK = Act(
    name="block",
    label="Block {}",
    done="Blocked",
    run=lambda device, reason, by: device.block(reason),
    permission="block",
    applies=lambda device: device.is_usable,
    only="Only a device that is neither blocked nor erased can be blocked.",
    consequence="All calls of these phones are refused until the device is unblocked. What it "
    "owns stays.",
    totals=phones_of,
)
UNBLOCK = Act(
    name="unblock",
    label="Unblock {}",
    done="Unblocked",
    run=lambda device, reason, by: device.unblock(),
    permission="block",
    applies=lambda device: device.blocked_at is not None,
    only="Only a blocked device can be unblocked.",
)
SIGN_OUT = Act(
    name="sign_out",
    label="Sign out all phones of {}",
    done="Phones signed out",
    run=lambda device, reason, by: device.sign_out(device.phones.all()),
    permission="revoke",
    applies=lambda device: device.phones.live().exists(),
    only="Only a device with a phone that is signed in can be signed out.",
    consequence="Their tokens and the pairing codes that they asked for are refused at once. What "
    "the device owns stays, and so does its recovery key.",
    totals=phones_of,
)
ERASE = Act(
    name="erase",
    label="Erase {}",
    done="Erased",
    run=lambda device, reason, by: device.erase(),
    permission="erase",
    applies=lambda device: device.erased_at is None,
    only="This is erased already.",
    consequence="All phones are signed out at once, and the next purge removes all rows.",
    totals=owned_by,
    is_for_ever=True,
)


@admin.register(Device)
class DeviceAdmin(OperatorAdmin):
    icon = "smartphone"
    is_in_search = True
    list_display = ["id", "state", "created_at", "last_seen_at", "phone_count", "rows"]
    list_filter = [SeenFilter, StateFilter, "created_at"]
    search_fields = ["id"]
    search_help_text = "An id, whole or from its start"
    ordering = ["-created_at", "-id"]
    sortable_by = ["created_at"]
    actions: ClassVar[Any] = [BLOCK, UNBLOCK, SIGN_OUT, "export", ERASE]
    readonly_fields = ["last_seen_at", "phones", "owns"]
    fields = [
        "id",
        "created_at",
        "last_seen_at",
        "phones",
        "recovery_key_created_at",
        "blocked_at",
        "blocked_reason",
        "erased_at",
        "owns",
        "revision",
        "revised_at",
        "purged_revision",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Annotate each device with what its list shows of phones and of live rows."""
        of_device = Phone.objects.filter(device=OuterRef("pk")).order_by().values("device")
        signed_in = of_device.filter(signed_out_at=None).annotate(n=Count("*")).values("n")
        seen_at = of_device.annotate(seen_at=Max("last_seen_at")).values("seen_at")
        rows = super().get_queryset(request)
        rows = rows.annotate(signed_in=Coalesce(Subquery(signed_in), 0), seen_at=Subquery(seen_at))
        for model in device_scoped_models():
            owned = model.objects.across_devices().filter(device=OuterRef("pk"))
            count = owned.order_by().values("device").annotate(n=Count("pk")).values("n")
            rows = rows.annotate(**{_count_name(model): Coalesce(Subquery(count), 0)})
        return rows

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Note on the device what the operator may do to its phones."""
        device = super().get_object(request, object_id, from_field)
        if device is not None:
            offered = {
                SIGN_OUT_PHONE: ("Sign out…", self.has_revoke_permission(request)),
                ISSUE: ("Issue a new token…", self.has_issue_token_permission(request)),
            }
            device.offered = {view: text for view, (text, may) in offered.items() if may}
        return device

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        bounds = id_range(search_term)
        return (queryset.filter(pk__range=bounds) if bounds else queryset.none()), False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_block_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "block")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "revoke")

    def has_issue_token_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "issue_token")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "export")

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "erase")

    def lock(self, row: Device) -> None:
        row.lock()

    @display(description="state")
    def state(self, device: Any) -> SafeString:
        if device.erased_at is not None:
            return badge("erased", "bad")
        if device.blocked_at is not None:
            return badge("blocked", "odd")
        return badge("usable", "good") if device.signed_in else badge("no phone", "dull")

    @display(description="last seen at")
    def last_seen_at(self, device: Any) -> str | None:
        return device.seen_at and formats.localize(localtime(device.seen_at))

    @display(description="phones")
    def phone_count(self, device: Any) -> int:
        return int(device.signed_in)

    @display(description="phones")
    def phones(self, device: Any) -> SafeString:
        """List the phones that are signed in, each with links to what can be done to it."""

        def links(phone_id: UUID) -> SafeString:
            offered = device.offered.items()
            linked = ((link(view, text, device.pk, phone_id),) for view, text in offered)
            return format_html_join(" ", "{}", linked)

        listed = format_html_join(
            "",
            "<p>{}: {}, joined {}, last seen {} {}</p>",
            (
                (
                    phone.name or "No name",
                    phone.id,
                    formats.localize(localtime(phone.created_at)),
                    formats.localize(localtime(phone.last_seen_at))
                    if phone.last_seen_at
                    else "never",
                    links(phone.id),
                )
                for phone in device.phones.live().in_order()
            ),
        )
        if listed:
            return listed
        if device.erased_at is not None or ISSUE not in device.offered:
            return SafeString("None")
        renew = link(ISSUE, "Issue a token for the first phone…", device.pk, device.pk)
        return format_html("None. {}", renew)

    @display(description="rows")
    def rows(self, device: Any) -> str:
        """Count what the device owns; its page has each kind."""
        return f"{sum(getattr(device, _count_name(model)) for model in device_scoped_models()):,}"

    @display(description="owns")
    def owns(self, device: Device) -> SafeString:
        return format_html_join(
            " · ",
            "{}",
            (
                (
                    link(
                        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist",
                        counted(getattr(device, _count_name(model)), model),
                        query=f"?deleted=no&of={device.pk}",
                    ),
                )
                for model in device_scoped_models()
            ),
        )

    def get_urls(self) -> list[Any]:
        pages = [
            path(
                f"<uuid:device_id>/phones/<uuid:phone_id>/{name}/",
                self.admin_site.admin_view(view),
                name=url_name.partition(":")[2],
            )
            for name, view, url_name in (
                ("sign-out", self.sign_out_phone, SIGN_OUT_PHONE),
                ("token", self.issue_token, ISSUE),
            )
        ]
        return [*pages, *super().get_urls()]

    def sign_out_phone(self, request: HttpRequest, device_id: UUID, phone_id: UUID) -> HttpResponse:
        """Ask to confirm, then sign one phone of a device out."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        phone = get_object_or_404(Phone.objects.live(), device=device_id, id=phone_id)
        device = phone.device
        page = reverse("admin:devices_device_change", args=[device.pk])
        confirmation = Confirmation(
            button="Sign 1 phone out",
            consequence="Its token is refused at once. What the device owns stays, and the phone "
            "can join again by a pairing code or the recovery key.",
            totals=[f"“{phone}”"],
            sent=[],
            cancel_url=page,
        )
        reason = confirmation.reason(request)
        if reason is None:
            return confirmation.page(self, request)
        try:
            with device.locked():
                device.sign_out(device.phones.filter(id=phone_id))
                self.note(request, device, f"Phone signed out: {phone_id}: {reason}.")
        except DeviceGone as error:
            raise Http404 from error
        self.message_user(request, f"Phone signed out: {phone}.", messages.SUCCESS)
        return HttpResponseRedirect(page)

    @sensitive_variables("token")
    def issue_token(self, request: HttpRequest, device_id: UUID, phone_id: UUID) -> HttpResponse:
        """Ask to confirm, then give a phone a new token, and show it on the answer alone.

        A form that is sent twice issues one: the page has a mark of the token that it replaces.
        """
        if not self.has_issue_token_permission(request):
            raise PermissionDenied
        device = get_object_or_404(Device.objects.filter(erased_at=None), pk=device_id)
        phone = _phone_to_renew(device, phone_id)
        page = reverse("admin:devices_device_change", args=[device.pk])
        confirmation = Confirmation(
            button="Issue a new token",
            consequence="The phone is signed in by the new token; its older ones are refused at "
            "once. Who has the token reads and writes the diary: give it only to a person whose "
            "phone’s id you know from elsewhere. It is shown once, on the next page.",
            totals=[f"“{phone}”"],
            sent=[("replaces", _mark(phone))],
            cancel_url=page,
        )
        reason = confirmation.reason(request)
        if reason is None:
            return confirmation.page(self, request)
        try:
            with device.locked():
                phone = _phone_to_renew(device, phone_id)
                if request.POST.get("replaces") != _mark(phone):
                    raise Conflict("The phone’s token has changed meanwhile; this one stays hidden")
                token = phone.issue_token()
                self.note(request, device, f"Token issued: {phone_id}: {reason}.")
        except Conflict as error:
            self.message_user(request, sentence(error), messages.ERROR)
            return HttpResponseRedirect(page)
        except DeviceGone as error:
            raise Http404 from error
        context = {
            **self.admin_site.each_context(request),
            "title": "The new token",
            "opts": self.opts,
            "token": token,
            "phone": phone,
            "page": page,
        }
        headers = {"Cache-Control": "no-store"}
        return TemplateResponse(request, "devices/token.html", context, headers=headers)

    @admin.action(description="Export", permissions=["export"])
    def export(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        if queryset.count() != 1:
            self.message_user(request, "Export one device at a time.", messages.ERROR)
            return None
        device = queryset.get()
        self.note(request, device, "Exported.")
        return HttpResponse(
            b"".join(transfer.export(device)),
            content_type="application/json",
            headers={
                "Content-Disposition": f'attachment; filename="device-{device.pk}.json"',
                "Cache-Control": "no-store",
            },
        )


@admin.register(MaintenanceRun)
class MaintenanceRunAdmin(ReadOnlyAdmin):
    """When each command of maintenance last came to its end."""

    group = OVERVIEW
    icon = "build"
    list_title = "Maintenance"
    list_display = ["command", "finished_at", "said"]
    ordering = ["command"]
    sortable_by: ClassVar[Any] = []


def _phone_to_renew(device: Device, phone_id: UUID) -> Phone:
    """Return a phone that may get a new token: one that is signed in, or the first if none is.

    Raises:
        Http404: it is neither.
    """
    phones: list[Phone] = list(device.phones.live())
    for phone in phones:
        if phone.id == phone_id:
            return phone
    if phones or phone_id != device.pk:
        raise Http404
    return Phone(device=device, id=device.pk)


def _mark(phone: Phone) -> str:
    """Return what tells a phone's present token from another, without telling anything of it."""
    return salted_hmac("countonme issued token", phone.token_hash or "").hexdigest()


def _count_name(model: type[DeviceScoped]) -> str:
    """Return the name of the annotation that counts a device's rows of a model."""
    return f"owned_{model._meta.model_name}"
