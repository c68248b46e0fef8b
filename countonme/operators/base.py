"""Base classes of admin pages: operators find, read, correct, delete and restore rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.forms.models import construct_instance
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.views import ChangeList

from countonme.operators.acts import BROKEN_RULES, Act, counted, sentence
from countonme.operators.names import NamedRow, change_url, key_of, log, name_of
from countonme.operators.site import DIARIES
from countonme.scope.keys import ScopedForeignKey
from countonme.scope.models import DeviceScoped
from countonme.scope.query import DeviceScopedQuerySet


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


class NamesFilter(TextFilter):  # type: ignore[misc]  # likewise
    """Filter by the id of a row that others refer to."""

    title = "names the id"
    parameter_name = "names"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            named = UUID(self.value())
        except ValueError:
            return queryset.none()
        fields = queryset.model._meta.get_fields()
        keys = (key for key in fields if isinstance(key, ScopedForeignKey) and key.devices)
        return queryset.filter(Q(*((key.attname, named) for key in keys), _connector=Q.OR))


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


class Listed:
    """Where the sidebar has a list, and whether the search there finds its rows."""

    group = DIARIES
    icon = "table_rows"
    is_in_search = False
    # The title of the list, if it is not the plural of the model's name.
    list_title = ""

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)  # type: ignore[call-arg]  # ModelAdmin's
        self.list_title = self.list_title or str(model._meta.verbose_name_plural).capitalize()

    def action_checkbox(self, obj: Model) -> SafeString:
        """Return the box that chooses a row, by its name."""
        attributes = {"class": "action-select", "aria-label": f"Select {obj}"}
        box = forms.CheckboxInput(attributes, check_test=lambda value: False)
        return box.render(ACTION_CHECKBOX_NAME, name_of(obj))

    def found(self, request: HttpRequest, term: str, most: int) -> Iterable[Model]:
        """Return rows that the sidebar's search finds."""
        if not self.is_in_search:
            return ()
        shown: Any = self
        rows = shown.get_search_results(request, shown.get_queryset(request), term)[0]
        return list(rows[:most])

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list under its own title."""
        view: Any = super()
        return view.changelist_view(request, {"title": self.list_title, **(extra_context or {})})


class OperatorAdmin(Listed, ModelAdmin):  # type: ignore[misc]  # unfold comes without types
    """A model's pages. Rows are not added; actions delete and change them, and log that."""

    list_per_page = 50
    show_full_result_count = False
    list_fullwidth = True
    actions_selection_counter = True
    # Above the form of a row: its state, what names it, and what can be done to it.
    change_form_outer_before_template = "operators/acts.html"

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

    def lock(self, row: Any) -> None:
        """Lock the row's device, which is the first lock of any change, and reload the row."""
        raise NotImplementedError

    def in_the_way(self, row: Any) -> list[SafeString]:
        """Return links to the rows that refer to a row, and keep it from being deleted."""
        return []

    def named_by(self, row: Any) -> list[SafeString]:
        """Return links to the live rows that refer to a row, for its page."""
        return []

    def list_query(self, row: Any) -> str:
        """Return the query by which the list has a row, among few others."""
        return urlencode({"q": row.pk})

    def page_url(self, name: str) -> str:
        """Return the URL of the page of a row with this name."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[name])

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Offer on a row's page the acts of the list that apply to it."""
        if row := context.get("original"):
            view = f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"
            state = getattr(self, "state", None)
            context |= {
                "acts": [
                    (name, description, isinstance(act, Act) and bool(act.consequence))
                    for act, name, description in self.get_actions(request).values()
                    if not isinstance(act, Act) or act.applies(row)
                ],
                "acts_url": f"{reverse(view)}?{self.list_query(row)}",
                "row_name": name_of(row),
                "state": state and state(row),
                "named_by": self.named_by(row),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Lead back to the row's page if that is where the act began, and the row is still there.

        A page that asks, or a file, is the answer itself.
        """
        response = super().response_action(request, queryset)
        name = request.POST.get("from_page", "")
        is_done = bool(name) and isinstance(response, HttpResponseRedirect)
        if is_done and self.get_object(request, name) is not None:
            return HttpResponseRedirect(self.page_url(name))
        return response


class ReadOnlyAdmin(OperatorAdmin):
    """A list that nobody changes, and that every operator reads who may see devices."""

    # Its rows have nothing more to show on a page of their own.
    list_display_links = None

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        app_label, model = settings.DEVICE_MODEL.lower().split(".")
        return bool(request.user.has_perm(f"{app_label}.view_{model}"))


def live_cascade(rows: Sequence[Any]) -> list[str]:
    """Say how many live rows are deleted along with rows, and of how many devices they are."""
    return _cascade(rows, deleted_at=None)


def whole_cascade(rows: Sequence[Any]) -> list[str]:
    """The same with rows that were deleted before."""
    return _cascade(rows)


def _cascade(rows: Sequence[Any], **conditions: None) -> list[str]:
    counts: Counter[Any] = Counter()
    for row in rows:
        for cascaded in row.cascaded_rows():
            counts[cascaded.model] += cascaded.filter(**conditions).count()
    device = rows[0]._meta.get_field("device").related_model
    devices = f"of {counted(len({row.device_id for row in rows}), device)}"
    return [*(counted(count, model) for model, count in counts.items()), devices]


SOFT_DELETE = Act(
    name="soft_delete",
    label="Soft-delete {}",
    done="Soft-deleted",
    run=lambda row, reason, by: row.delete(),
    permission="soft_delete",
    applies=lambda row: row.deleted_at is None,
    only="Only what is live can be soft-deleted.",
    consequence="Phones no longer show this after their next sync. It can be restored until a "
    "purge removes it.",
    totals=live_cascade,
    is_tried=True,
)
RESTORE = Act(
    name="restore",
    label="Restore {}",
    done="Restored",
    run=lambda row, reason, by: row.restore(),
    permission="restore",
    applies=lambda row: row.deleted_at is not None,
    only="Only what is soft-deleted can be restored.",
)
HARD_DELETE = Act(
    name="hard_delete",
    label="Delete {} for ever",
    done="Deleted for ever",
    run=lambda row, reason, by: row.hard_delete(),
    permission="hard_delete",
    applies=lambda row: row.deleted_at is not None,
    only="Only what is soft-deleted can be deleted for ever.",
    consequence="This is removed from the database, with all that belongs to it.",
    totals=whole_cascade,
    is_for_ever=True,
    is_tried=True,
    flag=DELETION,
)


class ScopedChangeList(ChangeList):  # type: ignore[misc]  # unfold comes without types
    """A list whose rows link to their pages by device and id."""

    def url_for_result(self, result: DeviceScoped) -> str:
        return change_url(result)


class ScopedAdmin(OperatorAdmin):
    """All devices' rows, deleted ones included; pages and forms name each by device and id."""

    form = ScopedForm
    actions: ClassVar[Any] = [SOFT_DELETE, RESTORE, HARD_DELETE]
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

    def response_action(self, request: HttpRequest, queryset: Any) -> Any:
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
        response = super().render_change_form(request, context, *args, **kwargs)
        if row := response.context_data.get("original"):
            response.context_data["original"] = NamedRow(row)
        return response

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

    @display(description="state", ordering="deleted_at")
    def state(self, row: DeviceScoped) -> SafeString:
        return badge("live", "good") if row.deleted_at is None else badge("deleted", "bad")

    def in_the_way(self, row: DeviceScoped) -> list[SafeString]:
        """Link to the lists of what names a row, but for what would be deleted with it."""
        with_it = {rows.model: rows.values("pk") for rows in row.cascaded_rows()}
        found = []
        for rows in self._naming(row):
            if rows.model in with_it:
                rows = rows.exclude(pk__in=with_it[rows.model])
            if count := rows.count():
                found.append(self._list_of(rows, row, f" name{'s' if count == 1 else ''} it"))
        return found

    def named_by(self, row: DeviceScoped) -> list[SafeString]:
        return [self._list_of(rows.filter(deleted_at=None), row) for rows in self._naming(row)]

    def list_query(self, row: DeviceScoped) -> str:
        return urlencode({"of": row.device_id})

    def _naming(self, row: DeviceScoped) -> list[DeviceScopedQuerySet[Any]]:
        """Return by model the rows that refer to a row, by any key, deleted ones too."""
        conditions: dict[type[DeviceScoped], Q] = {}
        for each in self.model._meta.related_objects:
            model: Any = each.related_model
            if issubclass(model, DeviceScoped):
                conditions[model] = conditions.get(model, Q()) | Q((each.field.name, row.pk))
        return [
            model.all_objects.for_device(row.device).filter(condition)
            for model, condition in conditions.items()
        ]

    def _list_of(
        self, rows: DeviceScopedQuerySet[Any], named: DeviceScoped, verb: str = ""
    ) -> SafeString:
        """Return the number of rows that name a row, with a link to their list if there is one."""
        model = rows.model
        text = f"{counted(rows.count(), model)}{verb}"
        if not self.admin_site.is_registered(model):
            return escape(text)
        state = {} if verb else {"deleted": "no"}
        query = urlencode(state | {"of": str(named.device_id), "names": str(named.pk)})
        view = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        return link(view, text, query=f"?{query}")


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


def link(view: str, text: object, *args: object, query: str = "") -> SafeString:
    """Return a link to a page of the operators' site."""
    return format_html(
        '<a class="operators-link" href="{}{}">{}</a>', reverse(view, args=args), query, text
    )


def badge(text: str, kind: str) -> SafeString:
    """Return a word that stands out: `good`, `bad`, `odd` or `dull`."""
    return format_html('<span class="badge badge-{}">{}</span>', kind, text)


def id_range(start: str) -> tuple[UUID, UUID] | None:
    """Return the first and the last id with this start, or None if no id can have it."""
    digits = start.strip().lower().replace("-", "")
    if not digits or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
