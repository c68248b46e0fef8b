"""The operators' pages about the catalog: its foods, what was corrected, and what was reported.

There may be millions of foods, so their list is what an index finds, and is short.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import OperationalError
from django.db.models import (
    BooleanField,
    Count,
    F,
    Func,
    Max,
    OuterRef,
    QuerySet,
    Subquery,
    URLField,
    UUIDField,
    Value,
)
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextInputWidget

from catalog.models import CORRECTABLE, Correction, Food, Report, Source, food_id
from catalog.search import find, to_tsquery
from countonme.api.text import clean, compounds
from countonme.operators.acts import Act
from countonme.operators.base import OperatorAdmin, badge
from countonme.operators.names import change_url
from countonme.operators.site import CATALOG
from products import gtin
from products.names import CleanFormField
from products.nutrients import COLUMNS_100G

# The most foods on a list, and the most corrections and reports on a food's page.
MOST_FOODS, MOST_SAID = 500, 100
# How many rows of another list are counted, and can be paged through.
MOST_COUNTED = 10_000
MAX_REASON = 500
TOO_BUSY = "The search took too long. Type more of the name, or try again."
CHANGED_MEANWHILE = "The food has changed since you opened this page. Load it again to correct it."


def search(term: str, few: QuerySet[Food]) -> list[UUID]:
    """Return the ids of foods that may be meant, the best first; some may not exist.

    A search is the id of a food here or in its source, a barcode, or what phones search for. Unlike
    theirs, it finds all foods with a barcode. What a source withdrew is found by an id only, or a
    barcode that is one, as no index has its words; and among `few`.

    Args:
        few: foods that are looked through one by one, such as the hidden ones.
    """
    term = term.strip()
    try:
        return [UUID(term)]
    except ValueError:
        pass
    few = few.order_by()
    gtin_14 = gtin.to_gtin_14(gtin.compact(term))
    if gtin_14 is not None:
        live = Food.objects.filter(is_live=True, gtin_14=gtin_14)
        found = [food.pk for food in chain(live, few.filter(gtin_14=gtin_14))]
        return found + ids_in_sources(source_id_of(gtin_14))
    typed = list(compounds(term))
    if not typed:
        return []
    found = ids_in_sources(term) + [hit.id for hit in find(term)]
    others = few.filter(has_words(to_tsquery(typed))).values_list("pk", flat=True)
    return found + list(others[:MOST_FOODS])


def has_words(tsquery: str) -> Func:
    """Return the condition for foods that a `tsquery` matches."""
    template = "%(expressions)s::tsquery"
    field = BooleanField()
    return Func(
        F("words"), Value(tsquery), template=template, arg_joiner=" @@ ", output_field=field
    )


def ids_in_sources(source_id: str) -> list[UUID]:
    """Return the id that a food with this id of a source would have, for each source."""
    return [food_id(source, source_id) for source in Source.objects.values_list("pk", flat=True)]


def source_id_of(gtin_14: str) -> str:
    """Return a barcode as it stands in the id of a source: of 8, 13 or 14 digits."""
    digits = gtin_14.lstrip("0")
    return digits.zfill(8 if len(digits) <= 8 else 13)


def hidden(foods: QuerySet[Food]) -> QuerySet[Food]:
    """Return those that are hidden, found by the corrections that hid them."""
    return foods.filter(is_hidden=True, pk__in=SHOWN["hidden"][0].values("food"))


# What makes operators look at a food, with what comes first.
SHOWN: dict[str, tuple[QuerySet[Any], Any]] = {
    "reported": (Report.objects.filter(closed_at=None), Count("pk")),
    "corrected": (Correction.objects.in_force(), Max("pk")),
    "hidden": (Correction.objects.in_force().filter(field="is_hidden"), Max("pk")),
}


class ShownFilter(admin.SimpleListFilter):
    title = "what is shown"
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name.capitalize()) for name in SHOWN]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        said, _ = SHOWN.get(self.value() or "", (None, None))
        return queryset if said is None else queryset.filter(pk__in=said.values("food"))


class SourceFilter(admin.SimpleListFilter):
    title = "source"
    parameter_name = "from"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(source.pk, source.name) for source in Source.objects.order_by("name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(source=self.value()) if self.value() else queryset


class ReasonField(CleanFormField):
    """Why an operator changes something."""

    def __init__(self) -> None:
        super().__init__(
            clean,
            max_length=MAX_REASON,
            widget=UnfoldAdminTextInputWidget,
            help_text="Why this is changed. It stays with the correction and in the log.",
        )


class FoodForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Correct a food: only what was changed on the page becomes a correction."""

    reason = ReasonField()
    # When the food had last changed as the page was opened. An import may run meanwhile: what it
    # changed would look like the operator's corrections.
    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "seen" in self.fields:
            self.fields["seen"].initial = self.instance.updated_at.isoformat()

    @property
    def corrected(self) -> list[str]:
        return [name for name in CORRECTABLE if name in self.changed_data]

    def clean(self) -> None:
        """Lock the food, so that it stays as it is until it is corrected."""
        food = Food.locked(self.instance.pk)
        if self.cleaned_data.get("seen") != food.updated_at.isoformat():
            raise ValidationError(CHANGED_MEANWHILE)
        if not self.errors and not self.corrected:
            raise ValidationError("Nothing is changed.")


