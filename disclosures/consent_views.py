"""The customer's pages of consent: what stands, taking it back in one press, agreeing to more (P20).

Owners only. Nothing is ticked beforehand, and nothing depends on agreeing.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from allauth.core.internal.httpkit import get_client_ip
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import restricting
from accounts.datamap import Category, Purpose
from accounts.doors import account_of, customer, customer_page, for_roles
from accounts.members import Part
from accounts.page_forms import SentOnce
from disclosures import consent_texts, consenting
from disclosures.consent_forms import AgreeForm
from disclosures.consenting import Agreement
from disclosures.models import ConsentGrant, ConsentPurpose
from retention import schedule

ENTRIES_A_PAGE = 25


@customer_page
@for_roles(Part.CONSENT)
def consent(request: HttpRequest) -> HttpResponse:
    """Show what stands, what could be agreed to, and what ended."""
    account, now = account_of(request), timezone.now()
    own = ConsentGrant.objects.filter(account=account).select_related("recipient").defer("evidence_file")
    live = list(own.live(now).order_by("-given_at", "-pk"))
    agreed = {grant.recipient_id for grant in live}
    ended = own.exclude(pk__in=[grant.pk for grant in live]).order_by("-given_at", "-pk")
    page = Paginator(ended, ENTRIES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "live": [_in_words(grant) for grant in live],
        "page": page,
        "ended": [_in_words(grant) for grant in page.object_list],
        "partners": [one for one in consenting.open_recipients(now) if one.pk not in agreed],
        "has_marketing": any(grant.purpose == ConsentPurpose.MARKETING for grant in live),
        "is_opted_out": restricting.is_restricted(account.pk, Purpose.SHARING),
    }
    return render(request, "disclosures/consent.html", context)


@customer_page
@for_roles(Part.CONSENT)
def share(request: HttpRequest, partner: str) -> HttpResponse:
    """Show the words for one partner, and take the agreement."""
    recipient = consenting.open_recipients(timezone.now()).filter(reference=partner).first()
    if recipient is None:
        raise Http404
    form = AgreeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        agreement = Agreement(ConsentPurpose.SHARING, form.chosen, recipient.pk)
        return _agreed(request, agreement, form.cleaned_data["submission"])
    words = consent_texts.of(ConsentPurpose.SHARING, recipient, (), _until())
    return render(request, "disclosures/consent_share.html", {"form": form, "recipient": recipient, "words": words})


@customer_page
@for_roles(Part.CONSENT)
def marketing(request: HttpRequest) -> HttpResponse:
    """Show the words for news of our own, and take the agreement."""
    form = SentOnce(request.POST or None)
    if request.method == "POST" and form.is_valid():
        return _agreed(request, Agreement(ConsentPurpose.MARKETING), form.cleaned_data["submission"])
    words = consent_texts.of(ConsentPurpose.MARKETING, None, [Category.CONTACT.value], _until())
    return render(request, "disclosures/consent_marketing.html", {"form": form, "words": words})


@customer_page
@for_roles(Part.CONSENT)
def withdraw(request: HttpRequest, reference: str) -> HttpResponse:
    """Take a consent back; looking at the address leads back to the page."""
    grant = get_object_or_404(ConsentGrant.objects.only("pk"), reference=reference, account=account_of(request))
    if request.method == "POST":
        consenting.withdraw(grant.pk, by=customer(request), ip=get_client_ip(request))
        messages.success(request, _("It is taken back, from this moment on."))
    return redirect("disclosures:consent")


def _agreed(request: HttpRequest, agreement: Agreement, submission: UUID) -> HttpResponse:
    user = customer(request)
    consenting.give(account_of(request).pk, agreement, by=user, submission=submission, ip=get_client_ip(request))
    messages.success(request, _("You agreed. You can take it back here at any time."))
    return redirect("disclosures:consent")


def _until() -> dt.date:
    return (timezone.now() + schedule.span("consent")).date()


def _in_words(grant: ConsentGrant) -> dict[str, object]:
    kinds = [str(Category(name).label) for name in grant.categories if name in Category.values]
    return {"grant": grant, "kinds": kinds, "to": grant.recipient.name if grant.recipient else ""}
