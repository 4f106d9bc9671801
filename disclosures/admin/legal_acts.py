"""The acts on legal requests in the admin: each is one form over one act of the room."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin_base import Act, Eyes, Section, asking
from accounts.models import User
from accounts.templatetags.portal_tags import moment
from disclosures import answering, checking, documenting, preserving, receiving
from disclosures.admin import legal_forms, legal_sections
from disclosures.legal_rows import ANSWERS, ASSIGNS, RECEIVES, VERIFIES
from disclosures.models import LegalRequest, Sought
from retention import schedule

MOST_FOUND = 50
WAITING = (Sought.Found.NONE, Sought.Found.SEVERAL)
ENDED = "This request has ended; that stays."


class RequestAct(Act):
    """What the acts on an open request have in common."""

    def hindrance(self, record: Any, user: User) -> str:
        return ENDED if record.closed_at else ""

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [legal_sections.standing(eyes, record)]


class Unverified(RequestAct):
    """What the acts on a request that is not verified yet have in common."""

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or ("It is verified; it can be narrowed." if record.verified_at else "")


class Receive(Act):
    """Enter a request that was served."""

    slug, label, permission = "receive", "Enter a legal request", RECEIVES
    form_class, needs_record, takes_files = legal_forms.ReceiveForm, False, True

    def consequences(self, record: Any) -> list[str]:
        days = schedule.number("provisional")
        return [
            f"Everything of whom it seeks is held at once, for {days} business days or until it is verified.",
            "The customer is not told. Nothing they can see changes.",
            "What is missing can be added later. Until then it cannot be verified.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(legal_forms.ReceiveForm(data, self.request.FILES if data is not None else None))

    def perform(self, record: Any, form: Any, user: User) -> HttpResponse:
        persons = form.persons()
        files = form.cleaned_data.pop("documents")
        request = receiving.receive(by=user, persons=persons, files=files, **form.cleaned_data)
        held = Sought.objects.filter(request=request, found=Sought.Found.ONE).count()
        words = f"Request {request.reference} is entered: {held} of {request.sought.count()} persons found and held."
        messages.success(self.request, f"{words}{_same_documents(request)}")
        return HttpResponseRedirect(self.room.url_of(request))


def _same_documents(request: LegalRequest) -> str:
    hashes = request.documents.values_list("sha256", flat=True)
    same = sorted({reference for sha256 in hashes for reference in documenting.also_with(request, sha256)})
    return f" The same document is with {', '.join(same)}." if same else ""


class Find(Act):
    """Find a request; nothing that was typed stands in an address."""

    slug, label, permission = "find", "Find a legal request", "disclosures.view_legalrequest"
    form_class, needs_record = legal_forms.FindForm, False

    def perform(self, record: Any, form: forms.Form, user: User) -> HttpResponse | Section:
        found = list(_found(form.cleaned_data["wanted"]).order_by("-received_at", "pk")[:MOST_FOUND])
        if len(found) == 1:
            return HttpResponseRedirect(self.room.url_of(found[0]))
        rows = [
            (
                format_html('<a href="{}">{}</a>', self.room.url_of(row), row.reference),
                row.get_instrument_display(),
                moment(row.received_at),
            )
            for row in found
        ]
        return Section("Found", head=("Reference", "Instrument", "Received"), rows=rows, empty="No request was found.")


def _found(wanted: str) -> Any:
    text = wanted.strip()
    persons = [receiving.Person(kind, text, timezone.now()) for kind in (Sought.Kind.ACCOUNT, Sought.Kind.EMAIL)]
    persons += [receiving.Person(Sought.Kind.ADDRESS, text, timezone.now())]
    accounts = {pk for person in persons for pk in receiving.accounts_of(person)}
    by_person = Sought.objects.filter(account__in=accounts).values("request")
    digest = receiving.docket_digest(text)
    return LegalRequest.objects.filter(Q(reference=text.upper()) | Q(docket_digest=digest) | Q(pk__in=by_person))


class AssignToMe(RequestAct):
    """Take care of a request."""

    slug, label, permission = "assign-to-me", "Assign to me", ASSIGNS

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or ("This request is yours." if record.assigned_to == user.pk else "")

    def consequences(self, record: Any) -> list[str]:
        return ["The request stands among yours on the front page, and reminders come to you."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        return f"Request {receiving.assign(record.pk, by=user).reference} is yours."


class Complete(Unverified):
    """Say what a draft lacks."""

    slug, label, permission = "complete", "Complete the request", RECEIVES

    def consequences(self, record: Any) -> list[str]:
        return [
            "What stands here takes the place of what was entered before.",
            "With another authority the check of the authority is to be done again.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        before = record.preserved_by.reference if record.preserved_by else ""
        names = ("recipient_id", "jurisdiction", "due_at", "categories", "period_from", "period_to")
        return asking(
            legal_forms.Scope(
                data, initial={name: getattr(record, name) for name in names} | {"preserved_by_id": before}
            )
        )

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        request = checking.complete(record.pk, by=user, **form.cleaned_data)
        lacks = ", ".join(request.missing)
        return f"Request {request.reference} is changed." + (f" It still lacks {lacks}." if lacks else "")


class AddDocuments(RequestAct):
    """Add documents."""

    slug, label, permission, takes_files = "add-documents", "Add documents", RECEIVES, True

    def consequences(self, record: Any) -> list[str]:
        return [
            "A document is checked by its content and by the virus scanner. It is never shown here, only downloaded.",
            "One that is damaged, encrypted, active or infected is kept in quarantine.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(legal_forms.DocumentsForm(data, self.request.FILES if data is not None else None))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        said = []
        for file in given["documents"]:
            added = documenting.add(record.pk, by=user, file=file, is_for_customer=given["is_for_customer"])
            also = f", the same as with {', '.join(added.also_with)}" if added.also_with else ""
            said.append(f"{added.document.sha256[:12]} ({added.document.get_state_display()}{also})")
        return f"Kept: {'; '.join(said)}."


class SeekMore(Unverified):
    """Add whom a request seeks."""

    slug, label, permission = "seek-more", "Add a person sought", RECEIVES
    form_class = legal_forms.PersonsForm

    def consequences(self, record: Any) -> list[str]:
        return ["Everything of whom is found is held at once. The customer is not told."]

    def perform(self, record: Any, form: Any, user: User) -> str:
        found = [receiving.seek_more(record.pk, by=user, person=person).found for person in form.persons()]
        return f"{len(found)} added, {found.count(Sought.Found.ONE)} found and held."


class Decide(RequestAct):
    """Decide whose account it is."""

    slug, label, permission = "decide-person", "Decide whom it seeks", RECEIVES

    def hindrance(self, record: Any, user: User) -> str:
        waits = Sought.objects.filter(request=record, found__in=WAITING).exists()
        return super().hindrance(record, user) or ("" if waits else "Nobody waits for a decision.")

    def consequences(self, record: Any) -> list[str]:
        return ["The account is held at once. What was decided stays; another person can be added."]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [legal_sections.persons(eyes, record)]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form = legal_forms.DecideForm(data)
        waiting = Sought.objects.filter(request=record, found__in=WAITING).order_by("pk")
        field: Any = form.fields["sought"]
        field.choices = [
            (str(row.pk), f"{row.get_kind_display()} {row.value}: {row.get_found_display()}") for row in waiting
        ]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        row = receiving.decide_sought(given["sought"], by=user, number=given["number"])
        return f"Decided: {row.get_found_display()}."


class RecordCheck(Unverified):
    """Record one check."""

    slug, label, permission = "record-check", "Record a check", VERIFIES
    form_class = legal_forms.CheckForm

    def consequences(self, record: Any) -> list[str]:
        return [
            "It stands in the checklist with your name. Another opinion is another entry; the newest counts.",
            "Ask the authority at the address on file, never at one in the letter.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [legal_sections.checklist(eyes, record), legal_sections.on_file(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = dict(form.cleaned_data)
        row = checking.check(record.pk, by=user, **(given | {"is_met": given["is_met"] == "yes"}))
        return f"Recorded: {row.get_item_display()}: {'yes' if row.is_met else 'no'}."


class Verify(Unverified):
    """Verify a request."""

    slug, label, permission = "verify", "Verify the request", VERIFIES

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or " ".join(checking.hindrances(record, timezone.now()))

    def consequences(self, record: Any) -> list[str]:
        return [
            "A lasting hold stands beside the provisional one. Its release takes two people.",
            "The customer is owed a notice, and gets it unless an order of silence is recorded before.",
            "Afterwards the request can only be narrowed.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [legal_sections.checklist(eyes, record), legal_sections.silence(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        return f"Request {checking.verify(record.pk, by=user).reference} is verified."


class Narrow(RequestAct):
    """Make a request smaller."""

    slug, label, permission = "narrow", "Narrow the request", VERIFIES

    def consequences(self, record: Any) -> list[str]:
        return ["It never becomes wider again. What is held stays held."]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        names = ("categories", "period_from", "period_to")
        form = legal_forms.NarrowForm(data, initial={name: getattr(record, name) for name in names})
        field: Any = form.fields["categories"]
        field.choices = [choice for choice in field.choices if choice[0] in record.categories]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        period = (given["period_from"], given["period_to"])
        checking.narrow(record.pk, by=user, categories=given["categories"], period=period, reason=given["reason"])
        return f"Request {record.reference} is narrower now."


class AgreeTime(RequestAct):
    """Record more time."""

    slug, label, permission = "agree-time", "Record an agreed date", ANSWERS
    form_class = legal_forms.TimeForm

    def consequences(self, record: Any) -> list[str]:
        return ["The clock runs to this date. Record it only when the authority agreed in writing."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        request = answering.agree_time(record.pk, by=user, due_at=form.cleaned_data["due_at"])
        return f"Request {request.reference} has its agreed date."


class ObjectTo(RequestAct):
    """Record an objection."""

    slug, label, permission = "object", "Record an objection", ANSWERS
    form_class = legal_forms.ReasonForm

    def hindrance(self, record: Any, user: User) -> str:
        return super().hindrance(record, user) or ("It was objected to already." if record.objected_at else "")

    def consequences(self, record: Any) -> list[str]:
        clock = answering.objection_clock(record)
        until = [format_html("An objection is in time until {}: {}.", moment(clock.until), clock.why)] if clock else []
        return [*until, "Nothing leaves for this request until the objection has ended."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        answering.object_to(record.pk, by=user, reason=form.cleaned_data["reason"])
        return f"The objection to {record.reference} is recorded."


class EndObjection(RequestAct):
    """Record how an objection ended."""

    slug, label, permission = "end-objection", "End the objection", ANSWERS
    form_class = legal_forms.ReasonForm

    def hindrance(self, record: Any, user: User) -> str:
        stands = record.objected_at and not record.objection_ended_at
        return super().hindrance(record, user) or ("" if stands else "No objection stands.")

    def consequences(self, record: Any) -> list[str]:
        return ["What waited for it can go on: it was agreed on, overruled or given up."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        answering.end_objection(record.pk, by=user, reason=form.cleaned_data["reason"])
        return f"The objection to {record.reference} has ended."


class DraftLetter(RequestAct):
    """Make a letter from its template."""

    slug, label, permission = "draft-letter", "Draft a letter", ANSWERS
    form_class = legal_forms.LetterForm

    def consequences(self, record: Any) -> list[str]:
        return ["It is a draft to edit. Nothing is sent."]

    def perform(self, record: Any, form: forms.Form, user: User) -> HttpResponse:
        letter = answering.draft(record.pk, by=user, kind=form.cleaned_data["kind"])
        return HttpResponseRedirect(reverse("admin:disclosures_legalletter_edit", args=[letter.pk]))


class AskRenewal(RequestAct):
    """Ask for one more time of a preservation."""

    slug, label, permission = "ask-renewal", "Ask for a renewal", VERIFIES
    form_class = legal_forms.ReasonForm

    def hindrance(self, record: Any, user: User) -> str:
        waits = preserving.renewal_asked(record.pk)
        return preserving.why_no_renewal(record) or ("A renewal waits for approval." if waits else "")

    def consequences(self, record: Any) -> list[str]:
        return ["A colleague must approve it. You cannot approve it yourself."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        preserving.ask_renewal(record.pk, by=user, reason=form.cleaned_data["reason"])
        return f"The renewal of {record.reference} waits for a colleague's approval."


class ApproveRenewal(RequestAct):
    """Approve the renewal a colleague asked for."""

    slug, label, permission = "approve-renewal", "Approve the renewal", VERIFIES

    def hindrance(self, record: Any, user: User) -> str:
        asked = preserving.renewal_asked(record.pk)
        if asked is None:
            return "Nobody has asked for a renewal yet."
        return "You asked for this renewal, so a colleague must approve it." if asked.actor == user.actor else ""

    def consequences(self, record: Any) -> list[str]:
        return [f"What it preserves is held for {schedule.number('preservation')} days more."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        preserving.approve_renewal(record.pk, by=user)
        return f"What {record.reference} preserves is held for one more time."


class AddNote(Act):
    """Write a note."""

    slug, label, permission = "add-note", "Add a note", RECEIVES
    form_class = legal_forms.NoteForm

    def consequences(self, record: Any) -> list[str]:
        return ["Colleagues who work on legal requests read it. It stays."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        receiving.note(record.pk, by=user, text=form.cleaned_data["text"])
        return f"Your note stands with {record.reference}."


class Close(RequestAct):
    """End a request."""

    slug, label, permission = "close", "Close the request", ANSWERS
    form_class = legal_forms.CloseForm

    def consequences(self, record: Any) -> list[str]:
        return [
            "A closed request stays closed. Nothing more is disclosed for it.",
            "Its holds stay: ask for their release where nothing else needs them.",
            "A customer who is owed a notice is still told when silence ends.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        request = answering.close(record.pk, by=user, **form.cleaned_data)
        return f"Request {request.reference} is closed: {request.get_outcome_display()}."


# ---------------------------------------------------------------------------------------------------------- letters


class LetterAct(Act):
    """What the acts on a draft have in common."""

    permission = ANSWERS

    def hindrance(self, record: Any, user: User) -> str:
        return "This letter was sent; it stays." if record.sent_at else (ENDED if record.request.closed_at else "")


class Edit(LetterAct):
    """Change the words of a draft."""

    slug, label = "edit", "Save the letter"

    def consequences(self, record: Any) -> list[str]:
        return ["Nothing is sent yet. Replace what stands in brackets."]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(legal_forms.EditForm(data, initial={"subject": record.subject, "body": record.body}))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        answering.edit(record.pk, by=user, **form.cleaned_data)
        return "The letter is saved. Send it when it is ready."


class Send(LetterAct):
    """Send a letter."""

    slug, label = "send", "Send the letter"
    form_class = legal_forms.SendForm

    def consequences(self, record: Any) -> list[str]:
        return ["A letter that was sent stays as it is.", "By e-mail it goes to the address on file and nowhere else."]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [legal_sections.letter(eyes, record), legal_sections.on_file(eyes, record.request)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        answering.send(record.pk, by=user, how=form.cleaned_data["how"])
        return "The letter is sent."
