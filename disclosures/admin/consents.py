"""Consents in the admin: what stands and ended, and what staff were told, written down with the evidence (P20)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from accounts.admin.links import account_link
from accounts.admin_base import Act, Eyes, RecordAdmin, Section, asking, staff
from accounts.datamap import Category
from accounts.models import Account, User
from accounts.page_forms import SentOnce
from accounts.roles import sees_sealed
from accounts.templatetags.portal_tags import moment
from accounts.uploading import UploadsField
from disclosures import consenting
from disclosures.consenting import Agreement, Evidence
from disclosures.models import Channel, ConsentGrant, ConsentPurpose, Recipient
from disclosures.models.consents import SHAREABLE

ENDED = "The account is closed: it agrees to nothing any more."
NEWS = "news"


class RecordForm(SentOnce):
    """What the customer agreed to, and how they told us."""

    recipient = forms.ChoiceField(label="Who may get something", widget=forms.RadioSelect)
    categories = forms.MultipleChoiceField(
        label="Kinds of data",
        required=False,
        choices=[(name, Category(name).label) for name in SHAREABLE],
        widget=forms.CheckboxSelectMultiple,
        help_text="For news and offers of our own tick nothing: they go to the contact.",
    )
    words = forms.CharField(
        label="How they told us",
        max_length=2000,
        min_length=10,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="When, to whom, and in which words. The customer reads it.",
    )
    attached = UploadsField(label="The letter, if there is one", required=False, most=1)

    def clean(self) -> dict[str, Any]:
        """Ask for a kind of data where something is shared."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and given["recipient"] != NEWS and not given["categories"]:
            self.add_error("categories", "Tick at least one kind of data.")
        return given


class RecordConsent(Act):
    """Write down a consent that a customer gave to staff; an act of the customer card."""

    slug, label, permission = "record-consent", "Record a consent", consenting.RECORD
    takes_files = True

    def hindrance(self, record: Any, user: User) -> str:
        return "" if record.state == "active" else ENDED

    def consequences(self, record: Any) -> list[str]:
        return [
            "The owners get a receipt, read your words, and can take the consent back at once.",
            "An earlier consent for the same recipient ends.",
        ]

    def form(self, record: Any, data: Any = None) -> forms.Form:
        form = RecordForm(data, self.request.FILES if data is not None else None)
        # Which authorities are on file is for those who work with them.
        now = timezone.now()
        seen = Recipient.objects.open(now) if sees_sealed(staff(self.request)) else consenting.open_recipients(now)
        open_ones = seen.order_by("name", "pk")
        form.fields["recipient"].choices = [  # type: ignore[attr-defined]
            *((str(one.pk), f"{one.name} ({one.get_kind_display()})") for one in open_ones),
            (NEWS, "News and offers of our own"),
        ]
        return asking(form)

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        given = form.cleaned_data
        agreement = Agreement(ConsentPurpose.MARKETING)
        if given["recipient"] != NEWS:
            agreement = Agreement(ConsentPurpose.SHARING, tuple(given["categories"]), given["recipient"])
        evidence = Evidence(given["words"], given["attached"][0] if given["attached"] else None)
        made = consenting.record_given(record.pk, agreement, evidence, by=user, submission=given["submission"])
        return f"Consent {made.reference} is recorded."


class WithdrawConsent(Act):
    """Write down that the customer takes a consent back."""

    slug, label, permission = "withdraw", "Record that it is taken back", consenting.RECORD

    def hindrance(self, record: Any, user: User) -> str:
        return "It has ended already." if record.withdrawn_at else ""

    def consequences(self, record: Any) -> list[str]:
        return ["Nothing is shared by it from now on. The owners get a receipt."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        consenting.withdraw(record.pk, by=user, channel=Channel.STAFF)
        return f"Consent {record.reference} is taken back."


@admin.register(ConsentGrant)
class ConsentAdmin(RecordAdmin):
    """What customers agreed to."""

    acts = (WithdrawConsent,)
    list_display = ("reference", "account", "purpose", "given_at", "expires_at", "withdrawn_at")
    list_filter = ("purpose",)
    list_select_related = ("account",)
    ordering = ("-given_at",)

    def name_of(self, record: Any) -> str:
        return f"consent {record.reference}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConsentGrant]:
        return super().get_queryset(request).select_related("recipient").defer("evidence_file")

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Reference", record.reference),
            ("Account", account_link(record)),
            ("For", record.get_purpose_display()),
            ("Recipient", record.recipient.name if record.recipient else "ourselves"),
            ("Kinds of data", ", ".join(str(Category(name).label) for name in record.categories)),
            ("Given", moment(record.given_at)),
            ("How", record.get_channel_display()),
            ("By", eyes.who(record.given_by)),
            ("Holds until", moment(record.expires_at)),
            ("Ended", moment(record.withdrawn_at) or "no"),
            ("Ended how", record.get_withdrawn_how_display() or "not ended"),
            ("Version of the words", record.text_version),
            *((label, value) for label, value in eyes.facts(record) if label != "Evidence"),
        ]
        return [Section("Consent", facts=facts)]


def consent_section(account: Account) -> Section:
    """Return what stands for an account, for the customer card."""
    live = ConsentGrant.objects.live(timezone.now()).filter(account=account).select_related("recipient")
    rows = [
        (
            format_html('<a href="{}">{}</a>', _url(grant), grant.reference),
            grant.recipient.name if grant.recipient else "news and offers of our own",
            ", ".join(str(Category(name).label) for name in grant.categories),
            moment(grant.expires_at),
        )
        for grant in live.order_by("-given_at", "-pk").defer("evidence_file")
    ]
    return Section("Consents", head=("Reference", "To", "Kinds of data", "Until"), rows=rows, empty="None stands.")


def _url(grant: ConsentGrant) -> str:
    room: Any = admin.site.get_model_admin(ConsentGrant)
    url: str = room.url_of(grant)
    return url
