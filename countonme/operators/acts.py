"""What operators do to rows: each act is declared once, says before what it does, and is logged.

An act with consequences shows a page first. It says to how much it will happen, and what can't be
done, and asks for a reason, which stays in the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from countonme.api.text import clean
from countonme.operators.names import change_url, name_of
from countonme.scope.exceptions import Conflict, DeviceGone, Missing

if TYPE_CHECKING:
    from countonme.operators.base import OperatorAdmin

BROKEN_RULES = (Conflict, DeviceGone, Missing, ValidationError, IntegrityError)
# The most rows that one act on a list changes. Each is a field of the form that confirms it, and
# Django takes no form of more than 1,000 fields.
MAX_SELECTED = 500
# The most rows that a confirmation names.
MAX_NAMED = 10
MAX_REASON = 200


def sentence(error: Exception) -> str:
    """Return the message about a broken rule that an operator reads."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, IntegrityError):
        return "Another row still refers to it, or this would break a rule of the database."
    return "The device is erased." if isinstance(error, DeviceGone) else f"{error}."


def counted(count: int, model: type[Model]) -> str:
    """Return a number of rows in words: `1 product`, `2,849 products`."""
    meta = model._meta
    return f"{count:,} {meta.verbose_name if count == 1 else meta.verbose_name_plural}"


@dataclass
class Confirmation:
    """The page that says what will happen, and to how much, before it does.

    Args:
        button: the act, with to how much it happens: `Delete 49 products for ever`.
        consequence: what happens, in a sentence or two.
        totals: what it happens to, by kind: `2 devices`.
        sent: the fields by which the same form is sent again, as names with values.
        cancel_url: where else to go.
        rows: those that are named, with links.
        left_out: what can't be done, as (row, its URL, why, links to what is in the way).
        note: a sentence about what else was selected.
        typed: a number that has to be typed, or None.
    """

    button: str
    consequence: str
    totals: Sequence[str]
    sent: Iterable[tuple[str, str]]
    cancel_url: str
    rows: Sequence[tuple[str, str]] = ()
    left_out: Sequence[tuple[str, str, str, Sequence[SafeString]]] = ()
    note: str = ""
    is_for_ever: bool = False
    typed: int | None = None
    errors: dict[str, str] = field(default_factory=dict)

    def reason(self, request: HttpRequest) -> str | None:
        """Return the reason, once the act is confirmed with all that the page asks for."""
        if not request.POST.get("confirmed"):
            return None
        reason = ""
        try:
            reason = clean(request.POST.get("reason", ""))
        except ValidationError as error:
            self.errors["reason"] = sentence(error)
        if not reason:
            self.errors.setdefault("reason", "Say why.")
        elif len(reason) > MAX_REASON:
            self.errors["reason"] = f"At most {MAX_REASON} characters."
        if self.typed is not None and request.POST.get("typed", "").strip() != str(self.typed):
            self.errors["typed"] = f"Type {self.typed} to go on."
        return None if self.errors else reason

    def page(self, admin: OperatorAdmin, request: HttpRequest) -> TemplateResponse:
        """Return the page. After a form that was incomplete, it says what is missing."""
        context = {
            **admin.admin_site.each_context(request),
            "title": f"{self.button}?" if self.totals else "This can’t be done",
            "opts": admin.opts,
            "confirmation": self,
            "reason": request.POST.get("reason", ""),
            "max_reason": MAX_REASON,
            "more": max(0, len(self.left_out) - MAX_NAMED),
            "max_named": f":{MAX_NAMED}",
        }
        return TemplateResponse(request, "operators/confirm.html", context)


