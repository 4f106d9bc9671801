"""The admin's pages of accounts' own records: invoices, services, tickets, users, tokens, the outbox."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from accounts import forgiving, issuing, paying, supporting
from accounts.admin_base import Act, Eyes, RecordAdmin, Section
from accounts.datamap import Category
from accounts.keys.keyring import KeyDestroyed
from accounts.models import ApiToken, Invoice, Person, Service, SignInIdentifier, State, Ticket, User
from accounts.page_forms import SentOnce
from accounts.roles import Role, View, category_view
from accounts.safeguards.cards import refuse_card_number
from accounts.safeguards.models import OutboxMessage
from accounts.templatetags.portal_tags import moment, money


def amount(cents: int, currency: str) -> str:
    """Return an amount in cents as people write it."""
    return money(cents, currency)


class Void(Act):
    """Void an invoice."""

    slug, label, permission = "void", "Void this invoice", "accounts.void_invoice"

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Invoice.State.ISSUED:
            return ""
        return f"This invoice is {record.get_state_display()}; only an issued one can be voided."

    def consequences(self, record: Any) -> list[str]:
        total = amount(record.total_cents, record.currency)
        return [
            f"Invoice {record.number} over {total} is no longer owed.",
            "It no longer stops the deletion of the account.",
            "A void invoice stays void; issue a new one instead.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        invoice = forgiving.void(record.pk, by=user)
        return f"Invoice {invoice.number} is void."


class PaymentForm(SentOnce):
    """A payment that came another way than through the portal."""

    method = forms.CharField(
        label="How it was paid",
        max_length=60,
        help_text="For instance: bank transfer. The customer reads this on the invoice.",
        validators=[refuse_card_number],
    )
    reference = forms.CharField(
        label="Reference of the payment",
        max_length=120,
        required=False,
        help_text="As the bank gives it. No card numbers.",
        validators=[refuse_card_number],
    )


class RecordPayment(Act):
    """Record that what is open of an invoice was paid another way."""

    slug, label, permission = "record-payment", "Record a payment", "accounts.record_payment"
    form_class = PaymentForm

    def done_before(self, record: Any, data: Any) -> str:
        sent = SentOnce(data)
        known = sent.is_valid() and paying.is_recorded(record, sent.cleaned_data["submission"])
        return f"The payment of invoice {record.number} is recorded." if known else ""

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Invoice.State.ISSUED:
            return ""
        return f"This invoice is {record.get_state_display()}; only an issued one can be paid."

    def consequences(self, record: Any) -> list[str]:
        open_amount = amount(paying.balance_cents(record), record.currency)
        return [
            f"Invoice {record.number} is paid: {open_amount}, all that is open. Record only money that has arrived.",
            "It no longer stops the deletion of the account, which goes on by itself.",
            "A payment that is recorded stays recorded.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        data = form.cleaned_data
        paying.record(
            record.pk, by=user, method=data["method"], reference=data["reference"], submission=data["submission"]
        )
        return f"The payment of invoice {record.number} is recorded."


@admin.register(Invoice)
class InvoiceAdmin(RecordAdmin):
    """Invoices: read, record a payment, void."""

    acts = (RecordPayment, Void)
    list_display = ("number", "account", "state", "total", "issued_at", "due_at", "settled_at")
    list_filter = ("state",)
    list_select_related = ("account",)
    ordering = ("-issued_at",)

    @admin.display(description="total")
    def total(self, invoice: Invoice) -> str:
        return amount(invoice.total_cents, invoice.currency)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("State", record.get_state_display()),
            ("Total", self.total(record)),
            ("Open", amount(paying.balance_cents(record), record.currency)),
            ("Issued", moment(record.issued_at)),
            ("Due", moment(record.due_at)),
            ("Settled", moment(record.settled_at) or "not yet"),
        ]
        lines = [
            (eyes.on(line, "text"), line.quantity, amount(line.amount_cents, record.currency))
            for line in record.lines.order_by("created_at", "pk")
        ]
        payments = [
            (
                eyes.on(payment, "method"),
                amount(payment.amount_cents, record.currency),
                moment(payment.paid_at),
            )
            for payment in record.payments.order_by("paid_at", "pk")
        ]
        return [
            Section("Invoice", facts=[*facts, *eyes.facts(record)]),
            Section("Lines", head=("Text", "Quantity", "Amount"), rows=lines),
            Section("Payments", head=("Paid with", "Amount", "Paid"), rows=payments),
        ]


class Waive(Act):
    """Waive a minimum term."""

    slug, label, permission = "waive", "Waive the minimum term", "accounts.waive_term"

    def hindrance(self, record: Any, user: User) -> str:
        if Service.objects.bound(timezone.now()).filter(pk=record.pk).exists():
            return ""
        return "No minimum term of this service runs, so there is nothing to waive."

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer may end this service before its minimum term is over.",
            "The term no longer stops the deletion of the account.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        forgiving.waive(record.pk, by=user)
        return "The minimum term is waived."


@admin.register(Service)
class ServiceAdmin(RecordAdmin):
    """Services: read, waive the minimum term."""

    acts = (Waive,)
    list_display = ("id", "account", "plan", "started_at", "term_ends_at", "term_waived_at", "stops_at")
    list_filter = ("plan",)
    list_select_related = ("account",)
    ordering = ("-started_at",)

    def name_of(self, record: Any) -> str:
        return f"service {record.plan} of account {record.account.number}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Account", account_link(record)),
            ("Plan", record.plan),
            ("Monthly", amount(record.monthly_cents, "USD")),
            ("Started", moment(record.started_at)),
            ("Minimum term ends", moment(record.term_ends_at) or "no minimum term"),
            ("Minimum term waived", moment(record.term_waived_at) or "no"),
            ("Paid until", moment(record.paid_until) or "not in advance"),
            ("Stops", moment(record.ends_at) or "not planned"),
        ]
        return [Section("Service", facts=[*eyes.facts(record), *facts])]


class ReplyForm(forms.Form):
    """An answer to a ticket."""

    text = forms.CharField(
        label="Your answer",
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="The customer reads it in the portal. Write no card numbers.",
    )


STAYS_OPEN = "The customer can still cancel this deletion, so its ticket stays open until then."
UNREAD = "Sign-in to this account has ended: nobody would read an answer here."


class Reply(Act):
    """Answer a ticket."""

    slug, label, permission = "reply", "Send an answer", "accounts.reply_ticket"
    form_class = ReplyForm

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Ticket.State.CLOSED:
            return "This ticket is closed."
        return "" if supporting.is_read(record, timezone.now()) else UNREAD

    def consequences(self, record: Any) -> list[str]:
        return [
            "The customer is told by mail and reads your answer in the portal.",
            "The ticket no longer waits for us.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [conversation(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        supporting.reply(record.pk, by=user, body=form.cleaned_data["text"])
        return f"Your answer to {record.reference} is there for the customer to read."


class CloseTicket(Act):
    """End a conversation."""

    slug, label, permission = "close", "Close this ticket", "accounts.reply_ticket"

    def hindrance(self, record: Any, user: User) -> str:
        if record.state == Ticket.State.CLOSED:
            return "This ticket is closed."
        is_kept = record.kind == Ticket.Kind.DELETION and record.account.state == State.CLOSED
        return STAYS_OPEN if is_kept and supporting.is_read(record, timezone.now()) else ""

    def consequences(self, record: Any) -> list[str]:
        return [
            "The conversation ends: nobody writes in it any more. The customer can start a new one.",
            "It no longer stands under what needs the customer. They are sent no mail.",
        ]

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        return [conversation(eyes, record)]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        return f"Ticket {supporting.close_ticket(record.pk, by=user).reference} is closed."


def conversation(eyes: Eyes, ticket: Ticket) -> Section:
    """Return a ticket's messages, oldest first."""
    rows = [
        (
            "staff" if message.is_from_staff else "customer",
            moment(message.created_at),
            eyes.on(message, "body"),
        )
        for message in ticket.messages.order_by("created_at", "pk")
    ]
    return Section("Messages", head=("From", "When", "Message"), rows=rows)


