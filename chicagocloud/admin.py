"""The customer card and the ledger: pages of the admin that read from every room."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html

from accounts import changing_email, inviting, members
from accounts.admin import amount
from accounts.admin.given import NoteBusiness, business_section, confidential_section
from accounts.admin.money import IssueInvoice
from accounts.admin_base import ERASED, Act, Eyes, RecordAdmin, Section, staff
from accounts.datamap import Category
from accounts.models import (
    Account,
    Address,
    BillingProfile,
    Contact,
    Invoice,
    Order,
    Person,
    Service,
    SignInIdentifier,
    Ticket,
    User,
)
from accounts.phones import shown_phone
from accounts.roles import View, category_view, may
from accounts.safeguards.models import LedgerEntry
from accounts.templatetags.portal_tags import moment
from disclosures.admin.consents import RecordConsent, consent_section
from retention import keeping, sight
from retention.admin import OpenDispute, PlaceHold
from retention.models import DeletionRequest, Dispute, Erasure, Hold

RECENT = 20


class ShowKeptVersions(Act):
    """Read the rows an edit changed while a hold covered them; the database writes the ledger entry."""

    slug, label, permission = "kept-versions", "Show kept versions", "retention.view_sealed_hold"

    def consequences(self, record: Any) -> list[str]:
        return [
            "Rows as they were before an edit are shown once, on the next page.",
            "The ledger says that you read them.",
        ]

    def perform(self, record: Any, form: forms.Form, user: User) -> Section:
        rows = [
            (kept.label, moment(kept.kept_at), label, ERASED if value is None else value)
            for kept in keeping.kept_versions(record.pk, by=user)
            for label, value in kept.values
        ]
        return Section("Kept versions", head=("What", "Kept", "Field", "Value then"), rows=rows)


@admin.register(Account)
class AccountAdmin(RecordAdmin):
    """The customer card: one page, no tab hunting; each part only for the roles that may have it."""

    acts = (PlaceHold, OpenDispute, IssueInvoice, ShowKeptVersions, NoteBusiness, RecordConsent)
    subject_field = "pk"
    list_display = ("number", "state", "created_at", "closed_at", "due_at", "erased_at")
    list_filter = ("state",)
    ordering = ("-created_at",)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        parts = [self._account(record), *self._people(eyes, record)]
        parts += [*self._members(eyes, record), *self._contacts(eyes, record), *self._billing(eyes, record)]
        for act, part in (
            ("accounts.view_service", self._services),
            ("accounts.view_invoice", self._invoices),
            ("accounts.view_order", self._orders),
            ("retention.view_dispute", self._disputes),
            ("retention.view_hold", self._holds),
            ("retention.view_deletionrequest", self._deletions),
            ("accounts.view_ticket", self._tickets),
            ("accounts.view_businessitem", self._business),
            ("accounts.view_confidentialitem", self._confidential),
            ("disclosures.view_consentgrant", self._consents),
            ("safeguards.view_ledgerentry", self._entries),
        ):
            if may(eyes.user, act):
                parts.append(part(eyes, record))
        return parts

    def _account(self, account: Account) -> Section:
        facts = [
            ("Number", account.number),
            ("State", account.get_state_display()),
            ("Customer since", moment(account.created_at)),
            ("Closed", moment(account.closed_at) or "no"),
            ("Deletion due", moment(account.due_at) or "not asked for"),
            ("Erased", moment(account.erased_at) or "no"),
        ]
        return Section("Account", facts=facts)

    def _people(self, eyes: Eyes, account: Account) -> list[Section]:
        people = [
            (eyes.on(person, "name"), eyes.on(person, "username"))
            for person in Person.objects.filter(account=account).order_by("created_at", "pk")
        ]
        names = [
            (name.get_kind_display(), eyes.on(name, "value"), "yes" if name.signs_in else "no")
            for name in SignInIdentifier.objects.filter(account=account).order_by("kind", "pk")
        ]
        return [
            Section("People", head=("Name", "User name"), rows=people),
            Section("Sign-in names", head=("Kind", "Name", "Signs in"), rows=names),
        ]

    def _members(self, eyes: Eyes, account: Account) -> list[Section]:
        """Return who may do what for the account, and who is invited; addresses as far as the role shows them."""
        users = list(User.objects.filter(account=account).order_by("created_at", "pk"))
        people = {person.user_id: person for person in Person.objects.filter(user__in=[user.pk for user in users])}
        rows = [
            (
                eyes.on(people[user.pk], "name") if user.pk in people else ERASED,
                members.ROLES[members.role_of(user)],
                moment(user.created_at),
                moment(user.removed_at) or ("no" if user.is_active else "inactive"),
            )
            for user in users
        ]
        parts = [Section("Members", head=("Name", "Role", "Since", "Removed"), rows=rows)]
        if category_view(eyes.user, Category.CREDENTIALS) == View.HIDDEN:
            return parts
        invited = [
            (eyes.on(one, "email"), members.ROLES[one.role], moment(one.expires_at))
            for one in inviting.open_invitations(account.pk, timezone.now()).order_by("created_at", "pk")
        ]
        return [*parts, Section("Invitations", head=("E-mail", "Role", "Until"), rows=invited, empty="Nobody.")]

    def _billing(self, eyes: Eyes, account: Account) -> list[Section]:
        """Return how the account is billed and which changes of an address wait, for the roles that see them."""
        parts = []
        profile = BillingProfile.objects.filter(account=account).first()
        if profile is not None and category_view(eyes.user, Category.BILLING) != View.HIDDEN:
            own = [("Billed as", profile.get_kind_display()), ("Currency", profile.currency)]
            parts.append(Section("Billing profile", facts=[*own, *eyes.facts(profile)]))
        if category_view(eyes.user, Category.CONTACT) != View.HIDDEN:
            waiting = changing_email.open_changes(account.pk, timezone.now()).order_by("asked_at", "pk")
            rows = [
                (eyes.on(one, "old_email"), eyes.on(one, "new_email"), moment(one.asked_at), moment(one.ends_at))
                for one in waiting
            ]
            head = ("From", "To", "Asked", "Until")
            parts.append(Section("Changes of an address that wait", head=head, rows=rows, empty="None."))
        return parts

    def _contacts(self, eyes: Eyes, account: Account) -> list[Section]:
        contacts = Contact.objects.filter(account=account, removed_at=None).order_by("created_at", "pk")
        rows = [
            (
                contact.get_role_display(),
                *(eyes.on(contact, name) for name in ("name", "company", "email")),
                # As people write it, where the role sees it whole.
                shown_phone(eyes.on(contact, "phone")),
            )
            for contact in contacts
        ]
        addresses = Address.objects.filter(account=account, removed_at=None).order_by("created_at", "pk")
        lines = [
            (
                address.get_kind_display(),
                *(eyes.on(address, name) for name in ("street", "postcode", "city", "region", "country")),
            )
            for address in addresses
        ]
        return [
            Section("Contacts", head=("For", "Name", "Company", "E-mail", "Telephone"), rows=rows),
            Section("Addresses", head=("For", "Street", "Postcode", "City", "Region", "Country"), rows=lines),
        ]

    def _services(self, eyes: Eyes, account: Account) -> Section:
        rows = [
            (
                self._link(service, service.plan),
                eyes.on(service, "name"),
                moment(service.term_ends_at) or "none",
                moment(service.ends_at) or "not planned",
            )
            for service in Service.objects.filter(account=account).order_by("started_at", "pk")
        ]
        return Section("Services", head=("Plan", "Name", "Minimum term ends", "Stops"), rows=rows)

    def _invoices(self, eyes: Eyes, account: Account) -> Section:
        rows = [
            (
                self._link(invoice, invoice.number),
                amount(invoice.total_cents, invoice.currency),
                moment(invoice.due_at),
            )
            for invoice in Invoice.objects.unpaid().filter(account=account).order_by("due_at", "pk")
        ]
        return Section("Unpaid invoices", head=("Number", "Total", "Due"), rows=rows)

    def _orders(self, eyes: Eyes, account: Account) -> Section:
        rows = [
            (
                self._link(order, order.reference),
                order.get_state_display(),
                amount(order.total_cents, order.currency),
                moment(order.placed_at),
            )
            for order in Order.objects.filter(account=account).order_by("-placed_at", "-pk")[:RECENT]
        ]
        return Section(f"Orders, the last {RECENT}", head=("Reference", "State", "Total", "Placed"), rows=rows)

    def _disputes(self, eyes: Eyes, account: Account) -> Section:
        rows = [
            (
                self._link(dispute, dispute.get_state_display()),
                amount(dispute.amount_cents, dispute.currency),
                moment(dispute.opened_at),
            )
            for dispute in Dispute.objects.filter(account=account).order_by("opened_at", "pk")
        ]
        return Section("Payment disputes", head=("State", "Amount", "Opened"), rows=rows)

    def _holds(self, eyes: Eyes, account: Account) -> Section:
        now = timezone.now()
        rows = [
            (
                self._link(hold, sight.reason(hold)),
                sight.category_names(hold.categories) or "everything",
                moment(hold.placed_at),
                "yes" if sight.covers(hold, now) else "no",
            )
            for hold in sight.holds_for(eyes.user).filter(account=account).order_by("placed_at", "pk")
        ]
        head = ("Kind", "Covers", "Placed", "Active")
        return Section("Holds", head=head, rows=rows, empty="None that your role shows.")

    def _deletions(self, eyes: Eyes, account: Account) -> Section:
        steps = list(Erasure.objects.live().filter(account=account))
        visible: list[Hold] = list(sight.holds_for(eyes.user).filter(account=account))
        now = timezone.now()
        rows = [
            (
                self._link(request, request.reference),
                moment(request.due_at),
                str(sight.standing(request, steps, visible, now)),
            )
            for request in DeletionRequest.objects.filter(account=account).order_by("requested_at", "pk")
        ]
        return Section("Deletion", head=("Reference", "Due", "State"), rows=rows, empty="Not asked for.")

    def _tickets(self, eyes: Eyes, account: Account) -> Section:
        rows = [
            (self._link(ticket, ticket.reference), ticket.get_state_display(), moment(ticket.created_at))
            for ticket in Ticket.objects.filter(account=account, removed_at=None).order_by("created_at", "pk")
        ]
        return Section("Tickets", head=("Reference", "State", "Opened"), rows=rows)

    def _business(self, eyes: Eyes, account: Account) -> Section:
        return business_section(account)

    def _confidential(self, eyes: Eyes, account: Account) -> Section:
        return confidential_section(account)

    def _consents(self, eyes: Eyes, account: Account) -> Section:
        return consent_section(account)

    def _entries(self, eyes: Eyes, account: Account) -> Section:
        entries = sight.ledger_for(eyes.user).filter(subject=account.pk).order_by("-at", "-pk")[:RECENT]
        rows = [(moment(entry.at), entry.action, eyes.who(entry.actor)) for entry in entries]
        return Section(f"Ledger, the last {RECENT}", head=("When", "What", "Who"), rows=rows)

    def _link(self, record: Any, text: str) -> str:
        room = self.admin_site.get_model_admin(type(record))
        return format_html('<a href="{}">{}</a>', room.url_of(record), text)  # type: ignore[attr-defined]


@admin.register(LedgerEntry)
class LedgerAdmin(RecordAdmin):
    """The ledger: what was done, by whom, to what; entries of sealed matters only for those who may know."""

    list_display = ("at", "action", "actor", "subject")
    ordering = ("-at",)
    subject_field = "subject"

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        number = Account.objects.filter(pk=OuterRef("subject")).values("number")
        return sight.ledger_for(staff(request)).annotate(number=Subquery(number))

    def name_of(self, record: Any) -> str:
        return f"ledger entry {record.action}"

    def columns(self, eyes: Eyes) -> dict[str, Any]:
        return {
            "actor": lambda entry: eyes.who(entry.actor),
            "subject": lambda entry: self._card(eyes, entry) or entry.subject,
        }

    def _card(self, eyes: Eyes, entry: Any) -> str:
        """Return a link to the customer card of an entry's subject, when it is an account and the role may open it."""
        if not entry.number or not may(eyes.user, "accounts.view_account"):
            return ""
        card: Any = self.admin_site.get_model_admin(Account)
        return format_html('<a href="{}">{}</a>', card.url_of(Account(pk=entry.subject)), entry.number)

    def sections(self, eyes: Eyes, record: Any) -> list[Section]:
        facts = [
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, value in sorted(json.loads(record.body).items())
        ]
        about = [("Who", eyes.who(record.actor)), ("Account", self._card(eyes, record) or "none")]
        return [Section("Entry", facts=[*about, *facts, ("leaf hash", bytes(record.leaf).hex())])]
