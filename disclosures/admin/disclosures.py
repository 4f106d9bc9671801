"""Disclosures in the admin: prepared by one person, reviewed by another who sees exactly the packet, released once.

Those on legal grounds show to whoever may know of sealed matters; others see what customers were told of.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from accounts import proofs
from accounts.admin.links import account_link
from accounts.admin_base import Act, Eyes, Identifiers, RecordAdmin, Section, asking, staff
from accounts.datamap import Category
from accounts.downloading import download
from accounts.errors import NotActionable
from accounts.keys.keyring import keyring
from accounts.models import Account, User
from accounts.page_forms import SentOnce
from accounts.roles import may, sees_sealed
from accounts.safeguards import ledger
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import moment
from disclosures import (
    approving,
    compelling,
    countering,
    delivering,
    incidents,
    judging,
    packing,
    preparing,
    releasing,
)
from disclosures.models import (
    AbuseCase,
    AggregateTable,
    Basis,
    Compulsion,
    ConsentGrant,
    Delivery,
    Disclosure,
    Incident,
    LegalRequest,
    Packet,
    Recipient,
    Stage,
    ToldDisclosure,
)
from disclosures.models.disclosures import DISCLOSABLE
from disclosures.preparing import Choice, Ground
from retention.admin.fields import MomentField

OPEN_PACKET = "disclosures.open_packet"
RECENT = 50
SHOWN_ROWS = 20


class ChoiceForm(forms.Form):
    """What is to leave."""

    categories = forms.MultipleChoiceField(
        label="Kinds of data",
        required=False,
        choices=[(name, Category(name).label) for name in DISCLOSABLE],
        widget=forms.CheckboxSelectMultiple,
        help_text="Never more than the ground reaches. For figures tick nothing.",
    )
    period_from = MomentField(label="From")
    period_to = MomentField(label="Until")
    omitted = Identifiers(
        label="Fields to leave out",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One in a line, as the packet names them: accounts.contact.phone",
    )
    items = Identifiers(
        label="Confidential items",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The id of each item that a court orders, one in a line.",
    )

    def clean_items(self) -> list[UUID]:
        """Return the ids; raise ValidationError for a line that is none."""
        try:
            return [UUID(line) for line in self.cleaned_data["items"].split()]
        except ValueError:
            raise forms.ValidationError("Write the id of one item in each line.") from None

    @property
    def choice(self) -> Choice:
        """Return what was chosen."""
        given = self.cleaned_data
        return Choice(
            tuple(given["categories"]),
            (given["period_from"], given["period_to"]),
            tuple(given["omitted"].split()),
            tuple(given["items"]),
        )


class PrepareForm(SentOnce, ChoiceForm):
    """A new disclosure: on one ground, about one account or none."""

    ground = Identifiers(
        label="Ground",
        max_length=60,
        help_text="The reference of a legal request (LEG-…), a consent (CON-…) or an abuse case (ABU-…), or the name "
        "of a table of figures.",
    )
    account = Identifiers(label="Account number", max_length=20, required=False, help_text="None for figures.")
    recipient = Identifiers(
        label="Recipient", max_length=20, required=False, help_text="For figures only: its reference (REC-…)."
    )
    purpose = forms.CharField(label="Why", max_length=1000, widget=forms.Textarea(attrs={"rows": 3}))
    field_order = ("ground", "account", "recipient", "purpose")


class Prepare(Act):
    """Prepare a disclosure."""

    slug, label, permission = "prepare", "Prepare a disclosure", preparing.PREPARE
    form_class = PrepareForm
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return [
            "A draft. Nothing leaves before another person approved exactly its packet.",
            "One recipient, one ground, one account. Nothing is sold.",
        ]

    def perform(self, record: Any, form: Any, user: User) -> HttpResponse:
        given = form.cleaned_data
        account = Account.objects.filter(number=given["account"].strip()).first() if given["account"].strip() else None
        if given["account"].strip() and account is None:
            raise NotActionable("There is no account with this number.")
        ground, recipient = _ground(given["ground"].strip(), given["recipient"].strip(), user)
        made = preparing.make(
            account.pk if account else None,
            ground,
            form.choice,
            recipient=recipient,
            purpose=given["purpose"],
            by=user,
            submission=given["submission"],
        )
        return HttpResponseRedirect(self.room.url_of(made))


def _ground(text: str, recipient: str, user: User) -> tuple[Ground, UUID]:
    """Return the ground behind a reference and its recipient; raise NotActionable for one that is none."""
    if text.upper().startswith("LEG-") and sees_sealed(user):
        request = LegalRequest.objects.filter(reference=text.upper()).first()
        if request is not None and request.recipient_id is not None:
            basis = Basis.EMERGENCY if request.instrument == "emergency" else Basis.LEGAL_REQUEST
            return Ground(basis, legal_request=request.pk), request.recipient_id
    if text.upper().startswith("CON-"):
        grant = ConsentGrant.objects.filter(reference=text.upper()).only("pk", "recipient").first()
        if grant is not None and grant.recipient_id is not None:
            return Ground(Basis.CONSENT, consent=grant.pk), grant.recipient_id
    if text.upper().startswith("ABU-"):
        case = AbuseCase.objects.filter(reference=text.upper()).first()
        if case is not None and case.complainant_id is not None and judging.sees(user, case):
            return Ground(countering.basis_of(case.pk), case=case.pk), case.complainant_id
    query, _dash, period = text.rpartition("-2")
    table = AggregateTable.objects.filter(query=query, period=f"2{period}").first()
    to = Recipient.objects.filter(reference=recipient.upper()).first()
    if table is not None and to is not None:
        return Ground(Basis.AGGREGATE, aggregate=table.pk), to.pk
    raise NotActionable(
        "There is no such ground with a registered recipient. Name a request, a consent, a case with its complainant, "
        "or a table and its recipient."
    )


class OwnAct(Act):
    """What only the person who prepared a disclosure does."""

    states: tuple[str, ...] = preparing.EDITABLE

    def hindrance(self, record: Any, user: User) -> str:
        if record.made_by != user.pk:
            return "Only who prepared it does this."
        return "" if record.state in self.states else f"It is {record.get_state_display()}."


class Edit(OwnAct):
    """Change what is to leave."""

    slug, label, permission = "edit", "Change what is to leave", preparing.PREPARE

    def form(self, record: Any, data: Any = None) -> forms.Form:
        initial = {
            "categories": record.categories,
            "period_from": record.period_from,
            "period_to": record.period_to,
            "omitted": "\n".join(record.omitted),
            "items": "\n".join(map(str, record.items)),
        }
        form = ChoiceForm(data, initial=initial)
        form.fields["version"] = forms.IntegerField(widget=forms.HiddenInput, initial=record.version)
        return asking(form)

    def perform(self, record: Any, form: Any, user: User) -> str:
        preparing.edit(record.pk, form.choice, version=form.cleaned_data["version"], by=user)
        return f"Disclosure {record.reference} is changed."


class Submit(OwnAct):
    """Build the packet and hand it to somebody else."""

    slug, label, permission = "submit", "Submit for approval", preparing.PREPARE

    def consequences(self, record: Any) -> list[str]:
        return [
            "The packet is built: what the ground reaches of what you chose, and nothing else.",
            "Another person looks at exactly these bytes. Whatever changes afterwards needs a new packet.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        preparing.submit(record.pk, by=user)
        return f"Disclosure {record.reference} waits for another person."


class ReasonForm(forms.Form):
    """Why."""

    reason = forms.CharField(label="Reason", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}))


class Withdraw(OwnAct):
    """Give it up."""

    slug, label, permission = "withdraw", "Withdraw this disclosure", preparing.PREPARE
    form_class = ReasonForm
    states = (*preparing.EDITABLE, Stage.SUBMITTED, Stage.APPROVED)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        preparing.withdraw(record.pk, by=user, reason=form.cleaned_data["reason"])
        return f"Disclosure {record.reference} is withdrawn."


class Review(Act):
    """What another person than the one who prepared it does."""

    states: tuple[str, ...] = (Stage.SUBMITTED, Stage.APPROVED)

    def hindrance(self, record: Any, user: User) -> str:
        if record.made_by == user.pk:
            return "Another person reviews what you prepared."
        return "" if record.state in self.states else f"It is {record.get_state_display()}."

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [about(eyes, record), *packet_sections(record), *row_sections(record, eyes.user)]


class ApproveForm(forms.Form):
    """The reference typed by hand, and what was looked at."""

    reference = Identifiers(label="Type the reference of this disclosure", max_length=20)
    note = forms.CharField(label="What you checked", max_length=500, widget=forms.Textarea(attrs={"rows": 3}))
    packet_hash = forms.CharField(widget=forms.HiddenInput)


class Approve(Review):
    """Approve exactly this packet."""

    slug, label, permission = "approve", "Approve this packet", approving.APPROVE
    states = (Stage.SUBMITTED,)

    def consequences(self, record: Any) -> list[str]:
        return [
            "It can be released for a day, as long as its ground and the account stay as they are.",
            "You are the second person. Look at every part before.",
        ]

    def get(self, request: HttpRequest, object_id: UUID | None = None) -> HttpResponse:
        if not _factor_is_fresh(request):
            return HttpResponseRedirect(f"{reverse('mfa_reauthenticate')}?next={request.path}")
        return super().get(request, object_id)

    def form(self, record: Any, data: Any = None) -> forms.Form:
        return asking(ApproveForm(data, initial={"packet_hash": record.packet_hash}))

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        factor_at = _factor_at(self.request) or dt.datetime.min.replace(tzinfo=dt.UTC)
        approving.approve(record.pk, by=user, factor_at=factor_at, **form.cleaned_data)
        return f"Disclosure {record.reference} is approved for a day."


class SendBack(Review):
    """Send it back to be changed."""

    slug, label, permission = "send-back", "Return it to be changed", approving.APPROVE
    form_class = ReasonForm

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        approving.send_back(record.pk, by=user, reason=form.cleaned_data["reason"])
        return f"Disclosure {record.reference} is returned."


class Refuse(Review):
    """Refuse it for good."""

    slug, label, permission = "refuse", "Refuse this disclosure", approving.APPROVE
    form_class = ReasonForm

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        approving.refuse(record.pk, by=user, reason=form.cleaned_data["reason"])
        return f"Disclosure {record.reference} is refused."


class Release(Act):
    """Release what was approved."""

    slug, label, permission = "release", "Release this disclosure", releasing.RELEASE

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.state == Stage.APPROVED else f"It is {record.get_state_display()}."

    def consequences(self, record: Any) -> list[str]:
        return [
            "Everything it stands on is asked for once more. What ended sends it back.",
            "It cannot be called back. Nothing of it changes afterwards.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [about(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        releasing.release(record.pk, by=user)
        return f"Disclosure {record.reference} is released."


class Released(Act):
    """What is done with a released disclosure."""

    def hindrance(self, record: Any, user: User) -> str:
        if record.state != Stage.RELEASED:
            return f"It is {record.get_state_display()}."
        return "It was sent already." if Delivery.objects.filter(disclosure=record).exists() else ""


class SendForm(forms.Form):
    """How the file is protected."""

    method = forms.ChoiceField(
        label="How it is encrypted",
        choices=[
            (Delivery.Method.AGE, "for the recipient's own key"),
            (Delivery.Method.PASSPHRASE, "with a passphrase"),
        ],
        widget=forms.RadioSelect,
    )


class SendFile(Released):
    """Send a link that works once."""

    slug, label, permission = "send", "Send the file to the recipient", releasing.RELEASE
    form_class = SendForm

    def consequences(self, record: Any) -> list[str]:
        return [
            "A link goes to the address on file. It gives the encrypted file once.",
            "A passphrase is shown once, here.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str | Section:
        sent = delivering.send(record.pk, by=user, method=form.cleaned_data["method"])
        if sent.passphrase:
            facts = [
                ("Passphrase", sent.passphrase),
                ("What to do", "Give it to the recipient another way than by mail."),
                ("Disclosure", format_html('<a href="{}">{}</a>', self.room.url_of(record), record.reference)),
            ]
            return Section("Shown once: it is kept nowhere", facts=facts)
        return f"The link to {record.reference} is on its way."


class HandForm(forms.Form):
    """To whom."""

    to = forms.CharField(label="Handed to", max_length=200)


class HandOver(Released):
    """Record that it was handed over."""

    slug, label, permission = "hand-over", "Record that it was handed over", releasing.RELEASE
    form_class = HandForm

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        delivering.hand_over(record.pk, by=user, to=form.cleaned_data["to"])
        return f"Disclosure {record.reference} is delivered."


class IncidentForm(forms.Form):
    """What went wrong."""

    what = forms.CharField(label="What happened", max_length=5000, widget=forms.Textarea(attrs={"rows": 5}))


class RecordIncident(Act):
    """Record that a release was a mistake."""

    slug, label, permission = "record-incident", "Record a mistaken release", incidents.RECORD
    form_class = IncidentForm

    def hindrance(self, record: Any, user: User) -> str:
        was_released = record.state in {Stage.RELEASED, Stage.DELIVERED}
        return "" if was_released else "It was not released: withdraw it instead."

    def consequences(self, record: Any) -> list[str]:
        said = ["It cannot be called back. A clock runs until the customer and the recipient are told."]
        if record.state == Stage.RELEASED:
            said.append("A link that nobody used gives no file from then on.")
        return said

    def perform(self, record: Any, form: forms.Form, user: User) -> HttpResponse:
        made = incidents.record(record.pk, what=form.cleaned_data["what"], by=user)
        room: Any = admin.site.get_model_admin(Incident)
        return HttpResponseRedirect(room.url_of(made))


def _factor_at(request: HttpRequest) -> dt.datetime | None:
    """Return when the session's newest second factor was used."""
    used = [float(one.get("at", 0)) for one in proofs.records(request) if one.get("method") == proofs.SECOND_FACTOR]
    return dt.datetime.fromtimestamp(max(used), dt.UTC) if used else None