@admin.register(Ticket)
class TicketAdmin(RecordAdmin):
    """Tickets: read, answer, close."""

    acts = (Reply, CloseTicket)
    list_display = ("reference", "account", "kind", "state", "created_at")
    list_filter = ("state", "kind")
    list_select_related = ("account",)
    ordering = ("-created_at",)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Reference", record.reference),
            ("Account", account_link(record)),
            ("Kind", record.get_kind_display()),
            ("State", record.get_state_display()),
            ("Opened", moment(record.created_at)),
        ]
        return [Section("Ticket", facts=[*facts, *eyes.facts(record)]), conversation(eyes, record)]


@admin.register(User)
class UserAdmin(RecordAdmin):
    """Users, read-only: roles are given by `manage.py staff`, customers change their own sign-in."""

    list_display = ("id", "account", "person", "is_owner", "is_staff", "is_active", "created_at")
    list_filter = ("is_staff", "is_active", "is_owner")
    list_select_related = ("account", "person")
    labels = MappingProxyType({"person": "name"})
    ordering = ("-created_at",)

    def name_of(self, record: Any) -> str:
        return f"user of account {record.account.number}" if record.account_id else "member of staff"

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {"person": lambda user: self._initials(eyes, user)}

    def _initials(self, eyes: Eyes, user: User) -> str | None:
        """Return enough of a name to recognise one that is known: a list shows nothing personal in full."""
        view = min(category_view(eyes.user, Category.IDENTITY), View.MASKED)
        try:
            return view.of(user.person.name) or None
        except (Person.DoesNotExist, KeyDestroyed):
            return None

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        roles = ", ".join(Role(name).label for name in record.groups.values_list("name", flat=True))
        facts: list[tuple[str, Any]] = [
            ("Account", account_link(record) if record.account_id else "staff"),
            ("Owner of the account", "yes" if record.is_owner else "no"),
            ("May sign in", "yes" if record.is_active else "no"),
            ("Roles", roles or "none"),
            ("Since", moment(record.created_at)),
        ]
        person = Person.objects.filter(user_id=record.pk).first()
        names = [
            (name.get_kind_display(), eyes.on(name, "value"), "yes" if name.signs_in else "no")
            for name in SignInIdentifier.objects.filter(user=record).order_by("kind", "pk")
        ]
        return [
            Section("User", facts=[*facts, *(eyes.facts(person) if person else [])]),
            Section("Sign-in names", head=("Kind", "Name", "Signs in"), rows=names),
        ]


