"""Base classes of admin pages: operators find, read, correct, delete and restore rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.forms.models import construct_instance
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.views import ChangeList

from countonme.operators.names import NamedRow, change_url, key_of, log, name_of
from countonme.scope.exceptions import Conflict, DeviceGone, Missing
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import DeviceScopedQuerySet

BROKEN_RULES = (Conflict, DeviceGone, Missing, ValidationError, IntegrityError)
# The most rows that one action on a list changes.
MAX_SELECTED = 1000


class DeletedFilter(admin.SimpleListFilter):
    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Live"), ("yes", "Deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("no", "yes"):
            return queryset.filter(deleted_at__isnull=self.value() == "no")
        return queryset


class DeviceFilter(TextFilter):  # type: ignore[misc]  # unfold comes without types
    """Filter by the device's id, or by the start of it."""

    title = "device"
    parameter_name = "of"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        bounds = id_range(self.value())
        return queryset.filter(device__id__range=bounds) if bounds else queryset.none()


class ScopedForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Change a row by the model's own rules: a broken rule is an error of the form.

    Fields that refer to other rows offer those of the same device.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            rows = getattr(field, "queryset", None)
            if isinstance(rows, DeviceScopedQuerySet):
                field.queryset = rows.for_device(self.instance.device_id)  # type: ignore[attr-defined]  # of a foreign key

    def _post_clean(self) -> None:
        """Validate the fields, then try the change and roll it back.

        Django would validate the constraints here. That is left to `change()`, which may write
        other rows first: it takes the default from another portion, for example.
        """
        try:
            self.instance = construct_instance(self, self.instance, self._meta.fields)
            fields = {field.name for field in self.instance._meta.fields}
            self.instance.clean_fields(exclude=fields - set(self.fields))
        except ValidationError as error:
            self.add_error(None, error)
        if not self.errors:
            try:
                with transaction.atomic():
                    self.apply()
                    transaction.set_rollback(True)
            except BROKEN_RULES as error:
                self.add_error(None, sentence(error))

    def apply(self) -> None:
        """Save the fields that the operator changed to the stored row."""
        row = type(self.instance).fetch(*self.instance.key, deleted=True)
        with row.device.locked():
            row.refresh_from_db()
            row.change(**{name: self.cleaned_data[name] for name in self.changed_data})


class OperatorAdmin(ModelAdmin):  # type: ignore[misc]  # unfold comes without types
    """A model's pages. Rows are not added; actions delete and change them, and log that."""

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    actions_selection_counter = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def may(self, request: HttpRequest, action: str) -> bool:
        """Return whether the operator has a permission on this model."""
        return bool(request.user.has_perm(f"{self.opts.app_label}.{action}_{self.opts.model_name}"))

    def note(self, request: HttpRequest, row: Any, message: str, flag: int = CHANGE) -> None:
        """Write into the log what the operator did to a row."""
        log(request.user.pk or 0, [row], flag, message)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        """Return the old and the new value of each changed field."""
        changes = (
            f"{name}: {form.initial.get(name)!s} → {form.cleaned_data[name]!s}"
            for name in form.changed_data
        )
        return "; ".join(changes) or "No fields changed."

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """Write into the log what an operator changed by a form."""
        self.note(request, obj, message)

    def each(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        done: str,
        act: Callable[[Any], Any],
        *,
        flag: int = CHANGE,
    ) -> None:
        """Call `act` with each row, each in its own transaction. Log it, or show why it failed.

        Args:
            done: what was done, for the log and for the message: "Restored".
        """
        count = 0
        for row in rows[:MAX_SELECTED]:
            try:
                with transaction.atomic():
                    self.lock(row)
                    act(row)
                    self.note(request, row, f"{done}.", flag)
                count += 1
            except BROKEN_RULES as error:
                self.message_user(request, f"{row}: {sentence(error)}", messages.ERROR)
        self.message_user(request, f"{done}: {count}.", messages.SUCCESS)

    def lock(self, row: Any) -> None:
        """Lock the row's device, which is the first lock of any change, and reload the row."""
        raise NotImplementedError

    def confirm(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        title: str,
        consequences: Iterable[str],
        *,
        asks_reason: bool = False,
    ) -> TemplateResponse | None:
        """Return a page that asks to confirm an action, or None once it is confirmed."""
        if request.POST.get("confirmed"):
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.opts,
            "action": request.POST["action"],
            "checkbox": ACTION_CHECKBOX_NAME,
            "selected": [name_of(row) for row in rows],
            "consequences": list(consequences),
            "asks_reason": asks_reason,
        }
        return TemplateResponse(request, "operators/confirm.html", context)


class ScopedChangeList(ChangeList):  # type: ignore[misc]  # unfold comes without types
    """A list whose rows link to their pages by device and id."""

    def url_for_result(self, result: DeviceScoped) -> str:
        return change_url(result)