def _factor_is_fresh(request: HttpRequest) -> bool:
    used = _factor_at(request)
    return used is not None and timezone.now() - used < approving.FACTOR


def about(eyes: Eyes, record: Disclosure) -> Section:
    """Return what a disclosure is."""
    facts = [
        ("Reference", record.reference),
        ("State", record.get_state_display()),
        ("Account", account_link(record) if record.account_id else "none: figures without identities"),
        ("Recipient", f"{record.recipient.name} ({record.recipient.get_kind_display()})"),
        ("Ground", record.get_basis_display()),
        ("Kinds of data", ", ".join(str(Category(name).label) for name in record.categories) or "figures"),
        ("From", moment(record.period_from) or "the beginning"),
        ("Until", moment(record.period_to) or "when it is made"),
        ("Left out", ", ".join(record.omitted) or "nothing"),
        ("Consideration", record.consideration),
        *eyes.facts(record),
        ("Prepared by", eyes.who(record.made_by)),
        ("Prepared", moment(record.made_at)),
        ("Submitted", moment(record.submitted_at) or "not yet"),
        ("Released", moment(record.released_at) or "no"),
        ("Released by", eyes.who(record.released_by) if record.released_by else "nobody"),
        ("Delivered", moment(record.delivered_at) or "no"),
    ]
    return Section("Disclosure", facts=facts)


