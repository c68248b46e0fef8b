"""Moderation: find rows of all devices by their names, soft-delete them, and restore these again.

One act deletes at one moment, which is the rows' `deleted_at` and the time of the log's lines. By
that both are found again.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count, F, Func, Min, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from unfold.decorators import action

from countonme.api.text import JOINERS, clean, fold
from countonme.operators.acts import (
    BROKEN_RULES,
    MAX_NAMED,
    MAX_SELECTED,
    Confirmation,
    counted,
    first_of,
    sentence,
)
from countonme.operators.base import RESTORE, SOFT_DELETE, ScopedAdmin
from countonme.operators.names import change_url, log, name_of
from countonme.scope.models import DeviceScoped
from countonme.scope.query import DeviceScopedQuerySet

# The most rows that one transaction soft-deletes, and the most that one act does.
BATCH = 500
MAX_ROWS = 10_000
# The most names that a page lists, and the last acts that it shows.
MAX_NAMES = 200
MAX_ACTS = 5
# How the log's lines about moderation begin.
DONE = "Soft-deleted by moderation"


class ModeratedAdmin(ScopedAdmin):
    """Rows that have `name_folded`. Searches find a part of it: case and accents do not matter."""

    search_fields = ["name"]
    actions_list = ["moderate"]

    def name_condition(self, term: str) -> Q:
        """Return the condition for the rows whose name a search finds."""
        return Q(name_folded__contains=fold(term))

    def search_condition(self, term: str) -> Q:
        """Return the condition that a search adds."""
        return self.name_condition(term)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.search_condition(term)) if term else queryset), False

    def moderated(self) -> DeviceScopedQuerySet[Any]:
        """Return what can be moderated: live rows of devices that are not erased."""
        rows: DeviceScopedQuerySet[Any] = self.model.objects.across_devices()
        return rows.filter(device__erased_at=None)

    # Why some rows can't be deleted, for a model that has such rows.
    why_kept = ""

    def can_go(self, names: list[str]) -> Any:
        """Return the condition for rows that can be deleted when all with these names are."""
        return Q(pk__isnull=False)

    def gone_with(self, rows: DeviceScopedQuerySet[Any]) -> list[str]:
        """Say what is deleted along with rows, for a model that has such."""
        return []

    def deletable(self, names: list[str]) -> DeviceScopedQuerySet[Any]:
        """Return the rows with these folded names that can be deleted."""
        return self.moderated().filter(self.can_go(names), name_folded__in=names)

    def kept(self, names: list[str]) -> DeviceScopedQuerySet[Any]:
        """Return the rows with these folded names that can't."""
        return self.moderated().filter(~self.can_go(names), name_folded__in=names)

    def matching(self, pattern: str) -> DeviceScopedQuerySet[Any]:
        """Return the rows whose names contain a pattern, with or without apostrophes and hyphens.

        In a pattern `*` stands for any text. A pattern without `*` also finds what a search finds.
        """
        folded = fold(pattern)
        joined = Func(
            *(F("name_folded"), Value(JOINERS.pattern), Value(""), Value("g")),
            function="regexp_replace",
            output_field=TextField(),
        )
        rows = self.moderated().alias(name_joined=joined)
        contains = Q(name_folded__regex=_regex(folded))
        if without_joiners := JOINERS.sub("", folded).strip(" *"):
            contains |= Q(name_joined__regex=_regex(without_joiners))
        return rows.filter(contains if "*" in pattern else contains | self.name_condition(pattern))

    def names(self, pattern: str) -> list[dict[str, Any]]:
        """Return the names that match a pattern, the most common among devices first.

        Each is a dict: `name_folded`, one spelling of it as `name`, the numbers of `devices` and
        `rows` that have it, and the `url` where these are.
        """
        grouped = self.matching(pattern).order_by().values("name_folded")
        named = grouped.annotate(
            name=Min("name"),
            devices=Count("device", distinct=True),
            rows=Count("pk"),
            of=Min(Cast("device", TextField())),
            id=Min(Cast("pk", TextField())),
        )
        found = []
        for row in named.order_by("-devices", "name_folded")[:MAX_NAMES]:
            device, pk = row.pop("of"), row.pop("id")
            if row["rows"] == 1:
                url = self.url("change", f"{device}~{pk}")
            else:
                url = f"{self.url('changelist')}?{urlencode({'deleted': 'no', 'q': row['name']})}"
            found.append({**row, "url": url})
        return found

    def soft_delete_names(self, names: list[str], reason: str, by: int) -> tuple[int, int]:
        """Soft-delete the rows with these folded names, batch by batch, and log it.

        Returns:
            How many were deleted, at most `MAX_ROWS`, and how many are left that could be.

        Raises:
            Conflict: a rule would have been broken. The batches before are deleted.
        """
        moment, deleted = timezone.now(), 0
        rows = self.deletable(names)
        while deleted < MAX_ROWS:
            with transaction.atomic():
                keys = list(rows.order_by("device_id", "pk").key_list()[:BATCH])
                batch = self.moderated().of_keys(keys)
                batch.lock_devices()
                to_delete = list(batch)
                batch.delete_at(moment)
                log(by, to_delete, CHANGE, f"{DONE}: {reason}.", moment)
            deleted += len(to_delete)
            if len(keys) < BATCH:
                break
        return deleted, rows.count()

    def deleted_by_act(self, moment: datetime) -> list[DeviceScoped]:
        """Return the rows that an act of moderation deleted and nothing has changed since.

        At most `MAX_SELECTED`.
        """
        rows = list(self.deleted_at(moment)[:MAX_SELECTED])
        names = self.acts().filter(action_time=moment, object_id__in=map(name_of, rows))
        in_log = set(names.values_list("object_id", flat=True))
        return [row for row in rows if name_of(row) in in_log]

    def deleted_at(self, moment: datetime) -> DeviceScopedQuerySet[Any]:
        rows: DeviceScopedQuerySet[Any] = self.model.all_objects.across_devices()
        return rows.filter(deleted_at=moment).select_related("device")

    def acts(self) -> QuerySet[LogEntry]:
        """Return the log's lines about rows that moderation deleted."""
        kind = ContentType.objects.get_for_model(self.model)
        return LogEntry.objects.filter(content_type=kind, change_message__startswith=DONE)

    def last_acts(self) -> list[dict[str, Any]]:
        """Return the last acts: `action_time`, `user__username`, `change_message`, `rows`, `left`.

        `left` is how many rows are still deleted, and could be restored.
        """
        fields = ("action_time", "user__username", "change_message")
        grouped = self.acts().order_by().values(*fields).annotate(rows=Count("pk"))
        return [
            {
                **act,
                "what": counted(act["rows"], self.model),
                "reason": act["change_message"].removeprefix(f"{DONE}: ").removesuffix("."),
                "left": self.deleted_at(act["action_time"]).count(),
            }
            for act in grouped.order_by("-action_time")[:MAX_ACTS]
        ]

    def url(self, page: str, *args: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}", args=args)

    @action(description="Moderate by name", url_path="moderation", permissions=["soft_delete"])
    def moderate(self, request: HttpRequest) -> HttpResponse:
        """List names of all devices; a POST asks, and then deletes or restores."""
        pattern = (request.POST if request.method == "POST" else request.GET).get("pattern", "")
        try:
            pattern = clean(pattern)
        except ValidationError as error:
            self.message_user(request, sentence(error), messages.ERROR)
            pattern = ""
        page = f"{request.path}?{urlencode({'pattern': pattern})}"
        if "restore" in request.POST:
            return self._restore(request, page)
        if request.method == "POST":
            return self._ask(request, pattern, page)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Moderate {self.opts.verbose_name_plural} by name",
            "opts": self.opts,
            "pattern": pattern,
            "names": self.names(pattern) if pattern.strip(" *") else [],
            "max_names": MAX_NAMES,
            "acts": self.last_acts(),
            "may_restore": self.has_restore_permission(request),
        }
        return TemplateResponse(request, "operators/moderation.html", context)

    def _ask(self, request: HttpRequest, pattern: str, page: str) -> HttpResponse:
        # No name has a NUL, and PostgreSQL takes none.
        names = [name for name in request.POST.getlist("name") if "\0" not in name]
        count, kept = self.deletable(names).count(), list(self.kept(names)[:MAX_SELECTED])
        if not count and not kept:
            self.message_user(request, "Nothing was done: tick a name first.", messages.WARNING)
            return redirect(page)
        what = counted(min(count, MAX_ROWS), self.model)
        devices = self.deletable(names).order_by().values("device").distinct().count()
        device = self.model._meta.get_field("device").related_model
        spelt = self.deletable(names).order_by().values("name_folded").annotate(name=Min("name"))
        shown = spelt.order_by("name_folded").values_list("name", flat=True)[: MAX_NAMED + 1]
        gone_with = self.gone_with(self.deletable(names))
        totals = [what, *gone_with, f"of {counted(devices, device)}"]
        why = self.why_kept
        confirmation = Confirmation(
            button=SOFT_DELETE.label.format(what),
            consequence=f"{SOFT_DELETE.consequence} “Restore these” undoes it.",
            totals=totals if count else [],
            sent=[("pattern", pattern), *(("name", name) for name in names)],
            cancel_url=page,
            rows=first_of([(name, "") for name in shown]),
            left_out=[(str(row), change_url(row), why, []) for row in kept],
            note=f"At most {MAX_ROWS:,} are taken at a time." if count > MAX_ROWS else "",
        )
        reason = confirmation.reason(request)
        if reason is None:
            return confirmation.page(self, request)
        try:
            deleted, left = self.soft_delete_names(names, reason, request.user.pk or 0)
        except BROKEN_RULES as error:
            self.message_user(request, f"It stopped: {sentence(error)}", messages.ERROR)
            return redirect(page)
        said = f"{SOFT_DELETE.done}: {counted(deleted, self.model)}."
        if left:
            said += f" {left:,} are left: do it again."
        self.message_user(request, said, messages.SUCCESS if deleted else messages.WARNING)
        return redirect(page)

    def _restore(self, request: HttpRequest, page: str) -> HttpResponse:
        if not self.has_restore_permission(request):
            raise PermissionDenied
        try:
            moment = parse_datetime(request.POST["restore"])
        except ValueError:  # it looks like a moment, and is none
            moment = None
        rows = self.deleted_by_act(moment) if moment else []
        restore = replace(RESTORE, applies=lambda row: row.deleted_at == moment)
        restore.do(self, request, rows, "")
        return redirect(page)


def _regex(folded: str) -> str:
    return ".*".join(re.escape(part) for part in folded.split("*"))