class ScopedAdmin(OperatorAdmin):
    """All devices' rows, deleted ones included; pages and forms name each by device and id."""

    form = ScopedForm
    actions: ClassVar[Any] = ["soft_delete", "restore", "hard_delete"]
    list_filter: ClassVar[Any] = [DeletedFilter, "created_at", DeviceFilter]
    list_filter_submit = True
    # Only columns with an index: sorting by another would read the whole table.
    sortable_by: ClassVar[Any] = ["created_at"]
    list_select_related: ClassVar[Any] = ["device"]
    # Read-only fields of the model itself, shown before those of all models.
    own_readonly: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> DeviceScopedQuerySet[Any]:
        rows: DeviceScopedQuerySet[Any] = self.model.all_objects.across_devices()
        return rows

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Show the newest rows first, or the last deleted ones; both orders have an index."""
        first = "deleted_at" if request.GET.get("deleted") == "yes" else "created_at"
        return (f"-{first}", "-id", "-device_id")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ScopedChangeList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Return the row that the page's address names, or None."""
        try:
            return self.get_queryset(request).of_keys([key_of(object_id)]).first()
        except ValueError:
            return None

    @display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: DeviceScoped) -> str:
        return super().action_checkbox(NamedRow(obj))

    def response_action(self, request: HttpRequest, queryset: DeviceScopedQuerySet[Any]) -> Any:
        """Find the rows that were ticked by their names. Django expects ids in the request."""
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not forms.BooleanField().to_python(request.POST.get("select_across", False)):
            try:
                keys = [key_of(name) for name in chosen]
            except ValueError:
                keys = []
            queryset = queryset.of_keys(keys)
            sent = request.POST.copy()
            sent.setlist(ACTION_CHECKBOX_NAME, [str(pk) for _, pk in keys])
            request.POST = sent  # type: ignore[assignment]  # immutable only in the stubs
        return super().response_action(request, queryset)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        if context.get("original"):
            context["original"] = NamedRow(context["original"])
        return super().render_change_form(request, context, *args, **kwargs)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        row = self.get_object(request, unquote(object_id))
        shown = {"object": NamedRow(row)} if row else {}
        return super().history_view(request, object_id, {**(extra_context or {}), **shown})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        own = (linked(self.model, field) for field in self.own_readonly)
        kept = ("id", "owner", "revision", "created_at", "updated_at", "deleted_at")
        return (*own, *kept)

    def has_soft_delete_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "soft_delete")

    def has_restore_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "restore")

    def has_hard_delete_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "hard_delete")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.apply()

    def lock(self, row: Any) -> None:
        row.device.lock()
        row.refresh_from_db()

    @display(description="device")
    def owner(self, row: DeviceScoped) -> SafeString:
        device: Any = row._meta.get_field("device").related_model
        view = f"admin:{device._meta.app_label}_{device._meta.model_name}_change"
        return link(view, str(row.device_id)[:13] + "…", row.device_id)

    @display(
        description="state",
        ordering="deleted_at",
        label={"live": "success", "deleted": "danger"},
    )
    def state(self, row: DeviceScoped) -> str:
        return "live" if row.deleted_at is None else "deleted"

    @admin.action(description="Soft-delete", permissions=["soft_delete"])
    def soft_delete(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.each(
            request, queryset.filter(deleted_at=None), "Soft-deleted", lambda row: row.delete()
        )

    @admin.action(description="Restore", permissions=["restore"])
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        deleted = queryset.filter(deleted_at__isnull=False)
        self.each(request, deleted, "Restored", lambda row: row.restore())

    @admin.action(description="Delete for ever…", permissions=["hard_delete"])
    def hard_delete(self, request: HttpRequest, queryset: QuerySet[Any]) -> TemplateResponse | None:
        deleted = queryset.filter(deleted_at__isnull=False)
        consequences = (
            f"{self.opts.verbose_name} “{row}”"
            + "".join(f", {rows}" for rows in _cascaded_names(row))
            for row in deleted[:MAX_SELECTED]
        )
        page = self.confirm(request, deleted, "Delete for ever?", consequences)
        if page is None:
            self.each(
                request, deleted, "Deleted for ever", lambda row: row.hard_delete(), flag=DELETION
            )
        return page


@cache
def linked(model: type[DeviceScoped], field_name: str) -> Any:
    """Return a field to be shown; a foreign key becomes a link to the page of its row."""
    field = model._meta.get_field(field_name)
    if not isinstance(field, ScopedForeignKey):
        return field_name

    @display(description=field.verbose_name)
    def shown(row: DeviceScoped) -> Any:
        named = getattr(row, field_name)
        return named and format_html('<a href="{}">{}</a>', change_url(named), named)

    return shown


def sentence(error: Exception) -> str:
    """Return the message about a broken rule that an operator reads."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, IntegrityError):
        return "Another row still refers to it, or this would break a rule of the database."
    return "The device is erased." if isinstance(error, DeviceGone) else f"{error}."


def link(view: str, text: object, *args: object, query: str = "") -> SafeString:
    """Return a link to a page of the operators' site."""
    return format_html('<a href="{}{}">{}</a>', reverse(view, args=args), query, text)


def id_range(start: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last id with this start, or None if no id can have it."""
    digits = start.strip().lower().replace("-", "")
    if not digits or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def _cascaded_names(row: DeviceScoped) -> list[str]:
    return [
        f"its {rows.model._meta.verbose_name} “{each}”"
        for rows in row.cascaded_rows()
        for each in rows
    ]