def packet_sections(record: Disclosure) -> list[Section]:
    """Return the newest packet field by field, its files, and what changed since the one before."""
    packets = list(record.packets.order_by("-number")[:2])
    if not packets:
        return [Section("Packet", empty="None is built yet.")]
    packet = packets[0]
    fields = [(each["field"], each["why"], each["rows"]) for each in packet.manifest["fields"]]
    files = [(_link(record, packet, each["name"]), each["size"], each["sha256"]) for each in packet.manifest["parts"]]
    files.append((_link(record, packet, packing.MANIFEST), len(packing.manifest_of(packet)), packet.sha256))
    facts = [
        ("Number", packet.number),
        ("SHA-256", packet.sha256),
        ("Law", packet.manifest["law"]),
        ("Rows", packet.rows),
    ]
    sections = [
        Section("Packet", facts=facts),
        Section("What is in it, and why", head=("Field", "Why", "Rows"), rows=fields, empty="Figures."),
        Section("Its files", head=("File", "Bytes", "SHA-256"), rows=files),
    ]
    if len(packets) == 2:
        said = [(line,) for line in packing.compare(packets[1], packet)]
        sections.append(Section("Changed since the packet before", head=("What",), rows=said, empty="Nothing."))
    return sections


def row_sections(record: Disclosure, user: User) -> list[Section]:
    """Return the first rows of the newest packet, as they would leave; looking at them is recorded."""
    packet = record.packets.filter(destroyed_at=None).order_by("-number").first()
    if packet is None or not may(user, OPEN_PACKET):
        return []
    with keyring():
        content = json.loads(packing.contents(packet)[packing.RECORDS])
    ledger.record(user.actor, "packet.opened", record.pk, packet=packet.sha256, part=packing.RECORDS)
    tables = content.get("records") or {"figures": content["figures"]}
    return [_rows(name, rows) for name, rows in tables.items()]


