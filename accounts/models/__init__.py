"""What is held about customers, one module per aggregate; every model declares itself in the data map."""

from __future__ import annotations

from accounts.models.access import AccessEvent, AccountToken, ApiToken, Device, Session
from accounts.models.account import Account, State
from accounts.models.analytics import PageVisit
from accounts.models.contacts import Address, BillingProfile, Contact, EmailChange
from accounts.models.given import BusinessItem, ConfidentialItem, GivenItem
from accounts.models.imports import ImportedClient
from accounts.models.letters import Correspondence
from accounts.models.money import Invoice, InvoiceLine, Payment, PaymentMethod
from accounts.models.orders import Order, OrderLine, OrderSignals
from accounts.models.people import Invitation, MemberRole, Person, SignInIdentifier, Theme, User
from accounts.models.rights import Acceptance, Export, ExportPart, Restriction
from accounts.models.services import IpAssignment, Service, Suspension
from accounts.models.support import Attachment, MediaType, Ticket, TicketMessage, TicketNote
from accounts.models.webhooks import EndpointState, WebhookEndpoint

__all__ = [
    "Acceptance",
    "AccessEvent",
    "Account",
    "AccountToken",
    "Address",
    "ApiToken",
    "Attachment",
    "BillingProfile",
    "BusinessItem",
    "ConfidentialItem",
    "Contact",
    "Correspondence",
    "Device",
    "EmailChange",
    "EndpointState",
    "Export",
    "ExportPart",
    "GivenItem",
    "ImportedClient",
    "Invitation",
    "Invoice",
    "InvoiceLine",
    "IpAssignment",
    "MediaType",
    "MemberRole",
    "Order",
    "OrderLine",
    "OrderSignals",
    "PageVisit",
    "Payment",
    "PaymentMethod",
    "Person",
    "Restriction",
    "Service",
    "Session",
    "SignInIdentifier",
    "State",
    "Suspension",
    "Theme",
    "Ticket",
    "TicketMessage",
    "TicketNote",
    "User",
    "WebhookEndpoint",
]
