"""Paying: once, by the account's own people, until it is erased; a provider takes the money, never a card
number.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, ValidationError
from django.db import connections
from django.utils import timezone

from accounts import paying
from accounts.errors import NotActionable
from accounts.forgiving import void
from accounts.models import Invoice, Payment, PaymentMethod, User
from accounts.safeguards.models import LedgerEntry
from tests.cast import furnish, make_invoice, make_staff, owe

pytestmark = pytest.mark.usefixtures("committed")


@pytest.fixture
def invoice(alice: User) -> Invoice:
    return owe(alice)


def test_paying_settles_the_invoice_with_one_payment(alice: User, invoice: Invoice):
    paid = paying.pay(invoice.pk, by=alice)
    assert paid.state == Invoice.State.PAID and paid.settled_at is not None
    payment = Payment.objects.get(invoice=invoice)
    assert (payment.amount_cents, payment.method) == (1290, "Trial payment")
    assert paying.balance_cents(paid) == 0
    assert LedgerEntry.objects.filter(action="invoice.paid", subject=alice.account_id).count() == 1


def test_paying_again_changes_nothing(alice: User, invoice: Invoice):
    first = paying.pay(invoice.pk, by=alice)
    again = paying.pay(invoice.pk, by=alice)
    assert again.settled_at == first.settled_at
    assert Payment.objects.count() == 1
    assert LedgerEntry.objects.filter(action="invoice.paid").count() == 1


def pay_in_a_thread(invoice_id: UUID, user_id: UUID) -> str:
    try:
        return paying.pay(invoice_id, by=User.objects.get(pk=user_id)).state
    finally:
        connections.close_all()


@pytest.mark.race
def test_many_at_once_pay_once(alice: User):
    for _turn in range(3):
        invoice = owe(alice)
        with ThreadPoolExecutor(4) as pool:
            states = list(pool.map(pay_in_a_thread, [invoice.pk] * 4, [alice.pk] * 4))
        assert states == ["paid"] * 4
        assert Payment.objects.filter(invoice=invoice).count() == 1


@pytest.mark.race
def test_without_the_lock_many_would_pay_twice(alice: User, monkeypatch: pytest.MonkeyPatch):
    """Negative control: an unlocked read lets several payments through, so the test above sees them."""

    @contextmanager
    def unlocked(invoice_id: UUID) -> Any:
        invoice = Invoice.objects.get(pk=invoice_id)
        time.sleep(0.2)
        yield invoice

    monkeypatch.setattr(paying, "_locked", unlocked)
    invoice = owe(alice)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(pay_in_a_thread, [invoice.pk] * 4, [alice.pk] * 4))
    assert Payment.objects.filter(invoice=invoice).count() > 1


def test_nobody_pays_for_another_account(bob: User, rita: User, invoice: Invoice):
    for stranger in (bob, rita):
        with pytest.raises(PermissionDenied):
            paying.pay(invoice.pk, by=stranger)
    assert not Payment.objects.exists()


def test_a_void_invoice_is_not_paid_and_a_paid_one_not_voided(alice: User, invoice: Invoice):
    billing = make_staff("bill", "billing")
    other = owe(alice)
    void(invoice.pk, by=billing)
    with pytest.raises(NotActionable, match=f"{invoice.number} is void"):
        paying.pay(invoice.pk, by=alice)
    paying.pay(other.pk, by=alice)
    with pytest.raises(NotActionable, match=f"{other.number} is paid"):
        void(other.pk, by=billing)


def test_a_stored_method_is_named_by_its_last_digits(alice: User):
    furnish(alice)
    method = PaymentMethod.objects.get(account=alice.account_id)
    invoice = make_invoice(alice)
    paying.pay(invoice.pk, by=alice, method_id=method.pk)
    assert Payment.objects.get(invoice=invoice).method == "Visa ending in 4242"


def test_a_method_of_somebody_else_or_a_removed_one_is_refused(alice: User, bob: User, invoice: Invoice):
    furnish(bob)
    furnish(alice)
    PaymentMethod.objects.filter(account=alice.account_id).update(removed_at=timezone.now())
    for method in PaymentMethod.objects.all():
        with pytest.raises(NotActionable, match="not on file"):
            paying.pay(invoice.pk, by=alice, method_id=method.pk)
    assert Invoice.objects.get(pk=invoice.pk).state == Invoice.State.ISSUED


def test_without_a_provider_the_way_is_named_and_nothing_is_settled(alice: User, invoice: Invoice, settings: Any):
    settings.PAYMENT_PROVIDER = "accounts.paying.NoProvider"
    assert not paying.provider().pays_online
    with pytest.raises(NotActionable, match="Write to support"):
        paying.pay(invoice.pk, by=alice)
    assert Invoice.objects.get(pk=invoice.pk).state == Invoice.State.ISSUED
    assert not Payment.objects.exists()


def test_the_trials_provider_stays_in_the_trial(settings: Any):
    assert paying.provider().pays_online
    settings.TRIAL = False
    with pytest.raises(ImproperlyConfigured):
        paying.provider()


def test_a_provider_that_answers_with_a_card_number_is_refused(alice: User, invoice: Invoice):
    careless = paying.Charge("Visa 4242 4242 4242 4242", None)
    answers = mock.patch.object(paying.TrialProvider, "charge", return_value=careless)
    with answers, pytest.raises(ValidationError, match="card number"):
        paying.pay(invoice.pk, by=alice)
    assert Invoice.objects.get(pk=invoice.pk).state == Invoice.State.ISSUED


def test_an_invoice_over_nothing_is_settled_without_a_payment(alice: User):
    invoice = make_invoice(alice, cents=0)
    assert paying.pay(invoice.pk, by=alice).state == Invoice.State.PAID
    assert not Payment.objects.exists()