def _rows(name: str, rows: list[dict[str, Any]]) -> Section:
    head = list(dict.fromkeys(key for row in rows for key in row))
    shown = [[row.get(key, "") for key in head] for row in rows[:SHOWN_ROWS]]
    more = "" if len(rows) <= SHOWN_ROWS else f", the first {SHOWN_ROWS}; all are in the files"
    return Section(f"Rows that leave: {name} ({len(rows)}{more})", head=head, rows=shown)


def _link(record: Disclosure, packet: Packet, name: str) -> Any:
    if packet.destroyed_at is not None:
        return f"{name} (destroyed)"
    where = reverse("admin:disclosures_disclosure_part", args=[record.pk, packet.number, name])
    return format_html('<a href="{}">{}</a>', where, name)


@admin.register(Disclosure)
class DisclosureAdmin(RecordAdmin):
    """What leaves the company."""

    acts = (
        Prepare,
        Edit,
        Submit,
        Withdraw,
        Approve,
        SendBack,
        Refuse,
        Release,
        SendFile,
        HandOver,
        RecordIncident,
    )
    list_display = ("reference", "state", "basis", "recipient_name", "made_at", "made_by", "released_at")
    list_filter = ("state", "basis")
    list_select_related = ("recipient",)
    ordering = ("-made_at", "pk")
    # A view of it is no look at the customer's account that their own page could show before they may know.
    subject_field = "pk"

    def name_of(self, record: Any) -> str:
        return f"disclosure {record.reference}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Disclosure]:
        rows: QuerySet[Disclosure] = super().get_queryset(request).select_related("recipient", "account")
        if sees_sealed(staff(request)):
            return rows
        told = ToldDisclosure.objects.values("pk")
        return rows.filter(Q(pk__in=told) | Q(basis=Basis.AGGREGATE, state__in=[Stage.RELEASED, Stage.DELIVERED]))

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {"made_by": lambda one: eyes.who(one.made_by)}

    @admin.display(description="recipient")
    def recipient_name(self, one: Disclosure) -> str:
        return one.recipient.name

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        if not sees_sealed(eyes.user):
            return [about(eyes, record)]
        approvals = [
            (
                eyes.who(one.approved_by),
                moment(one.approved_at),
                moment(one.ends_at),
                moment(one.voided_at) or "stands",
                one.packet_hash[:12],
            )
            for one in record.approvals.order_by("-approved_at")
        ]
        entries = LedgerEntry.objects.filter(subject=record.pk).order_by("-at", "-pk")[:RECENT]
        timeline = [(moment(entry.at), entry.action, eyes.who(entry.actor)) for entry in entries]
        head = ("By", "Given", "Until", "Voided", "Packet")
        return [
            about(eyes, record),
            *packet_sections(record),
            Section("Approvals", head=head, rows=approvals),
            Section("Timeline", head=("When", "What", "Who"), rows=timeline),
        ]

    def get_urls(self) -> list[URLPattern]:
        """Return the parts of packets besides the pages."""
        view = self.admin_site.admin_view(self.part_view)
        where = "<uuid:object_id>/packet/<int:number>/<str:part>/"
        return [path(where, view, name=self.url_name("part")), *super().get_urls()]

    def part_view(self, request: HttpRequest, object_id: UUID, number: int, part: str) -> HttpResponse:
        """Give a part of a packet out as a download, to who may open packets; recorded before."""
        user = staff(request)
        if not may(user, OPEN_PACKET) or not sees_sealed(user):
            raise PermissionDenied
        record = self.one(request, object_id)
        packet = record.packets.filter(number=number, destroyed_at=None).first()
        kept = packet.parts.exclude(name=delivering.PART).filter(name=part).first() if packet else None
        content = packing.manifest_of(packet) if packet and part == packing.MANIFEST else kept and kept.content
        if content is None:
            raise Http404
        ledger.record(user.actor, "packet.opened", record.pk, packet=packet.sha256, part=part)
        return download(request, part, "application/octet-stream", bytes(content))


