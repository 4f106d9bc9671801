"""What a customer was told of legal requests: the notice, its copy, and the challenge (P15; silence.md, S2).

These pages read the view of notices that were sent, and the account's own copies and challenges; never the register.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.datamap import Category
from accounts.doors import account_of, customer, customer_page, for_roles
from accounts.downloading import download
from accounts.members import Part
from accounts.safeguards.cards import refuse_card_number
from disclosures import informing
from disclosures.models import Instrument, NoticeChallenge, NoticeCopy, ToldNotice

# What each instrument is, to somebody who never saw one.
MEANS = {
    Instrument.GRAND_JURY_SUBPOENA: gettext_lazy("A grand jury asks for records."),
    Instrument.ADMINISTRATIVE_SUBPOENA: gettext_lazy("A government office asks for records."),
    Instrument.GOVERNMENT_SUBPOENA: gettext_lazy("The government asks for records in a trial."),
    Instrument.CIVIL_SUBPOENA: gettext_lazy("Somebody asks for records in a civil case."),
    Instrument.COURT_ORDER: gettext_lazy("A court orders us to give records."),
    Instrument.SEARCH_WARRANT: gettext_lazy("A judge allows a search of records and content."),
    Instrument.NATIONAL_SECURITY_LETTER: gettext_lazy("A national security letter asks who you are."),
    Instrument.PRESERVATION: gettext_lazy("We were asked to keep what we hold."),
    Instrument.EMERGENCY: gettext_lazy("Somebody's life was said to be in danger."),
    Instrument.SUBPOENA_512H: gettext_lazy("An owner of a copyright asks who you are."),
    Instrument.FOREIGN: gettext_lazy("An authority of another country asks for records."),
}


class ChallengeForm(forms.Form):
    """Where the customer challenges the request, and on what ground."""

    text = forms.CharField(
        label=gettext_lazy("Where and why you challenge it"),
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 6}),
        validators=[refuse_card_number],
        help_text=gettext_lazy("Name the court and the number of your motion, if you have one."),
        error_messages={"required": gettext_lazy("Write where and why you challenge it.")},
    )


@customer_page
@for_roles(Part.DATA)
def notices(request: HttpRequest) -> HttpResponse:
    """Show every notice of a legal request, newest first."""
    found = ToldNotice.objects.filter(account=account_of(request)).order_by("-sent_at", "-pk")[:100]
    return render(request, "disclosures/notices.html", {"notices": [_in_words(one) for one in found]})


@customer_page
@for_roles(Part.DATA)
def notice(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one notice, and take the challenge."""
    found = _own(request, reference)
    challenge = NoticeChallenge.objects.filter(notice=found.pk, account=account_of(request)).first()
    form = ChallengeForm(request.POST or None)
    if request.method == "POST" and challenge is None and form.is_valid():
        informing.challenge(found.pk, text=form.cleaned_data["text"], by=customer(request))
        messages.success(request, _("We keep your challenge. From now on nothing is handed over while it runs."))
        return redirect("disclosures:notice", reference)
    copies = NoticeCopy.objects.filter(notice=found.pk, account=account_of(request)).defer("content")
    context = {**_in_words(found), "challenge": challenge, "form": form, "copies": list(copies)}
    return render(request, "disclosures/notice.html", context)


@customer_page
@for_roles(Part.DATA)
def give_up(request: HttpRequest, reference: str) -> HttpResponse:
    """Give a challenge up; looking at the address leads back to the notice."""
    found = _own(request, reference)
    challenge = NoticeChallenge.objects.filter(notice=found.pk, account=account_of(request)).first()
    if request.method == "POST" and challenge is not None:
        informing.end_challenge(challenge.pk, NoticeChallenge.Ending.GIVEN_UP, by=customer(request))
        messages.success(request, _("Your challenge is given up."))
    return redirect("disclosures:notice", reference)


@customer_page
@for_roles(Part.DATA)
def copy(request: HttpRequest, reference: str) -> HttpResponse:
    """Give the copy that came with a notice, as a download."""
    found = _own(request, reference)
    kept = NoticeCopy.objects.filter(notice=found.pk, account=account_of(request)).first()
    if kept is None:
        raise Http404
    return download(request, str(kept.name), kept.media_type, bytes(kept.content))


def _own(request: HttpRequest, reference: str) -> ToldNotice:
    return get_object_or_404(ToldNotice, reference=reference, account=account_of(request))


def _in_words(found: ToldNotice) -> dict[str, Any]:
    return {
        "notice": found,
        "means": MEANS[Instrument(found.instrument)],
        "is_emergency": found.instrument == Instrument.EMERGENCY,
        "kinds": [str(Category(name).label) for name in found.categories if name in Category.values],
    }
