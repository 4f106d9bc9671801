"""The queue of abuse cases: which customers gave no answer, whose counter-notice runs, and several closed at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from accounts.admin_base import Section, asking, staff
from accounts.errors import NotActionable
from accounts.models import User
from disclosures import concluding, countering, notifying
from disclosures.models import AbuseCase, CaseOutcome

CLOSE_SELECTED = "close_selected"
# What one page shows and one press closes; each is a transaction of its own.
MOST_CLOSED = 100


class CustomerStands(admin.SimpleListFilter):
    """How it stands with the customer of a case."""

    title, parameter_name = "customer", "customer"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("silent", "No answer for 24 hours"), ("counter", "Counter-notice pending")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AbuseCase]) -> QuerySet[AbuseCase]:
        """Return the open cases of that kind: the clock of a case stands in the notice of its customer."""
        if self.value() == "silent":
            silent = notifying.silent(timezone.now() - notifying.NO_ANSWER)
            return queryset.filter(Exists(silent.filter(case=OuterRef("pk"))), closed_at=None)
        if self.value() == "counter":
            return queryset.filter(Exists(countering.pending().filter(notice__case=OuterRef("pk"))), closed_at=None)
        return queryset


class CloseForm(forms.Form):
    """How it ends."""

    outcome = forms.ChoiceField(label="How it ends", choices=CaseOutcome.choices, widget=forms.RadioSelect)
    reason = forms.CharField(label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 4}))


class SeveralForm(CloseForm):
    """How all of the chosen cases end; which they are comes back with it, whatever the list is by then."""

    action = forms.CharField(widget=forms.HiddenInput, initial=CLOSE_SELECTED)

    def __init__(self, chosen: list[str], data: Any = None) -> None:
        super().__init__(data)
        # Read by the list itself, which looks the cases up among those the reader may see.
        self.fields[ACTION_CHECKBOX_NAME] = forms.Field(
            initial=chosen, required=False, widget=forms.MultipleHiddenInput
        )


def close_several(room: Any, request: HttpRequest, rows: QuerySet[AbuseCase]) -> HttpResponse | None:
    """Ask once how the chosen cases end and why, then close each by the act of one and say what came of it.

    `rows` are those of the chosen that the reader may see. The page names each of them, and only these are closed.
    """
    user = staff(request)
    cases = list(rows.order_by("opened_at", "pk")[:MOST_CLOSED])
    is_sent = "reason" in request.POST
    form: Any = asking(SeveralForm([str(case.pk) for case in cases], request.POST if is_sent else None))
    if not is_sent or not form.is_valid():
        return _page(room, request, cases, form, status=422 if is_sent else 200)
    closed = [case for case in cases if _is_closed(room, request, case, form.cleaned_data, user)]
    if closed:
        room.message_user(request, f"Closed: {', '.join(case.reference for case in closed)}.", messages.SUCCESS)
    return None


def _is_closed(room: Any, request: HttpRequest, case: AbuseCase, given: dict[str, Any], user: User) -> bool:
    """Close one case, or say why it stays open."""
    try:
        concluding.close(case.pk, given["outcome"], by=user, reason=given["reason"])
    except NotActionable as refusal:
        words = str(refusal)
        named = words if case.reference in words else f"Case {case.reference}: {words}"
        room.message_user(request, f"Not closed. {named}", messages.WARNING)
        return False
    return True


def _page(room: Any, request: HttpRequest, cases: list[AbuseCase], form: forms.Form, status: int) -> HttpResponse:
    shown = [(case.reference, case.get_kind_display(), room.concerns(case), room.answer(case)) for case in cases]
    context = {
        **room.admin_site.each_context(request),
        "opts": room.opts,
        "title": f"Close {len(cases)} cases" if len(cases) != 1 else "Close a case",
        "record": None,
        "record_url": request.get_full_path(),
        "list_url": room.list_url(),
        "form": form,
        "hindrance": "" if cases else "None of these cases can be found.",
        "refusal": "",
        "consequences": [
            "Each of these cases ends, with one outcome and one reason.",
            "Those that cannot end so stay open, and you read why.",
            "What a customer was told of such a case ends with it.",
        ],
        "sections": [Section("Cases", head=("Case", "About", "Concerns", "Customer"), rows=shown)],
        "label": "Close these cases",
        "calm": "Go back without doing this",
        "looks_only": False,
    }
    request.current_app = room.admin_site.name
    return TemplateResponse(request, "admin/act.html", context, status=status)