class StepForm(forms.Form):
    """Which step was taken."""

    step = forms.ChoiceField(
        label="Step",
        choices=[(name, words) for name, (_column, words) in incidents.STEPS.items()],
        widget=forms.RadioSelect,
    )


class NoteStep(Act):
    """Record a step of an incident."""

    slug, label, permission = "note-step", "Record a step", incidents.RECORD
    form_class = StepForm

    def hindrance(self, record: Any, user: User) -> str:
        return "This incident is closed." if record.closed_at else ""

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        incidents.note(record.pk, form.cleaned_data["step"], by=user)
        return "The step is recorded."


class CloseForm(forms.Form):
    """How it ended."""

    closing_note = forms.CharField(
        label="How it ended", max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )


class CloseIncident(Act):
    """Close an incident."""

    slug, label, permission = "close", "Close this incident", incidents.RECORD
    form_class = CloseForm

    def hindrance(self, record: Any, user: User) -> str:
        return "This incident is closed." if record.closed_at else ""

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        incidents.close(record.pk, by=user, **form.cleaned_data)
        return f"Incident {record.reference} is closed."


@admin.register(Incident)
class IncidentAdmin(RecordAdmin):
    """Mistaken releases, each with its clock."""

    acts = (NoteStep, CloseIncident)
    list_display = ("reference", "found_at", "act_by", "closed_at")
    ordering = ("act_by", "pk")
    subject_field = "disclosure_id"

    def name_of(self, record: Any) -> str:
        return f"incident {record.reference}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        rows: QuerySet[Incident] = super().get_queryset(request).select_related("disclosure")
        return rows if sees_sealed(staff(request)) else rows.none()

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        room: Any = admin.site.get_model_admin(Disclosure)
        link = format_html('<a href="{}">{}</a>', room.url_of(record.disclosure), record.disclosure.reference)
        facts = [
            ("Reference", record.reference),
            ("Disclosure", link),
            *eyes.facts(record),
            ("Found", moment(record.found_at)),
            ("Found by", eyes.who(record.found_by)),
            ("Act by", moment(record.act_by)),
            ("Recipient asked to destroy it", moment(record.recall_asked_at) or "no"),
            ("Customer told", moment(record.customer_told_at) or "no"),
            ("Authority told", moment(record.authority_told_at) or "no"),
            ("Closed", moment(record.closed_at) or "no"),
        ]
        return [Section("Incident", facts=facts)]


