"""Paying invoices. A card number never comes near: a provider answers with a reference of its own.

Paying locks the account, then the invoice: a second attempt finds it paid and changes nothing, and a purge
that looks for unpaid invoices waits for the end of it. Customers pay their own account's invoices until sign-in
ends; billing records what was paid another way, until the account is erased.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts import invoicing, mailing, roles
from accounts.errors import USED_FORM, NotActionable
from accounts.keys.identifiers import uuid7
from accounts.keys.keyring import keyring
from accounts.models import Account, Invoice, Payment, PaymentMethod, State, User
from accounts.safeguards import ledger
from accounts.safeguards.cards import refuse_card_number


@dataclass(frozen=True)
class Charge:
    """What a provider answers: how it was paid, in words for the customer, and its own reference."""

    method: str
    reference: str | None


class Provider(Protocol):
    """Takes the money, while the account and the invoice are locked: a void, a hold or a purge waits for the answer.

    Whoever implements one keeps to this:
    - It answers within five seconds or raises: others give up waiting for the account after ten (`lock_timeout`).
    - The invoice's id goes to the provider as its idempotency key. A process that dies after the charge and before
      the commit leaves an unpaid invoice, and the next attempt must be given the first charge's answer.
    - An attempt whose outcome is not known (a timeout) raises; what it did comes out at the repeat.
    - It reads and writes nothing in the portal's databases.
    """

    pays_online: bool

    def charge(self, invoice: Invoice, method: PaymentMethod | None, cents: int) -> Charge:
        """Charge `cents` and return the provider's answer; raise NotActionable when it does not accept."""


class NoProvider:
    """Takes no payment here: the page sends the customer to support, who tell how to pay."""

    pays_online = False

    def charge(self, invoice: Invoice, method: PaymentMethod | None, cents: int) -> Charge:
        """Refuse, naming the way."""
        raise NotActionable(
            f"Invoice {invoice.number} cannot be paid here. Write to support: we tell you how to pay it."
        )


class TrialProvider:
    """Accepts every payment at once, without money; for a trial only."""

    pays_online = True

    def __init__(self) -> None:
        if not settings.TRIAL:
            raise ImproperlyConfigured("PAYMENT_PROVIDER names the trial's, which takes no money.")

    def charge(self, invoice: Invoice, method: PaymentMethod | None, cents: int) -> Charge:
        """Accept."""
        words = f"{method.brand} ending in {method.last_four}" if method else "Trial payment"
        return Charge(words, f"trial_{invoice.number}")


def provider() -> Provider:
    """Return the provider that the setting PAYMENT_PROVIDER names."""
    made: Provider = import_string(settings.PAYMENT_PROVIDER)()
    return made


def balance_cents(invoice: Invoice) -> int:
    """Return what is still to pay, in cents: nothing for an invoice that is paid or void."""
    if invoice.state != Invoice.State.ISSUED:
        return 0
    paid = sum(invoice.payments.values_list("amount_cents", flat=True))
    return max(invoice.total_cents - paid, 0)


def owed(account_id: UUID) -> list[tuple[Invoice, int]]:
    """Return the unpaid invoices of an account with what is still to pay of each, the earliest due first."""
    unpaid = Invoice.objects.unpaid().filter(account_id=account_id).order_by("due_at", "pk")
    found = unpaid.annotate(paid=Sum("payments__amount_cents"))
    return [(invoice, max(invoice.total_cents - (vars(invoice)["paid"] or 0), 0)) for invoice in found]


def pay(invoice_id: UUID, *, by: User, method_id: UUID | None = None, at: dt.datetime | None = None) -> Invoice:
    """Pay the rest of an invoice of one's own account and return it; one that is paid already stays as it is.

    Raises PermissionDenied for another account's invoice, NotActionable for one void or not payable here.
    """
    at = at or timezone.now()
    with keyring(), _locked(invoice_id) as invoice:
        if by.account_id is None or by.account_id != invoice.account_id:
            raise PermissionDenied("Only the people of its account may pay an invoice.")
        if invoice.state == Invoice.State.PAID:
            return invoice
        if invoice.state == Invoice.State.VOID:
            raise NotActionable(f"Invoice {invoice.number} is void: there is nothing to pay.")
        _settle(invoice, by, method_id, at)
        return invoice


