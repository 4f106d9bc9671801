"""Addresses of the ground floor's customer pages: references and numbers only, never a name or an address."""

from __future__ import annotations

from django.urls import path

from accounts.pages import help as help_pages
from accounts.pages import invoices, privacy, tickets

app_name = "accounts"
urlpatterns = [
    path("invoices/", invoices.invoices, name="invoices"),
    path("invoices/<slug:number>/", invoices.invoice, name="invoice"),
    path("invoices/<slug:number>/pay/", invoices.invoice_pay, name="invoice_pay"),
    path("tickets/", tickets.tickets, name="tickets"),
    path("tickets/<slug:reference>/", tickets.ticket, name="ticket"),
    path("tickets/<slug:reference>/settle/", tickets.ticket_settle, name="ticket_settle"),
    path(".well-known/gpc.json", privacy.gpc, name="gpc"),
    path("help/", help_pages.help_page, name="help"),
    path("accessibility/", help_pages.accessibility, name="accessibility"),
]