class CompelForm(forms.Form):
    """What a court orders, and why it cannot be refused."""

    account = Identifiers(label="Account number", max_length=20)
    category = forms.ChoiceField(
        label="What", choices=[("business", "business information"), ("confidential", "confidential items")],
        widget=forms.RadioSelect,
    )  # fmt: skip
    items = ChoiceForm.base_fields["items"]
    reason = forms.CharField(
        label="Why it cannot be refused", max_length=2000, widget=forms.Textarea(attrs={"rows": 4})
    )
    clean_items = ChoiceForm.clean_items


class Compel(Act):
    """Record that a court compels business or confidential information; an act of a legal request's page."""

    slug, label, permission = "compel", "Record what a court compels", compelling.RECORD
    form_class = CompelForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.instrument not in compelling.COURTS:
            return "Only an order or a warrant of a court compels this."
        return "" if record.verified_at and not record.closed_at else "The request is not verified, or it has ended."

    def consequences(self, record: Any) -> list[str]:
        return ["The privacy officer confirms it. Only then can a disclosure hold it.", "What is not named stays here."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        account = Account.objects.filter(number=given["account"].strip()).first()
        if account is None:
            raise NotActionable("There is no account with this number.")
        compelling.record(
            record.pk, account.pk, given["category"], reason=given["reason"], items=given["items"], by=user
        )
        return "It is recorded, and waits for the privacy officer."


class Confirm(Act):
    """Confirm as privacy officer that it cannot be refused."""

    slug, label, permission = "confirm", "Confirm that it cannot be refused", compelling.CONFIRM

    def hindrance(self, record: Any, user: User) -> str:
        return "It is confirmed already." if record.confirmed_at else ""

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        compelling.confirm(record.pk, by=user)
        return "It is confirmed."


@admin.register(Compulsion)
class CompulsionAdmin(RecordAdmin):
    """What courts compel, each recorded and confirmed."""

    acts = (Confirm,)
    list_display = ("id", "category", "recorded_at", "confirmed_at")
    list_filter = ("category",)
    ordering = ("-recorded_at", "pk")
    subject_field = "legal_request_id"

    def name_of(self, record: Any) -> str:
        return f"compulsion of {record.legal_request.reference}"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        user = staff(request)
        return may(user, "disclosures.view_legalrequest") and sees_sealed(user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Compulsion]:
        rows: QuerySet[Compulsion] = super().get_queryset(request).select_related("legal_request", "account")
        return rows if sees_sealed(staff(request)) else rows.none()

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Request", record.legal_request.reference),
            ("Account", account_link(record)),
            ("What", record.get_category_display()),
            ("Items", ", ".join(map(str, record.items)) or "all of it"),
            *eyes.facts(record),
            ("Recorded by", eyes.who(record.recorded_by)),
            ("Recorded", moment(record.recorded_at)),
            ("Confirmed by", eyes.who(record.confirmed_by) if record.confirmed_by else "nobody yet"),
            ("Confirmed", moment(record.confirmed_at) or "no"),
        ]
        return [Section("Compulsion", facts=facts)]