def record(
    invoice_id: UUID, *, by: User, method: str, reference: str, submission: UUID, at: dt.datetime | None = None
) -> Invoice:
    """Record that the rest of an invoice was paid another way, and return it; the same `submission` counts once.

    Who may: the roles with "accounts.record_payment". Raises ValidationError for a card number, NotActionable for
    an invoice that is paid or void.
    """
    at = at or timezone.now()
    refuse_card_number(method)
    refuse_card_number(reference)
    if not roles.may(by, "accounts.record_payment"):
        raise PermissionDenied("Only billing may record a payment.")
    with keyring(), _locked(invoice_id) as invoice:
        if is_recorded(invoice, submission):
            return invoice
        if invoice.state != Invoice.State.ISSUED:
            raise NotActionable(f"Invoice {invoice.number} is {invoice.state}; only an issued one can be paid.")
        _book(invoice, by, Charge(method, reference or None), at, submission)
        return invoice


def is_recorded(invoice: Invoice, submission: UUID) -> bool:
    """Return whether this sending of the form was recorded before; raise NotActionable when it was, elsewhere."""
    payment = Payment.objects.filter(pk=submission).first()
    if payment is not None and payment.invoice_id != invoice.pk:
        raise NotActionable(USED_FORM)
    return payment is not None


@contextmanager
def _locked(invoice_id: UUID) -> Iterator[Invoice]:
    """Lock the account, then the invoice, in a transaction of its own."""
    account_id = Invoice.objects.values_list("account_id", flat=True).get(pk=invoice_id)
    with transaction.atomic(durable=True):
        account = Account.objects.locked([account_id]).get()
        if account.state == State.ERASED:
            raise NotActionable(f"Account {account.number} is erased; its invoices are settled by hand.")
        yield Invoice.objects.select_for_update().get(pk=invoice_id)


def _settle(invoice: Invoice, by: User, method_id: UUID | None, at: dt.datetime) -> None:
    method = None
    if method_id is not None:
        method = PaymentMethod.objects.filter(pk=method_id, account_id=invoice.account_id, removed_at=None).first()
        if method is None:
            raise NotActionable("This payment method is not on file any more. Choose another one.")
    cents = balance_cents(invoice)
    _book(invoice, by, provider().charge(invoice, method, cents) if cents else None, at)


def _book(invoice: Invoice, by: User, charge: Charge | None, at: dt.datetime, payment_id: UUID | None = None) -> None:
    """Write down the rest as paid by `charge` (None when nothing was left to pay) and settle the invoice."""
    cents = balance_cents(invoice)
    payment = None
    if charge is not None and cents:
        payment = Payment(
            id=payment_id or uuid7(),
            account_id=invoice.account_id,
            invoice=invoice,
            amount_cents=cents,
            method=charge.method,
            reference=charge.reference,
            paid_at=at,
        )
        payment.save(force_insert=True)
    _end(invoice, Invoice.State.PAID, at)
    ledger.record(
        by.actor,
        "invoice.paid",
        invoice.account_id,
        invoice=invoice.pk,
        payment=payment.pk if payment else None,
        cents=cents,
        at=at,
    )
    if payment is not None:
        _tell(invoice, payment, at)


def _tell(invoice: Invoice, payment: Payment, at: dt.datetime) -> None:
    """Tell the customer of a payment while there is somebody to read it: until sign-in ends."""
    if invoice.account.may_sign_in(at):
        cents = payment.amount_cents
        context = {"reference": invoice.number, "cents": cents, "currency": invoice.currency, "paid_at": at}
        mailing.mail(
            invoice.account,
            f"payment:{payment.pk}:received",
            "accounts/mail/invoice_paid.txt",
            context,
            to=invoicing.mail_address(invoice.account_id),
            at=at,
        )


def _end(invoice: Invoice, state: Invoice.State, at: dt.datetime) -> None:
    invoice.state, invoice.settled_at = state, at
    invoice.save(update_fields=["state", "settled_at"])
