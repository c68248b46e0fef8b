"""Admin pages of the operators' accounts, their roles, and the log of their actions."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from countonme.operators.base import Listed, ReadOnlyAdmin, link
from countonme.operators.site import OPERATORS, OVERVIEW

admin.site.unregister([User, Group])

# The role that may do everything; the others are groups.
SUPERUSER = "Superuser"
NO_ROLE = ""


def role_of(user: User) -> str:
    """Return an operator's role; several groups are named one after the other."""
    if user.is_superuser:
        return SUPERUSER
    return ", ".join(sorted(group.name for group in user.groups.all()))


class RoleField(forms.ChoiceField):
    """What an operator may do, as one choice: a group, everything, or nothing."""

    def __init__(self) -> None:
        super().__init__(
            choices=self.roles,
            required=False,
            widget=UnfoldAdminSelectWidget,
            help_text="What the operator may do. A superuser may do everything.",
        )

    @staticmethod
    def roles() -> list[tuple[str, str]]:
        names = [*Group.objects.order_by("name").values_list("name", flat=True), SUPERUSER]
        return [(NO_ROLE, "None: cannot sign in"), *((name, name) for name in names)]


class WithRole(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A form of an operator's account with the field `role`."""

    role = RoleField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "role" in self.fields:
            role = self.fields["role"]
            role.initial = role_of(self.instance)
            if role.initial not in dict(RoleField.roles()):
                # Several groups, which somebody has chosen elsewhere, stay if nothing else is.
                role.choices = [*RoleField.roles(), (role.initial, role.initial)]  # type: ignore[attr-defined]

    def clean(self) -> None:
        """Refuse to leave nobody who may do everything."""
        super().clean()
        stays = self.cleaned_data.get("role", SUPERUSER) == SUPERUSER
        stays = stays and self.cleaned_data.get("is_active", True)
        others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=self.instance.pk)
        was = self.instance.pk and User.objects.filter(pk=self.instance.pk, is_superuser=True)
        if was and not stays and not others.exists():
            raise forms.ValidationError("Nobody else may do everything: make a superuser first.")

    def save(self, commit: bool = True) -> Any:
        """Let the account sign in if it has a role, and do everything if that is a superuser's."""
        role = self.cleaned_data["role"]
        self.instance.is_staff = role != NO_ROLE
        self.instance.is_superuser = role == SUPERUSER
        return super().save(commit)

    def _save_m2m(self) -> None:
        super()._save_m2m()  # type: ignore[misc]  # the stubs lack it
        if "role" in self.changed_data:
            self.instance.groups.set(Group.objects.filter(name=self.cleaned_data["role"]))


class OperatorCreationForm(WithRole, UserCreationForm):  # type: ignore[misc]  # unfold comes without types
    """Make an operator."""


class OperatorChangeForm(WithRole, UserChangeForm):  # type: ignore[misc]  # likewise
    """Change an operator's account and role."""


@admin.register(User)
class OperatorUserAdmin(Listed, UserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]  # likewise
    """The operators' accounts, each with one role."""

    group = OPERATORS
    icon = "person"
    list_title = "Operators"
    form = OperatorChangeForm
    add_form = OperatorCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ["username", "role", "is_active", "last_login", "acts"]
    list_filter = ["is_active", "groups"]
    add_fieldsets = (
        (None, {"fields": ("username", "role", "usable_password", "password1", "password2")}),
    )
    fieldsets: ClassVar[Any] = [
        (None, {"fields": ["username", "password", "role", "is_active"]}),
        ("Person", {"fields": ["first_name", "last_name", "email"]}),
        (None, {"fields": ["last_login", "date_joined", "acts"]}),
    ]
    readonly_fields = ["last_login", "date_joined", "acts"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keep accounts: with one, all that the log says of it would go. Switch Active off."""
        return False

    @display(description="role")
    def role(self, user: User) -> str:
        return role_of(user)

    @display(description="acts")
    def acts(self, user: User) -> SafeString:
        """Link to what the operator did."""
        return link("admin:admin_logentry_changelist", "What they did", query=f"?of={user.pk}")


@admin.register(Group)
class RoleAdmin(Listed, GroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold comes without types
    """What each role may do."""

    group = OPERATORS
    icon = "badge"
    list_title = "Roles"


class OperatorFilter(admin.SimpleListFilter):
    title = "operator"
    parameter_name = "of"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(user.pk), user.username) for user in User.objects.order_by("username")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        chosen = self.value() or ""
        return queryset.filter(user=chosen) if chosen.isdecimal() else queryset


class SubjectFilter(admin.SimpleListFilter):
    title = "what it was done to"
    parameter_name = "to"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        shown: Any = admin.site
        return [(each.opts.label_lower, each.list_title) for each in shown.shown(request)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        app_label, _, model = (self.value() or "").partition(".")
        if not model:
            return queryset
        return queryset.filter(content_type__app_label=app_label, content_type__model=model)


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin):
    """Who did what: the log of operators' acts and sign-ins."""

    group = OVERVIEW
    icon = "history"
    list_title = "Who did what"
    list_display = ["action_time", "who", "what", "to_what"]
    list_filter: ClassVar[Any] = [OperatorFilter, SubjectFilter, "action_time"]
    list_select_related = ["user", "content_type"]
    search_fields = ["object_repr", "object_id", "change_message"]
    search_help_text = "A part of what was done, of a name, or of an id"
    ordering = ["-action_time", "-id"]
    sortable_by = ["action_time"]
    fields = ["action_time", "who", "what", "to_what"]

    @display(description="who", ordering="user")
    def who(self, entry: LogEntry) -> SafeString:
        """Link to all that the operator did."""
        query = f"?of={entry.user_id}"
        return link("admin:admin_logentry_changelist", entry.user, query=query)

    @display(description="what")
    def what(self, entry: LogEntry) -> str:
        return what(entry)

    @display(description="to what")
    def to_what(self, entry: LogEntry) -> SafeString:
        return to_what(entry)


def what(entry: LogEntry) -> str:
    """Return in words what was done."""
    return entry.get_change_message() or entry.get_action_flag_display()


def to_what(entry: LogEntry) -> SafeString:
    """Return what it was done to, with a link to its page unless it is deleted for ever."""
    kind = entry.content_type.name if entry.content_type else ""
    url = None if entry.action_flag == DELETION else entry.get_admin_url()
    name = entry.object_repr
    if url is None:
        return format_html("{} {}", kind, name)
    return format_html('{} <a class="operators-link" href="{}">{}</a>', kind, url, name)