HIDE = Act(
    name="hide",
    label="Hide {}",
    done="Hidden",
    run=lambda food, reason, by: food.correct({"is_hidden": True}, reason, by),
    permission="change",
    applies=lambda food: not food.is_hidden,
    only="This is hidden already.",
    consequence="Nobody finds them any more, whatever the source says, until they are shown again. "
    "Copies that phones made stay.",
)
UNHIDE = Act(
    name="unhide",
    label="Show {} again",
    done="Shown again",
    run=lambda food, reason, by: food.correct({"is_hidden": False}, reason, by),
    permission="change",
    applies=lambda food: food.is_hidden,
    only="Only what is hidden can be shown again.",
    consequence="Everybody finds them again.",
)


@admin.register(Food)
class FoodAdmin(OperatorAdmin):
    group = CATALOG
    icon = "menu_book"
    form = FoodForm
    list_display = ["name", "brand", "source", "kcal_100g", "open_reports", "state"]
    list_filter: ClassVar[Any] = [ShownFilter, SourceFilter]
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["name"]
    search_help_text = (
        "Words of name or brand, a barcode, or an id. "
        "Without a search: the foods with open reports."
    )
    actions: ClassVar[Any] = [HIDE, UNHIDE]
    # Labels stand above their fields, of which several share a line.
    compressed_fields = False
    change_form_outer_after_template = "catalog/said_of_food.html"
    readonly_fields = [
        "id",
        "source",
        "source_id",
        "language",
        "portions",
        "is_generic",
        "popularity",
        "created_at",
        "updated_at",
        "source_updated_at",
        "withdrawn_at",
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show everything; ask for a reason only those who may correct."""
        asked = ("reason", "seen") if self.has_change_permission(request, obj) else ()
        lines = [
            "name",
            ("brand", "barcode", "unit"),
            COLUMNS_100G[:4],
            COLUMNS_100G[4:],
            ("doubtful", "is_hidden"),
        ]
        told = [
            ("source", "source_id", "id"),
            ("language", "is_generic", "popularity"),
            "portions",
            ("created_at", "updated_at", "source_updated_at", "withdrawn_at"),
        ]
        return [(None, {"fields": [*lines, *asked]}), ("From the source", {"fields": told})]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        opened = Report.objects.filter(food=OuterRef("pk"), closed_at=None).order_by()
        count = opened.values("food").annotate(n=Count("*")).values("n")
        rows: QuerySet[Any] = Food.objects.annotate(open_reports=Coalesce(Subquery(count), 0))
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Bound the list. So it is counted, and sorted by any column, however many foods exist."""
        shown = request.GET.get(ShownFilter.parameter_name, "")
        if search_term.strip():
            try:
                ids = search(search_term, queryset if shown in SHOWN else hidden(queryset))
            except OperationalError:
                ids = []
                self.message_user(request, TOO_BUSY, messages.ERROR)
        else:
            said, first = SHOWN.get(shown, SHOWN["reported"])
            if source := request.GET.get(SourceFilter.parameter_name):
                said = said.filter(food__source=source)
            ranked = said.order_by().values("food").annotate(first=first).order_by("-first", "food")
            ids = [row["food"] for row in ranked[:MOST_FOODS]]
        queryset = queryset.filter(pk__in=ids)
        if "o" not in request.GET:
            listed = Value(ids, ArrayField(UUIDField()))
            queryset = queryset.order_by(Func(listed, F("pk"), function="array_position"))
        return queryset, False

    def lock(self, row: Food) -> None:
        Food.locked(row.pk)
        row.refresh_from_db()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.corrected}
        food = Food.locked(obj.pk)
        food.correct(values, form.cleaned_data["reason"], request.user.pk or 0)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> str:
        changes = (
            f"{name}: {form.initial[name]!s} → {form.cleaned_data[name]!s}"
            for name in form.corrected
        )
        return f"{'; '.join(changes)}. Reason: {form.cleaned_data['reason']}"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Show below the form what was corrected and what was reported, the newest first."""
        food = context["original"]
        corrections = food.corrections.select_related("made_by", "undone_by").order_by("-pk")
        reports = food.reports.select_related("closed_by")
        context |= {
            "corrections": corrections[:MOST_SAID],
            "reports": reports.order_by("-closed_at", "-created_at")[:MOST_SAID],
            "may_undo": request.user.has_perm("catalog.change_correction"),
            "may_close": request.user.has_perm("catalog.change_report"),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="open reports", ordering="open_reports")
    def open_reports(self, food: Any) -> int:
        return int(food.open_reports)

    @display(description="state")
    def state(self, food: Food) -> SafeString:
        if food.is_hidden:
            return badge("hidden", "bad")
        return badge("live", "good") if food.withdrawn_at is None else badge("withdrawn", "odd")


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts no further than anybody turns pages."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


class SaidAdmin(OperatorAdmin):
    """What was said of foods. It is settled by actions, here or on the food's page."""

    group = CATALOG
    paginator = BoundedPaginator
    # Facets would count all rows.
    show_facets = admin.ShowFacets.NEVER
    # The first column leads to the food.
    list_display_links = None
    sortable_by: ClassVar[Any] = []

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "change")

    def lock(self, row: Any) -> None:
        Food.locked(row.food_id)
        row.refresh_from_db()

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Lead back to the food's page if that is where the act began."""
        chosen = queryset.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
        row = chosen.first() if "from_food" in request.POST else None
        response = super().response_action(request, queryset)
        return redirect(change_url(row.food)) if row else response

    @display(description="food")
    def of_food(self, row: Any) -> SafeString:
        return format_html('<a href="{}">{}</a>', change_url(row.food), row.food)