class TokenForm(forms.Form):
    """A token of another system."""

    name = forms.CharField(label="System that will use it", max_length=60, help_text="For instance: billing")
    scopes = forms.MultipleChoiceField(
        label="What it may do", choices=list(issuing.SCOPES.items()), widget=forms.CheckboxSelectMultiple
    )
    days = forms.IntegerField(label="Days until it ends", min_value=1, max_value=issuing.LONGEST_DAYS, initial=90)


class MakeToken(Act):
    """Make a token and show its secret once."""

    slug, label, permission = "make", "Make a token", "accounts.make_token"
    form_class = TokenForm
    needs_record = False

    def consequences(self, record: Any) -> list[str]:
        return ["The secret is shown once, on the next page. It is stored as a hash and cannot be read again."]

    def perform(self, record: Any, form: forms.Form, user: User) -> Section:
        data = form.cleaned_data
        token, secret = issuing.issue(data["name"], data["scopes"], by=user, days=data["days"])
        facts = [("Token", token.pk), ("Secret", format_html("<code>{}</code>", secret))]
        return Section("Copy the secret now: it is not shown again", facts=facts)


class RevokeToken(Act):
    """Revoke a token."""

    slug, label, permission = "revoke", "Revoke this token", "accounts.revoke_token"

    def hindrance(self, record: Any, user: User) -> str:
        live = ApiToken.objects.live(timezone.now()).filter(pk=record.pk).exists()
        return "" if live else "This token has ended already."

    def consequences(self, record: Any) -> list[str]:
        return ["The system that uses it is refused from now on. A revoked token does not come back."]

    def perform(self, record: Any, form: forms.Form, user: User) -> str:
        issuing.revoke(record.pk, by=user)
        return f"Token {record.pk} is revoked."


@admin.register(ApiToken)
class ApiTokenAdmin(RecordAdmin):
    """Tokens of other systems: make, revoke."""

    acts = (MakeToken, RevokeToken)
    list_display = ("name", "created_at", "expires_at", "last_used_at", "revoked_at")
    ordering = ("-created_at",)

    def name_of(self, record: Any) -> str:
        return f"token of {record.name}"

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("System", record.name),
            ("Scopes", ", ".join(record.scopes)),
            ("Made", moment(record.created_at)),
            ("Ends", moment(record.expires_at) or "never"),
            ("Last used", moment(record.last_used_at) or "never"),
            ("Revoked", moment(record.revoked_at) or "no"),
        ]
        return [Section("Token", facts=facts)]


@admin.register(OutboxMessage)
class OutboxAdmin(RecordAdmin):
    """The outbox: where each message stands, never its content."""

    list_display = ("id", "kind", "state", "attempts", "last_error", "created_at", "due_at", "ended_at")
    list_filter = ("state", "kind")
    ordering = ("-created_at",)
    subject_field = "subject"

    def name_of(self, record: Any) -> str:
        return f"outbox message: {record.kind}, {record.get_state_display()}"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("content")

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            ("Kind", record.kind),
            ("State", record.get_state_display()),
            ("Attempts", record.attempts),
            ("Last error", record.last_error or "none"),
            ("Written", moment(record.created_at)),
            ("Due", moment(record.due_at) or "waits for its event"),
            ("Ended", moment(record.ended_at) or "not yet"),
        ]
        return [Section("Message", facts=facts)]


def account_link(record: Any) -> str:
    """Return a link to the customer card a record belongs to, by number."""
    card: Any = admin.site.get_model_admin(type(record.account))
    return format_html('<a href="{}">{}</a>', card.url_of(record.account), record.account.number)
