"""Invoices as PDF, made when somebody asks for one and kept nowhere.

Tagged for screen readers (PDF/UA-1); the same invoice gives the same bytes. What is printed goes to the template
(`invoice.typ`) as data: a name made of markup is a name. Where the built-in fonts lack a letter the machine's fonts are
tried; where these lack it too, the file is made all the same, outside that standard, and says so.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import structlog
import typst
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts import invoicing, paying
from accounts.models import Invoice
from accounts.templatetags.portal_tags import day_text, moment_text, money

log = structlog.get_logger(__name__)

# Built into the library, so that the usual invoice looks alike on every machine.
BUILT_IN = ("Libertinus Serif", "DejaVu Sans Mono")
FROM = "ChicagoCloud"


def invoice_pdf(invoice: Invoice) -> bytes:
    """Return the invoice as a PDF."""
    content = contents(invoice)
    for machine_fonts in (False, True):
        try:
            return _made(content, machine_fonts=machine_fonts, is_tagged=True)
        except typst.TypstError:
            # The library names the letter that it cannot draw: a personal value, which stands in no log.
            log.info("an invoice has letters that the fonts lack", invoice=str(invoice.pk), machine_fonts=machine_fonts)
    note = _("Some letters are missing on this copy. You can read them on the page of the invoice in the portal.")
    return _made({**content, "note": note}, machine_fonts=True, is_tagged=False)


def contents(invoice: Invoice) -> dict[str, Any]:
    """Return all that stands on the paper, in words."""
    number = {"number": invoice.number}
    balance = money(paying.balance_cents(invoice), invoice.currency)
    lines = [
        (
            line.text,
            str(line.quantity),
            money(line.unit_cents, invoice.currency),
            money(line.amount_cents, invoice.currency),
        )
        for line in invoice.lines.order_by("created_at", "pk")
    ]
    payments = [
        _("%(amount)s on %(when)s with %(method)s")
        % {
            "amount": money(payment.amount_cents, invoice.currency),
            "when": moment_text(payment.paid_at),
            "method": payment.method,
        }
        for payment in invoice.payments.order_by("paid_at", "pk")
    ]
    return {
        "lang": (get_language() or "en").split("-")[0],
        "fonts": BUILT_IN,
        "title": _("Invoice %(number)s") % number,
        "note": "",
        "from": FROM,
        "to": invoicing.bill_to_lines(invoice) or [_("No billing address on file")],
        "facts": _facts(invoice),
        "lines": lines,
        "total": money(invoice.total_cents, invoice.currency),
        "payments": payments,
        "balance": _("Still to pay: %(amount)s") % {"amount": balance},
        "labels": {
            "from": _("From"),
            "to": _("To"),
            "items": _("What you are charged for"),
            "columns": [_("Item"), _("Quantity"), _("Price"), _("Amount")],
            "total": _("Total"),
            "payments": _("Payments"),
            "none": _("None so far."),
        },
    }


def _facts(invoice: Invoice) -> list[tuple[str, str]]:
    states = {"issued": _("Unpaid"), "paid": _("Paid"), "void": _("Not to be paid")}
    facts = [
        (_("Invoice"), invoice.number),
        (_("Issued"), day_text(invoice.issued_at)),
        (_("Due"), day_text(invoice.due_at)),
        (_("State"), states[invoice.state]),
    ]
    tax_number = invoicing.tax_number(invoice)
    return [*facts, (_("Tax number"), tax_number)] if tax_number else facts


def _made(content: dict[str, Any], *, machine_fonts: bool, is_tagged: bool) -> bytes:
    made = typst.compile(
        _template(),
        format="pdf",
        sys_inputs={"invoice": json.dumps(content)},
        ignore_system_fonts=not machine_fonts,
        pdf_standards=["ua-1"] if is_tagged else [],
    )
    assert isinstance(made, bytes)  # noqa: S101 - one document, one file
    return made


@cache
def _template() -> bytes:
    return (settings.BASE_DIR / "templates" / "accounts" / "invoice.typ").read_bytes()
