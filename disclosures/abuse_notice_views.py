"""Notices of abuse as the customer sees and answers them (pages.md, 15-18; P17-P19).

Everything is looked up among the account's own notices, items, counter-notices and strikes: the register of cases is
never read here. GET changes nothing; a POST that did something redirects.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import invoicing
from accounts.doors import account_of, customer, customer_page, for_roles, is_too_often, too_often
from accounts.downloading import download
from accounts.members import Part, may_open
from accounts.models import Contact, Service
from accounts.uploading import REFUSED, takes_files
from disclosures import abuse_words, countering, responding, striking, sworn
from disclosures.abuse_notice_forms import REASONS, AppealForm, CounterForm, DisagreeForm, FixedForm, SignForm, TimeForm
from disclosures.models import AbuseNotice, CounterNotice, NoticeFile, Strike

A_PAGE = 25
PLACE = ("street", "city", "region", "postcode", "country")


@customer_page
@for_roles(Part.NOTICES)
def notices(request: HttpRequest) -> HttpResponse:
    """Show the account's notices, the open ones first, by when they must be answered."""
    which = "closed" if request.GET.get("show") == "closed" else "open"
    own = AbuseNotice.objects.filter(account=account_of(request))
    rows = own.open().order_by("act_by", "pk") if which == "open" else own.exclude(ended_at=None).order_by("-sent_at")
    page = Paginator(rows, A_PAGE).get_page(request.GET.get("page"))
    now = timezone.now()
    shown = CounterNotice.objects.filter(notice__in=[one.pk for one in page.object_list])
    stopped = set(shown.exclude(stopped_at=None).values_list("notice", flat=True))
    context = {
        "page": page,
        "which": which,
        "cards": [
            {"notice": one, "state": abuse_words.state(one, now, is_stopped=one.pk in stopped)}
            for one in page.object_list
        ],
        **striking.policy(account_of(request), now),
    }
    return render(request, "disclosures/abuse_notices.html", context)


@customer_page
@for_roles(Part.NOTICES)
def notice(request: HttpRequest, reference: str) -> HttpResponse:
    """Show one notice: what is claimed, where, what happens when, and what can be done."""
    found = _own(request, reference)
    now = timezone.now()
    items = list(found.items.all())
    counter = found.counters.first()
    signed = counter if counter is not None and counter.signed_at else None
    is_stopped = signed is not None and signed.stopped_at is not None
    strike = found.strikes.first()
    left = [item for item in items if item.is_left]
    asked_back = set(signed.items) if signed is not None and not is_stopped else set()
    context = {
        "notice": found,
        "means": abuse_words.MEANS[found.kind],
        "state": abuse_words.state(found, now, is_stopped=is_stopped),
        "items": items,
        "files": found.files.defer("content").order_by("sent_at", "pk"),
        "service": _service(found),
        "counter": signed,
        "strike": strike,
        "strike_counts": strike is not None and strike.overruled_at is None and strike.ends_at > now,
        "is_suspended": found.is_suspended,
        "is_late": found.act_by is not None and found.act_by <= now,
        "has_answer": found.is_answered,
        "left": left,
        "runs_when_put_back": bool(left) and asked_back.issuperset(item.pk for item in left),
        "may_counter": signed is None and not countering.hindrance(found) and may_open(customer(request), Part.COUNTER),
        "may_ask_for_time": _may_ask(found, now),
        "history": abuse_words.history(found, items, counter, strike),
    }
    return render(request, "disclosures/abuse_notice.html", context)


@customer_page
@for_roles(Part.NOTICES)
def acknowledge(request: HttpRequest, reference: str) -> HttpResponse:
    """Record that the notice was received; looking at the address says what that means."""
    found = _own(request, reference)
    if request.method == "POST":
        responding.acknowledge(found.pk, by=customer(request))
        messages.success(request, _("We noted that you received this notice."))
        return redirect("disclosures:abuse_notice", reference)
    return render(request, "disclosures/abuse_acknowledge.html", {"notice": found})


