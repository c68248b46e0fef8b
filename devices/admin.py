"""The operators' pages about devices. They show no token, hash or HMAC."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
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
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from unfold.decorators import display

from countonme.operators.base import OperatorAdmin, id_range, link
from countonme.scope.exceptions import DeviceGone
from countonme.scope.models import DeviceScoped, device_scoped_models
from devices import transfer
from devices.models import Device, Phone


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


SIGN_OUT = "admin:devices_phone_sign_out"


@admin.register(Device)
class DeviceAdmin(OperatorAdmin):
    list_display = ["id", "state", "created_at", "last_seen_at", "phone_count", "owns"]
    list_filter = [SeenFilter, StateFilter, "created_at"]
    search_fields = ["id"]
    search_help_text = "An id, whole or from its start"
    ordering = ["-created_at", "-id"]
    sortable_by = ["created_at"]
    actions = ["block", "unblock", "sign_out", "export", "erase"]
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
        """Note on the device whether the operator may sign its phones out."""
        device = super().get_object(request, object_id, from_field)
        if device is not None:
            device.offers_sign_out = self.has_revoke_permission(request)
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

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "export")

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "erase")

    def lock(self, row: Device) -> None:
        row.lock()

    @display(
        description="state",
        label={"usable": "success", "blocked": "warning", "no phone": "info", "erased": "danger"},
    )
    def state(self, device: Any) -> str:
        if device.erased_at is not None:
            return "erased"
        if device.blocked_at is not None:
            return "blocked"
        return "usable" if device.signed_in else "no phone"

    @display(description="last seen at")
    def last_seen_at(self, device: Any) -> str | None:
        return device.seen_at and formats.localize(localtime(device.seen_at))

    @display(description="phones")
    def phone_count(self, device: Any) -> int:
        return int(device.signed_in)

    @display(description="phones")
    def phones(self, device: Any) -> SafeString:
        """List the phones that are signed in, each with a link that signs it out."""
        return format_html_join(
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
                    link(SIGN_OUT, "Sign out…", device.pk, phone.id)
                    if device.offers_sign_out
                    else "",
                )
                for phone in device.phones.live().in_order()
            ),
        ) or SafeString("None")

    @display(description="owns")
    def owns(self, device: Device) -> SafeString:
        return format_html_join(
            " · ",
            "{}",
            (
                (
                    link(
                        f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist",
                        f"{getattr(device, _count_name(model))} {model._meta.verbose_name_plural}",
                        query=f"?deleted=no&of={device.pk}",
                    ),
                )
                for model in device_scoped_models()
            ),
        )

    @admin.action(description="Block…", permissions=["block"])
    def block(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        blockable = queryset.filter(blocked_at=None, erased_at=None)
        consequences = (
            f"The phones of {device} are refused; its data stays." for device in blockable
        )
        page = self.confirm(
            request, blockable, "Block these devices?", consequences, asks_reason=True
        )
        if page is None:
            reason = request.POST.get("reason", "").strip()[:200]
            if not reason:
                self.message_user(request, "A block needs a reason.", messages.ERROR)
            else:
                self.each(request, blockable, f"Blocked: {reason}", lambda row: row.block(reason))
        return page

    @admin.action(description="Unblock", permissions=["block"])
    def unblock(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        blocked = queryset.filter(blocked_at__isnull=False)
        self.each(request, blocked, "Unblocked", lambda row: row.unblock())

    @admin.action(description="Sign out all phones", permissions=["revoke"])
    def sign_out(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with_phones = queryset.filter(signed_in__gt=0)
        self.each(
            request, with_phones, "Phones signed out", lambda row: row.sign_out(row.phones.all())
        )

    def get_urls(self) -> list[Any]:
        page = path(
            "<uuid:device_id>/phones/<uuid:phone_id>/sign-out/",
            self.admin_site.admin_view(self.sign_out_phone),
            name=SIGN_OUT.partition(":")[2],
        )
        return [page, *super().get_urls()]

    def sign_out_phone(self, request: HttpRequest, device_id: UUID, phone_id: UUID) -> HttpResponse:
        """Ask to confirm, then sign one phone of a device out."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        phone = get_object_or_404(Phone.objects.live(), device=device_id, id=phone_id)
        device = phone.device
        page = reverse("admin:devices_device_change", args=[device.pk])
        if request.method == "POST":
            try:
                with device.locked():
                    device.sign_out(device.phones.filter(id=phone_id))
                    self.note(request, device, f"Phone signed out: {phone_id}.")
            except DeviceGone as error:
                raise Http404 from error
            self.message_user(request, f"Phone signed out: {phone}.", messages.SUCCESS)
            return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request),
            "title": "Sign this phone out?",
            "opts": self.opts,
            "consequences": [f"The token of {phone} is refused; what the device owns stays."],
            "cancel_url": page,
        }
        return TemplateResponse(request, "operators/confirm.html", context)

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

    @admin.action(description="Erase…", permissions=["erase"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        not_erased = queryset.filter(erased_at=None)
        consequences = (
            f"{device} is forgotten for ever; the next purge removes all that it owns."
            for device in not_erased
        )
        page = self.confirm(request, not_erased, "Erase these devices?", consequences)
        if page is None:
            self.each(request, not_erased, "Erased", lambda row: row.erase())
        return page


def _count_name(model: type[DeviceScoped]) -> str:
    """Return the name of the annotation that counts a device's rows of a model."""
    return f"owned_{model._meta.model_name}"
