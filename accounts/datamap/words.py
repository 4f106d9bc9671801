"""The words of the data map: categories, purposes, audiences, legal reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


class Category(models.TextChoices):
    """The kinds of personal data; one table has one category, one key covers one category of one subject."""

    IDENTITY = "identity", _("Name and account")
    CONTACT = "contact", _("Contact details")
    CREDENTIALS = "credentials", _("Sign-in")
    BILLING = "billing", _("Payment methods")
    INVOICES = "invoices", _("Invoices and payments")
    SERVICES = "services", _("Services")
    NETWORK = "network", _("IP addresses of services")
    ORDERS = "orders", _("Orders")
    ACCESS = "access", _("Sign-in history")
    ANALYTICS = "analytics", _("Page visits")
    SUPPORT = "support", _("Support tickets")
    CORRESPONDENCE = "correspondence", _("Mails we sent")
    CONSENT = "consent", _("Consents")
    NOTICES = "notices", _("Abuse notices")
    BUSINESS = "business", _("Business information")
    CONFIDENTIAL = "confidential", _("Confidential information")
    LEGAL = "legal", _("Legal records")


class Purpose(models.TextChoices):
    """What data may be used for (P8-P11, P20, P31 and the duties around them)."""

    SERVICES = "services", _("to provide services and fulfil orders")  # P8
    INVOICING = "invoicing", _("to send order confirmations and invoices")  # P8
    SUPPORT = "support", _("to respond to service requests")  # P9
    ADMINISTER = "administer", _("to administer the services of the account")  # P10
    FRAUD = "fraud", _("to prevent fraudulent orders and card use")  # P11
    LAYOUT = "layout", _("to improve the website and the offer")  # P31
    SECURITY = "security", _("to protect the account")  # P21
    LAW = "law", _("to answer what the law requires")  # P15
    SHARING = "sharing", _("to share with partners you agreed to")  # P20
    MARKETING = "marketing", _("to send you news and offers you asked for")  # P20


class Audience(StrEnum):
    """Who may be shown a field at all; roles narrow it further."""

    CUSTOMER = "customer"
    STAFF = "staff"
    LEGAL = "legal"


class Reach(StrEnum):
    """What kind of record a field is under 18 USC 2703: one of the six subscriber items, a record, content, never."""

    NAME = "2703(c)(2)(A)"
    ADDRESS = "2703(c)(2)(B)"
    CONNECTIONS = "2703(c)(2)(C)"
    SERVICE = "2703(c)(2)(D)"
    NUMBER = "2703(c)(2)(E)"
    PAYMENT = "2703(c)(2)(F)"
    RECORD = "2703(c)(1)"
    CONTENT = "2703(a)"
    NEVER = "never"


class LegalBasis(models.TextChoices):
    """Why a purpose is allowed, in plain words; the value is the place in the GDPR."""

    CONTRACT = "GDPR Art. 6(1)(b)", _("We need it to keep our contract with you.")
    INTEREST = "GDPR Art. 6(1)(f)", _("We have a fair reason of our own, and you can object.")
    DUTY = "GDPR Art. 6(1)(c)", _("The law requires it of us.")
    CONSENT = "GDPR Art. 6(1)(a)", _("You agreed to it, and you can take that back.")


BASES: Mapping[Purpose, LegalBasis] = {
    Purpose.SERVICES: LegalBasis.CONTRACT,
    Purpose.INVOICING: LegalBasis.CONTRACT,
    Purpose.SUPPORT: LegalBasis.CONTRACT,
    Purpose.ADMINISTER: LegalBasis.CONTRACT,
    Purpose.FRAUD: LegalBasis.INTEREST,
    Purpose.LAYOUT: LegalBasis.INTEREST,
    Purpose.SECURITY: LegalBasis.INTEREST,
    Purpose.LAW: LegalBasis.DUTY,
    Purpose.SHARING: LegalBasis.CONSENT,
    Purpose.MARKETING: LegalBasis.CONSENT,
}


@dataclass(frozen=True)
class Recipient:
    """A company that works for us under contract and is given data of some categories (P13): nobody else is."""

    name: Any
    why: Any
    categories: frozenset[Category]


RECIPIENTS = (
    Recipient(
        _("Our payment provider"),
        _("to take payments"),
        frozenset({Category.BILLING, Category.INVOICES}),
    ),
    Recipient(
        _("Our mail provider"),
        _("to deliver our mails to you"),
        frozenset({Category.CORRESPONDENCE, Category.CONTACT}),
    ),
)


def recipients(category: str) -> list[Recipient]:
    """Return who is given data of a category, by the nature of their work for us."""
    return [recipient for recipient in RECIPIENTS if category in recipient.categories]


def bases(purposes: tuple[Purpose, ...]) -> list[LegalBasis]:
    """Return the legal bases of some purposes, each once, in the order of the words."""
    used = {BASES[purpose] for purpose in purposes}
    return [basis for basis in LegalBasis if basis in used]