def as_text(value: Any) -> str:
    """Return a corrected value as people read it, not as JSON."""
    return "–" if value is None else str(value)


class CorrectionStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("review", "Up for review"), ("in_force", "In force"), ("undone", "Undone")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "review":
                return queryset.filter(review_since__isnull=False)
            case "in_force":
                return queryset.filter(undone_at=None)
            case "undone":
                return queryset.filter(undone_at__isnull=False)
        return queryset


UNDO = Act(
    name="undo",
    label="Undo {}",
    done="Undone",
    run=lambda correction, reason, by: correction.undo(by),
    permission="settle",
    applies=lambda correction: correction.undone_at is None,
    only="This is undone already.",
)
KEEP = Act(
    name="keep",
    label="Keep {}",
    done="Kept",
    run=lambda correction, reason, by: correction.keep(),
    permission="settle",
    applies=lambda correction: correction.review_since is not None,
    only="Only what is up for review can be kept.",
)


@admin.register(Correction)
class CorrectionAdmin(SaidAdmin):
    icon = "edit_note"
    list_display = [
        "of_food",
        "field",
        "new_value",
        "of_source",
        "state",
        "reason",
        "made_by",
        "made_at",
    ]
    list_filter: ClassVar[Any] = [CorrectionStateFilter, "field"]
    list_select_related = ["food", "made_by"]
    ordering = ["-pk"]
    actions: ClassVar[Any] = [UNDO, KEEP]

    @display(description="value")
    def new_value(self, correction: Correction) -> str:
        return as_text(correction.value)

    @display(description="source's value")
    def of_source(self, correction: Correction) -> str:
        return as_text(correction.source_value)

    @display(description="state")
    def state(self, correction: Correction) -> SafeString:
        kinds = {"in force": "good", "up for review": "odd", "undone": "dull"}
        return badge(correction.state, kinds[correction.state])


class ReportStateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("open", "closed"):
            return queryset.filter(closed_at__isnull=self.value() == "open")
        return queryset


CLOSE = Act(
    name="close",
    label="Close {}",
    done="Closed",
    run=lambda report, reason, by: report.close(by),
    permission="settle",
    applies=lambda report: report.closed_at is None,
    only="This is closed already.",
)


@admin.register(Report)
class ReportAdmin(SaidAdmin):
    icon = "report"
    list_display = ["of_food", "reason", "note", "state", "created_at", "closed_by", "closed_at"]
    list_filter: ClassVar[Any] = [ReportStateFilter, "reason"]
    list_select_related = ["food", "closed_by"]
    # The order of an index: the open ones first, by reason.
    ordering = ["-closed_at", "reason", "created_at", "id"]
    actions: ClassVar[Any] = [CLOSE]

    @display(description="state")
    def state(self, report: Report) -> SafeString:
        return badge("open", "odd") if report.closed_at is None else badge("closed", "good")


@admin.register(Source)
class SourceAdmin(OperatorAdmin):
    """Where foods come from. Name, licence and address are what phones show of it."""

    group = CATALOG
    icon = "database"
    list_display = ["name", "source", "licence", "url", "foods", "imported_at"]
    readonly_fields = ["source", "foods", "imported_at", "revision"]
    fields = ["source", "name", "licence", "url", "foods", "imported_at", "revision"]
    ordering = ["name", "source"]
    formfield_overrides: ClassVar[Any] = {URLField: {"assume_scheme": "https"}}

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        obj.change(**{name: form.cleaned_data[name] for name in form.changed_data})
