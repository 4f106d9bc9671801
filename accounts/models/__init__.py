"""What is held about customers, one module per aggregate; every model declares itself in the data map."""

from __future__ import annotations

from accounts.models.access import AccessEvent, ApiToken, Session
from accounts.models.account import Account, State
from accounts.models.contacts import Address, Contact
from accounts.models.letters import Correspondence
from accounts.models.money import Invoice, InvoiceLine, Payment, PaymentMethod
from accounts.models.people import Person, SignInIdentifier, User
from accounts.models.services import Service
from accounts.models.support import Ticket, TicketMessage

__all__ = [
    "AccessEvent",
    "Account",
    "Address",
    "ApiToken",
    "Contact",
    "Correspondence",
    "Invoice",
    "InvoiceLine",
    "Payment",
    "PaymentMethod",
    "Person",
    "Service",
    "Session",
    "SignInIdentifier",
    "State",
    "Ticket",
    "TicketMessage",
    "User",
]