def first_of(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the rows that a page names, with a mark where there are more."""
    return [*rows[:MAX_NAMED], *([("…", "")] if len(rows) > MAX_NAMED else [])]


def no_totals(rows: Sequence[Any]) -> list[str]:
    return []


@dataclass(frozen=True)
class Act:
    """An act on the selected rows of a list; Django's admin calls it as an action.

    Args:
        name: its name in requests.
        label: what its button says, with `{}` where the rows stand: `Block {}`.
        done: what was done, for the log and for messages: `Blocked`.
        run: does it to one row, within a transaction that has locked the row's device; takes the
            row, the reason, and the operator's id.
        permission: the name of the admin's `has_…_permission()`.
        applies: whether it can be done to a row at all.
        only: the sentence about rows to which it does not apply.
        consequence: what happens, for the page that asks; without it, it is done at once.
        totals: returns in words what happens to more than the rows.
        is_for_ever: whether nothing undoes it. Then the number of rows has to be typed if there are
            several.
        is_tried: whether the page tries it and takes it back, to say what can't be done.
        flag: the kind of act in Django's log.
    """

    name: str
    label: str
    done: str
    run: Callable[[Any, str, int], Any]
    permission: str
    applies: Callable[[Any], bool]
    only: str
    consequence: str = ""
    totals: Callable[[Sequence[Any]], Sequence[str]] = no_totals
    is_for_ever: bool = False
    is_tried: bool = False
    flag: int = CHANGE

    # What Django's admin asks of an action.

    @property
    def __name__(self) -> str:
        return self.name

    @property
    def short_description(self) -> str:
        words = " ".join(self.label.replace("{}", "").split()).removesuffix(" of")
        return words + ("…" if self.consequence else "")

    @property
    def allowed_permissions(self) -> list[str]:
        return [self.permission]

    def __call__(
        self, admin: OperatorAdmin, request: HttpRequest, queryset: QuerySet[Any]
    ) -> TemplateResponse | None:
        selected = list(queryset[: MAX_SELECTED + 1])
        is_cut = len(selected) > MAX_SELECTED
        selected = selected[:MAX_SELECTED]
        rows = [row for row in selected if self.applies(row)]
        if not rows:
            admin.message_user(request, f"Nothing was done. {self.only}", messages.WARNING)
            return None
        if not self.consequence:
            self.do(admin, request, rows, "")
            return None
        notes = [self.only] if len(rows) < len(selected) else []
        if is_cut:
            notes.append(f"At most {MAX_SELECTED:,} are taken at a time.")
        confirmation = self.confirmation(admin, request, rows, " ".join(notes))
        reason = confirmation.reason(request)
        if reason is None:
            return confirmation.page(admin, request)
        self.do(admin, request, rows, reason)
        return None

    def confirmation(
        self, admin: OperatorAdmin, request: HttpRequest, rows: Sequence[Any], note: str
    ) -> Confirmation:
        # What is sent by the page was tried when it was shown.
        is_new = not request.POST.get("confirmed")
        left_out = self.hindered(admin, rows) if self.is_tried and is_new else {}
        possible = [row for row in rows if name_of(row) not in left_out]
        count = len(possible)
        sent = [(ACTION_CHECKBOX_NAME, name_of(row)) for row in possible]
        page = request.POST.get("from_page", "")
        is_from_page = page in map(name_of, rows)
        if is_from_page:
            sent.append(("from_page", page))
        return Confirmation(
            button=self.label.format(counted(count, admin.model)),
            consequence=self.consequence,
            totals=[counted(count, admin.model), *self.totals(possible)] if possible else [],
            sent=[("action", self.name), *sent],
            cancel_url=admin.page_url(page) if is_from_page else request.get_full_path(),
            rows=first_of([(str(row), change_url(row)) for row in possible[: MAX_NAMED + 1]]),
            left_out=list(left_out.values()),
            note=note,
            is_for_ever=self.is_for_ever,
            typed=count if self.is_for_ever and count > 1 else None,
        )

    def hindered(self, admin: OperatorAdmin, rows: Iterable[Any]) -> dict[str, Any]:
        """Try it with each row and take it back; return by name why it can't be done to some."""
        found = {}
        for row in rows:
            shown = str(row)
            try:
                with transaction.atomic():
                    admin.lock(row)
                    self.run(row, "", 0)
                    transaction.set_rollback(True)
            except BROKEN_RULES as error:
                links = admin.in_the_way(row) if isinstance(error, IntegrityError) else []
                why = "" if links else sentence(error)
                found[name_of(row)] = (shown, change_url(row), why, links)
            except ObjectDoesNotExist:
                found[name_of(row)] = (shown, change_url(row), "It is gone.", [])
        return found

    def do(
        self, admin: OperatorAdmin, request: HttpRequest, rows: Iterable[Any], reason: str
    ) -> None:
        """Do it to each row, each in its own transaction. Log it, or say why it failed.

        Rows to which it was done meanwhile, as by a second click, are passed over.
        """
        by = request.user.pk or 0
        done = f"{self.done}: {reason}" if reason else self.done
        failed: Counter[str] = Counter()
        count = 0
        for row in rows:
            try:
                with transaction.atomic():
                    admin.lock(row)
                    if not self.applies(row):
                        continue
                    self.run(row, reason, by)
                    admin.note(request, row, f"{done}.", self.flag)
                count += 1
            except ObjectDoesNotExist:
                continue
            except BROKEN_RULES as error:
                failed[f"{row}: {sentence(error)}"] += 1
        for said in list(failed)[:MAX_NAMED]:
            admin.message_user(request, said, messages.ERROR)
        if len(failed) > MAX_NAMED:
            more = f"{len(failed) - MAX_NAMED:,} more could not be done."
            admin.message_user(request, more, messages.ERROR)
        if count:
            said = f"{self.done}: {counted(count, admin.model)}."
            admin.message_user(request, said, messages.SUCCESS)
        elif not failed:
            admin.message_user(request, "Nothing was left to do.", messages.WARNING)