@customer_page
@for_roles(Part.NOTICES)
@takes_files
def fixed(request: HttpRequest, reference: str) -> HttpResponse:
    """Take what was done at which places, and files that show it."""
    found = _own(request, reference)
    if request.FILES and is_too_often(request, "send_file"):
        return too_often(request)
    items = list(found.items.all())
    form = FixedForm([item for item in items if item.is_left], request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        files = form.cleaned_data["attached"]
        done = responding.fix(found.pk, form.done_by_item(), by=customer(request), files=files)
        words = (
            _("We have what you did. Thank you.") if done.remedied_at else _("We have this part. Some places are left.")
        )
        messages.success(request, words)
        return redirect("disclosures:abuse_notice", reference)
    context = {"notice": found, "form": form, "disputed": [item for item in items if item.seen and item.is_left]}
    status = REFUSED if "attached" in form.errors else 200
    return render(request, "disclosures/abuse_fixed.html", context, status=status)


@customer_page
@for_roles(Part.NOTICES)
def notice_file(request: HttpRequest, reference: str, file: UUID) -> HttpResponse:
    """Give one file that the customer sent out, as a download."""
    own = NoticeFile.objects.filter(account=account_of(request))
    found = get_object_or_404(own, pk=file, notice__reference=reference)
    return download(request, found.name, found.media_type, bytes(found.content))


@customer_page
@for_roles(Part.NOTICES)
def disagree(request: HttpRequest, reference: str) -> HttpResponse:
    """Take why the customer disagrees."""
    found = _own(request, reference)
    form = DisagreeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        responding.disagree(found.pk, by=customer(request), text=form.cleaned_data["text"])
        messages.success(request, _("We have your answer. A person of ours reads it."))
        return redirect("disclosures:abuse_notice", reference)
    return render(request, "disclosures/abuse_disagree.html", {"notice": found, "form": form})


@customer_page
@for_roles(Part.NOTICES)
def more_time(request: HttpRequest, reference: str) -> HttpResponse:
    """Give more time, once."""
    found = _own(request, reference)
    form = TimeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        responding.ask_for_time(found.pk, by=customer(request), reason=form.cleaned_data["reason"])
        messages.success(request, _("You have more time. The page says until when."))
        return redirect("disclosures:abuse_notice", reference)
    context = {"notice": found, "form": form, "may_ask": _may_ask(found, timezone.now())}
    return render(request, "disclosures/abuse_time.html", context)


@customer_page
@for_roles(Part.COUNTER)
def counter(request: HttpRequest, reference: str) -> HttpResponse:
    """Say what a counter-notice is and does, and take the draft of one."""
    found = _own(request, reference)
    hindrance = countering.hindrance(found)
    known = found.counters.first()
    if hindrance or (known is not None and known.signed_at is not None):
        context = {"notice": found, "hindrance": hindrance or "signed"}
        return render(request, "disclosures/counter_not.html", context)
    disabled = [item for item in found.items.all() if item.is_disabled]
    form = CounterForm(disabled, request.POST or None, initial=_known(request, known))
    if request.method == "POST" and form.is_valid():
        given = dict(form.cleaned_data)
        chosen = given.pop("items")
        items = [item.pk for item in disabled if str(item.pk) in chosen]
        countering.draft(found.pk, items, countering.Words(**given), by=customer(request))
        return redirect("disclosures:counter_sign", reference)
    return render(request, "disclosures/counter.html", {"notice": found, "form": form, "draft": known})


@customer_page
@for_roles(Part.COUNTER)
def counter_sign(request: HttpRequest, reference: str) -> HttpResponse:
    """Show the draft with the sworn statements in full, and take the signature."""
    found = _own(request, reference)
    draft = found.counters.first()
    if draft is None or draft.signed_at is not None or countering.hindrance(found):
        return redirect("disclosures:counter", reference)
    form = SignForm(str(draft.name), request.POST or None)
    if request.method == "POST" and form.is_valid():
        countering.sign(draft.pk, by=customer(request), signature=form.cleaned_data["signature"])
        messages.success(request, _("Your counter-notice is signed."))
        return redirect("disclosures:abuse_notice", reference)
    context = {
        "notice": found,
        "draft": draft,
        "form": form,
        "reason": REASONS[draft.reason],
        "items": [item for item in found.items.all() if item.pk in draft.items],
        "sworn": sworn.statements(sworn.CURRENT, is_outside_us=draft.is_outside_us),
    }
    return render(request, "disclosures/counter_sign.html", context)


@customer_page
@for_roles(Part.COUNTER)
def appeal(request: HttpRequest, reference: str) -> HttpResponse:
    """Take the appeal of a strike."""
    found = _own(request, reference)
    strike = get_object_or_404(Strike, notice=found, account=account_of(request))
    form = AppealForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        striking.appeal(strike.pk, by=customer(request), text=form.cleaned_data["text"])
        messages.success(request, _("We have your appeal. Somebody else than before decides it."))
        return redirect("disclosures:abuse_notice", reference)
    now = timezone.now()
    context = {"notice": found, "strike": strike, "form": form, **striking.policy(account_of(request), now)}
    return render(request, "disclosures/strike_appeal.html", context)


def _own(request: HttpRequest, reference: str) -> AbuseNotice:
    return get_object_or_404(AbuseNotice, reference=reference, account=account_of(request))


def _service(found: AbuseNotice) -> str:
    if found.service is None:
        return ""
    service = Service.objects.filter(pk=found.service, account=found.account_id).first()
    return str(service.name) if service else ""


def _may_ask(found: AbuseNotice, now: Any) -> bool:
    return (
        not (found.is_answered or found.lapsed_at or found.ended_at)
        and found.extended_at is None
        and found.act_by is not None
        and now < found.act_by
    )


def _known(request: HttpRequest, draft: CounterNotice | None) -> dict[str, Any]:
    """Return what is filled in already: the draft, or what we know of the owner contact (WCAG 3.3.7)."""
    if draft is not None:
        names = ("reason", "statement", "name", "address", "phone", "email", "is_outside_us")
        return {"items": [str(pk) for pk in draft.items], **{name: getattr(draft, name) for name in names}}
    contact = Contact.objects.owners([account_of(request).pk]).first()
    if contact is None:
        return {}
    place = contact.addresses.filter(removed_at=None).order_by("-kind", "pk").first()
    parts = {part: getattr(place, part) for part in PLACE} if place is not None else {}
    known = {"name": contact.name, "phone": contact.phone or "", "email": contact.email}
    return known | {"address": "\n".join(invoicing.place_lines(parts))}
