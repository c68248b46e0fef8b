"""What operators get for every device-scoped model: find, read, correct, soft-delete, restore."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.forms.models import construct_instance
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from countonme.models import Conflict, DeviceGone, Missing

BROKEN_RULES = (Conflict, DeviceGone, Missing, ValidationError, IntegrityError)


class DeletedFilter(admin.SimpleListFilter):
    title = "deleted"
    parameter_name = "deleted"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Live"), ("yes", "Deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("no", "yes"):
            return queryset.filter(deleted_at__isnull=self.value() == "no")
        return queryset


class ScopedForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A correction by the model's own rules: a rule that it would break is an error of the form."""

    def _post_clean(self) -> None:
        """Validate the fields, then try the change and take it back.

        Not the constraints, as Django would here: `change()` knows more than they do, such as that
        another portion loses the default first.
        """
        try:
            self.instance = construct_instance(self, self.instance, self._meta.fields)
            self.instance.clean_fields(exclude=self._get_validation_exclusions())
        except ValidationError as error:
            self._update_errors(error)
        if not self.errors:
            try:
                with transaction.atomic():
                    self.apply()
                    transaction.set_rollback(True)
            except BROKEN_RULES as error:
                self.add_error(None, _sentence(error))

    def apply(self) -> None:
        """Change the stored row by the fields that the operator changed."""
        row = type(self.instance)._base_manager.get(pk=self.instance.pk)
        with row.device.locked():
            row.refresh_from_db()
            row.change(**{name: self.cleaned_data[name] for name in self.changed_data})


class ScopedAdmin(ModelAdmin):  # type: ignore[misc]  # unfold comes without types
    """All devices' rows, deleted ones included; none is added or hard-deleted here."""

    form = ScopedForm
    actions: ClassVar[Any] = ["soft_delete", "restore"]
    list_filter: ClassVar[Any] = [DeletedFilter, "created_at"]
    list_per_page = 50
    list_select_related: ClassVar[Any] = ["device"]
    show_full_result_count = False
    own_readonly: ClassVar[tuple[str, ...]] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.model.all_objects.across_devices()
        return rows.order_by(*self.get_ordering(request) or ("-created_at", "id"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        kept = ("id", "device", "revision", "created_at", "updated_at", "deleted_at")
        return (*self.own_readonly, *kept)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.apply()

    @admin.action(description="Soft-delete selected rows")
    def soft_delete(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._each(request, queryset.filter(deleted_at=None), "Soft-deleted", lambda r: r.delete())

    @admin.action(description="Restore selected rows")
    def restore(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        deleted = queryset.filter(deleted_at__isnull=False)
        self._each(request, deleted, "Restored", lambda row: row.restore())

    def _each(
        self,
        request: HttpRequest,
        rows: Iterable[Any],
        done: str,
        act: Callable[[Any], Any],
    ) -> None:
        """Act on rows one by one, each in a transaction of its device; log it or say why not."""
        count = 0
        for row in rows:
            try:
                with row.device.locked():
                    row.refresh_from_db()
                    act(row)
                    LogEntry.objects.log_actions(
                        user_id=request.user.pk or 0,
                        queryset=[row],
                        action_flag=CHANGE,
                        change_message=f"{done}.",
                        single_object=True,
                    )
                count += 1
            except BROKEN_RULES as error:
                self.message_user(request, f"{row}: {_sentence(error)}", messages.ERROR)
        self.message_user(request, f"{done}: {count}.", messages.SUCCESS)


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, IntegrityError):
        return "The database holds a rule that this would break."
    return "The device is erased." if isinstance(error, DeviceGone) else f"{error}."
